//! JSON, written out: one object at a time, name by name.

use std::fmt::{Display, Write as _};

/// An object that is being written.
pub struct Object(String);

impl Object {
    /// Without any name.
    pub fn new() -> Object {
        Object("{".to_owned())
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        quote(&mut self.0, name);
        self.0.push(':');
    }

    /// A text.
    pub fn text(mut self, name: &str, value: &str) -> Object {
        self.name(name);
        quote(&mut self.0, value);
        self
    }

    /// A text, or null.
    pub fn text_or_null(self, name: &str, value: Option<&str>) -> Object {
        match value {
            Some(value) => self.text(name, value),
            None => self.raw(name, "null"),
        }
    }

    /// An integer or a truth value.
    pub fn number(mut self, name: &str, value: impl Display) -> Object {
        self.name(name);
        // Writing to a string does not fail.
        let _ = write!(self.0, "{value}");
        self
    }

    /// An integer, or null.
    pub fn number_or_null(self, name: &str, value: Option<impl Display>) -> Object {
        match value {
            Some(value) => self.number(name, value),
            None => self.raw(name, "null"),
        }
    }

    /// With three decimals; null for what JSON has no number for.
    pub fn decimal(mut self, name: &str, value: f64) -> Object {
        self.name(name);
        let _ = match value.is_finite() {
            true => write!(self.0, "{value:.3}"),
            false => write!(self.0, "null"),
        };
        self
    }

    /// What is JSON already.
    pub fn raw(mut self, name: &str, json: &str) -> Object {
        self.name(name);
        self.0.push_str(json);
        self
    }

    /// A list of objects.
    pub fn list(mut self, name: &str, items: impl IntoIterator<Item = Object>) -> Object {
        self.name(name);
        self.0.push('[');
        for (at, item) in items.into_iter().enumerate() {
            if at > 0 {
                self.0.push(',');
            }
            self.0.push_str(&item.end());
        }
        self.0.push(']');
        self
    }

    /// The whole object.
    pub fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn quote(json: &mut String, text: &str) {
    json.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => json.extend(['\\', char]),
            char if char.is_control() => {
                let _ = write!(json, "\\u{:04x}", char as u32);
            }
            char => json.push(char),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_text_holds_it_is_json() {
        let inner = Object::new().number("n", 7).number("yes", true);
        let json = Object::new()
            .text("a \"b\"", "\u{1}\\é\n")
            .number_or_null("none", None::<u64>)
            .text_or_null("text", None)
            .decimal("half", 0.5)
            .decimal("never", f64::INFINITY)
            .list("list", [inner, Object::new()])
            .raw("raw", "[1]")
            .end();
        let wanted = "{\"a \\\"b\\\"\":\"\\u0001\\\\é\\u000a\",\"none\":null,\"text\":null,\"half\":0.500,\
            \"never\":null,\"list\":[{\"n\":7,\"yes\":true},{}],\"raw\":[1]}";
        assert_eq!(json, wanted);
    }
}
