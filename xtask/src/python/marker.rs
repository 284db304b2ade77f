//! PEP 508: requirements such as `psutil>=7 ; sys_platform == "linux"`, and whether their markers hold.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};

use super::version::{Specifier, Version};

/// One requirement.
#[derive(Debug, Clone)]
pub struct Requirement {
    /// Its name, normalised: "prompt-toolkit".
    pub name: String,
    /// Its extras.
    pub extras: Vec<String>,
    /// Which versions; any where it has a URL.
    pub specifier: Specifier,
    /// `name @ URL`.
    pub url: Option<String>,
    /// When it holds; none: always.
    pub marker: Option<Marker>,
}

/// PEP 503: lower case, runs of `-`, `_`, `.` as one `-`.
pub fn normalise(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            c => normal.push(c.to_ascii_lowercase()),
        }
    }
    normal
}

impl Requirement {
    /// Whether the requirement applies in an environment.
    pub fn applies(&self, environment: &BTreeMap<String, String>) -> bool {
        self.marker.as_ref().is_none_or(|marker| marker.holds(environment))
    }
}

impl std::str::FromStr for Requirement {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
        let (name, mut rest) = text.split_at(end);
        ensure!(!name.is_empty(), "`{text}` is no requirement (PEP 508), such as `psutil>=7`");
        rest = rest.trim_start();
        let mut extras = Vec::new();
        if let Some(inside) = rest.strip_prefix('[') {
            let Some((list, after)) = inside.split_once(']') else {
                bail!("`{text}` misses a `]`")
            };
            extras = list
                .split(',')
                .map(|extra| normalise(extra.trim()))
                .filter(|extra| !extra.is_empty())
                .collect();
            rest = after.trim_start();
        }
        let (rest, url) = match rest.strip_prefix('@') {
            // A URL can hold a semicolon; the marker's has a space before it.
            Some(url) => {
                let (url, marker) = url.split_once(" ;").unwrap_or((url, ""));
                (
                    if marker.is_empty() { String::new() } else { format!(";{marker}") },
                    Some(url.trim().to_owned()),
                )
            }
            None => (rest.to_owned(), None),
        };
        let (versions, marker) =
            rest.split_once(';').map_or((rest.as_str(), None), |(a, b)| (a, Some(b)));
        let versions = versions.trim();
        let versions =
            versions.strip_prefix('(').and_then(|v| v.strip_suffix(')')).unwrap_or(versions);
        Ok(Self {
            name: normalise(name),
            extras,
            specifier: versions.parse()?,
            url,
            marker: marker.map(str::parse).transpose()?,
        })
    }
}

/// A condition on the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marker {
    /// Both.
    And(Box<Marker>, Box<Marker>),
    /// Either.
    Or(Box<Marker>, Box<Marker>),
    /// A comparison: left, operator, right.
    Test(Operand, String, Operand),
}

/// A side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// A variable of the environment.
    Variable(String),
    /// A quoted string.
    Text(String),
}

impl Marker {
    /// Whether the condition holds. A variable that the environment lacks is empty, as `extra` is without extras.
    pub fn holds(&self, environment: &BTreeMap<String, String>) -> bool {
        match self {
            Self::And(left, right) => left.holds(environment) && right.holds(environment),
            Self::Or(left, right) => left.holds(environment) || right.holds(environment),
            Self::Test(left, operator, right) => {
                let value = |operand: &Operand| match operand {
                    Operand::Variable(name) => environment.get(name).cloned().unwrap_or_default(),
                    Operand::Text(text) => text.clone(),
                };
                // `'group' in dependency_groups` asks for an element, other `in`s for a substring.
                let set = matches!(right, Operand::Variable(name) if matches!(name.as_str(), "extras" | "dependency_groups"));
                compare(&value(left), operator, &value(right), set)
            }
        }
    }
}

fn compare(left: &str, operator: &str, right: &str, set: bool) -> bool {
    let element = || right.split_whitespace().any(|word| word == left);
    match operator {
        "in" if set => return element(),
        "not in" if set => return !element(),
        "in" => return right.contains(left),
        "not in" => return !right.contains(left),
        _ => {}
    }
    if let (Ok(version), Ok(specifier)) =
        (left.parse::<Version>(), format!("{operator}{right}").parse::<Specifier>())
    {
        return specifier.contains(&version);
    }
    match operator {
        "==" | "===" => left == right,
        "!=" => left != right,
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        ">=" => left >= right,
        _ => false,
    }
}

impl std::str::FromStr for Marker {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut tokens = Tokens { words: words(text)?, next: 0, depth: 0 };
        let marker = tokens.either();
        match marker {
            Some(marker) if tokens.next == tokens.words.len() => Ok(marker),
            _ => bail!(
                "`{}` is no marker (PEP 508), such as `sys_platform == \"linux\"`",
                text.trim()
            ),
        }
    }
}

/// Splits into variables and operators, and strings with their opening quote.
fn words(text: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | ')' => 1,
            '"' | '\'' => match rest[1..].find(first) {
                Some(end) => end + 2,
                None => bail!("`{}` misses a closing quote", text.trim()),
            },
            '<' | '>' | '=' | '!' | '~' => {
                rest.find(|c| !"<>=!~".contains(c)).unwrap_or(rest.len())
            }
            _ => rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'))
                .unwrap_or(rest.len())
                .max(first.len_utf8()),
        };
        let (word, after) = rest.split_at(length);
        let quoted = matches!(first, '"' | '\'');
        words.push(if quoted { &word[..length - 1] } else { word }.to_owned());
        rest = after.trim_start();
    }
    Ok(words)
}

struct Tokens {
    words: Vec<String>,
    next: usize,
    depth: usize,
}

impl Tokens {
    /// Takes the next word if it is `word`.
    fn take(&mut self, word: &str) -> bool {
        let found = self.words.get(self.next).is_some_and(|next| next == word);
        self.next += usize::from(found);
        found
    }

    fn either(&mut self) -> Option<Marker> {
        let mut marker = self.both()?;
        while self.take("or") {
            marker = Marker::Or(Box::new(marker), Box::new(self.both()?));
        }
        Some(marker)
    }

    fn both(&mut self) -> Option<Marker> {
        let mut marker = self.test()?;
        while self.take("and") {
            marker = Marker::And(Box::new(marker), Box::new(self.test()?));
        }
        Some(marker)
    }

    fn test(&mut self) -> Option<Marker> {
        if self.take("(") {
            self.depth += 1;
            // Bounds the recursion on what a file says.
            let marker = if self.depth < 100 { self.either()? } else { return None };
            self.depth -= 1;
            return self.take(")").then_some(marker);
        }
        let left = self.operand()?;
        let operator = if self.take("not") {
            self.take("in").then(|| "not in".to_owned())?
        } else {
            let word = self.words.get(self.next)?.clone();
            self.next += 1;
            matches!(word.as_str(), "in" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "~=" | "===")
                .then_some(word)?
        };
        Some(Marker::Test(left, operator, self.operand()?))
    }

    fn operand(&mut self) -> Option<Operand> {
        let word = self.words.get(self.next)?;
        let operand = match word.strip_prefix(['"', '\'']) {
            Some(text) => Operand::Text(text.to_owned()),
            None if word.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                Operand::Variable(word.replace('.', "_"))
            }
            None => return None,
        };
        self.next += 1;
        Some(operand)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> BTreeMap<String, String> {
        [
            ("python_version", "3.11"),
            ("python_full_version", "3.11.2"),
            ("sys_platform", "linux"),
            ("platform_machine", "x86_64"),
            ("dependency_groups", "default dev"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    #[test]
    fn markers_hold_or_not() {
        for (marker, expected) in [
            ("sys_platform == 'linux'", true),
            ("python_version >= '3.9' and python_full_version < \"3.11.3\"", true),
            // As versions, not as text.
            ("python_version < '3.9'", false),
            ("'3.10' <= python_version", true),
            (
                "sys_platform == 'win32' or (platform_machine in 'x86_64 aarch64' and python_version != '3.12.*')",
                true,
            ),
            (
                "sys_platform == 'win32' and sys_platform == 'linux' or sys_platform == 'linux'",
                true,
            ),
            ("platform_machine not in 'x86_64 aarch64'", false),
            ("extra == 'socks'", false),
            ("'dev' in dependency_groups", true),
            ("'de' in dependency_groups", false),
            ("sys.platform=='linux'", true),
        ] {
            assert_eq!(
                marker.parse::<Marker>().unwrap().holds(&environment()),
                expected,
                "{marker}"
            );
        }
        for text in [
            "",
            "sys_platform",
            "sys_platform == ",
            "a == 'b' and",
            "(a == 'b'",
            "a == 'b",
            "a == 'b' c",
            "é",
        ] {
            assert!(text.parse::<Marker>().is_err(), "{text:?} is refused");
        }
        assert!("(".repeat(100_000).parse::<Marker>().is_err());
    }

    #[test]
    fn requirements_are_taken_apart() {
        let requirement: Requirement =
            "Prompt_Toolkit [ssh, Telnet] >=3,<4 ; sys_platform == 'win32'".parse().unwrap();
        assert_eq!(requirement.name, "prompt-toolkit");
        assert_eq!(requirement.extras, ["ssh", "telnet"]);
        assert!(requirement.specifier.contains(&"3.0.53".parse().unwrap()));
        assert!(!requirement.applies(&environment()));
        let direct: Requirement =
            "thing @ https://example.invalid/thing.whl;x ; python_version > '3'".parse().unwrap();
        assert_eq!(direct.url.as_deref(), Some("https://example.invalid/thing.whl;x"));
        assert!(direct.applies(&environment()));
        assert!(
            "a (>=1)".parse::<Requirement>().unwrap().specifier.contains(&"2".parse().unwrap())
        );
        for text in ["", ">=1", "a[b", "a >= x", "a b", "a;"] {
            assert!(text.parse::<Requirement>().is_err(), "{text:?} is refused");
        }
    }

    #[test]
    fn names_are_normalised() {
        assert_eq!(normalise("Zope.Interface__x-Y"), "zope-interface-x-y");
    }
}
