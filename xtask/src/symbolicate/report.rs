//! Memory reports, and what the launcher says of memory in its own lines.

use std::collections::BTreeSet;

use serde_json::Value;

use super::symbols::{Place, Symbols};

/// The key under which a report gets its places.
const SOURCE: &str = "source";

/// A memory report, if that is what a text is.
pub fn parse(text: &[u8]) -> Option<Value> {
    if !text.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let value: Value = serde_json::from_slice(text).ok()?;
    ["app", "reason", "uptime"].iter().all(|key| !value[key].is_null()).then_some(value)
}

/// Adds a list [`SOURCE`] wherever a report names classes, functions or variables; gives their number.
pub fn annotate(value: &mut Value, symbols: &Symbols) -> usize {
    match value {
        Value::Array(items) => items.iter_mut().map(|item| annotate(item, symbols)).sum(),
        Value::Object(object) => {
            let others = object.iter_mut().filter(|(key, _)| *key != SOURCE);
            let mut count: usize = others.map(|(_, value)| annotate(value, symbols)).sum();
            let texts = ["type", "name", "signature", "text"].map(|key| object.get(key));
            let texts = texts.iter().filter_map(|text| text.and_then(Value::as_str));
            let places: BTreeSet<Place> = texts.flat_map(|text| named(text, symbols)).collect();
            if !places.is_empty() {
                count += places.len();
                object.insert(SOURCE.to_owned(), serde_json::json!(places));
            }
            count
        }
        _ => 0,
    }
}

/// Where the names are defined that words of a text begin with: `app.rooms{str}[]` is of `app.rooms`.
pub fn named(text: &str, symbols: &Symbols) -> Vec<Place> {
    let mut places = Vec::new();
    for word in text.split_whitespace() {
        let is_name = |char: char| char == '.' || char == '_' || char.is_alphanumeric();
        let end = word.find(|char| !is_name(char)).unwrap_or(word.len());
        let name = word[..end].trim_end_matches('.');
        places.extend(symbols.definition(name).filter(|place| !places.contains(place)));
    }
    places
}
