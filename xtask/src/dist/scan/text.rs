//! Texts in sources: their encoding, constants, and what formatted strings leave open.

use ruff_python_ast::{self as ast, Expr, FStringPart, InterpolatedStringElement};

/// The text of a source file as PEP 263 says. Names are ASCII nearly always, so that an encoding other
/// than UTF-8 is read byte by byte: every such encoding that Python takes agrees on ASCII.
pub fn decode(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// The value of a string constant.
pub fn literal(expression: &Expr) -> Option<String> {
    expression.as_string_literal_expr().map(|string| string.value.to_str().to_owned())
}

/// The elements of a written-out list or tuple, or of a sum of such.
pub fn elements(expression: &Expr) -> Vec<Expr> {
    match expression {
        Expr::List(list) => list.elts.clone(),
        Expr::Tuple(tuple) => tuple.elts.clone(),
        Expr::BinOp(sum) => [elements(&sum.left), elements(&sum.right)].concat(),
        _ => Vec::new(),
    }
}

/// An f-string with `*` for what it puts in.
pub fn formatted(string: &ast::ExprFString) -> String {
    let mut text = String::new();
    for part in string.value.as_slice() {
        match part {
            FStringPart::Literal(literal) => text.push_str(literal),
            FStringPart::FString(string) => {
                for element in &string.elements {
                    match element {
                        InterpolatedStringElement::Literal(literal) => text.push_str(literal),
                        InterpolatedStringElement::Interpolation(put) => {
                            let own = names_itself(&put.expression);
                            // The module's own name: what follows is relative to it.
                            text.push_str(if own && text.is_empty() { "" } else { "*" });
                        }
                    }
                }
            }
        }
    }
    text
}

/// `__name__`, `__package__`, `__spec__.name`, `__spec__.parent`.
fn names_itself(expression: &Expr) -> bool {
    match expression {
        Expr::Name(name) => matches!(name.id.as_str(), "__name__" | "__package__"),
        Expr::Attribute(attribute) => {
            matches!(attribute.value.as_ref(), Expr::Name(name) if name.id.as_str() == "__spec__")
                && matches!(attribute.attr.id.as_str(), "name" | "parent")
        }
        _ => false,
    }
}

/// A `str.format` or `%` template with `*` for what it puts in.
pub fn placeholders(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '%']) {
        out.push_str(&rest[..at]);
        let end = match rest.as_bytes()[at] {
            b'{' => rest[at..].find('}').map(|end| at + end + 1),
            _ => rest[at..].starts_with("%s").then_some(at + 2),
        };
        let Some(end) = end else { return String::new() };
        out.push('*');
        rest = &rest[end..];
    }
    out + rest
}
