//! Build ids in a log.

use std::collections::BTreeSet;

/// Digits of an id.
const DIGITS: usize = 32;
/// Characters at most between the word and the id: `build=`, `"build": "`.
const BETWEEN: usize = 4;

/// The ids that follow the word `build`.
pub fn ids(text: &str) -> BTreeSet<String> {
    text.match_indices("build")
        .filter(|(at, _)| !text[..*at].ends_with(is_word))
        .filter_map(|(at, word)| id(&text[at + word.len()..]))
        .map(str::to_owned)
        .collect()
}

fn id(after: &str) -> Option<&str> {
    let start = after.find(char::is_alphanumeric)?;
    let (between, rest) = after.split_at(start);
    let end = rest.find(|char| !is_word(char)).unwrap_or(rest.len());
    let id = &rest[..end];
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_id = id.len() == DIGITS && id.bytes().all(hex);
    (is_id && (1..=BETWEEN).contains(&between.chars().count())).then_some(id)
}

fn is_word(char: char) -> bool {
    char == '_' || char.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_follows_its_word() {
        let id = "0123456789abcdef0123456789abcdef";
        for text in ["build {}", "x build={}, y", "{\"build\": \"{}\"}", "(build: {})"] {
            let text = text.replace("{}", id);
            assert_eq!(ids(&text), BTreeSet::from([id.to_owned()]), "{text}");
        }
        for text in ["rebuild {}", "build{}", "build {}0", "build no {}", "build", "builds {}", ""]
        {
            assert_eq!(ids(&text.replace("{}", id)), BTreeSet::new(), "{text}");
        }
    }
}
