//! PEP 440: versions, their order, and specifiers such as `>=3.10,<4`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};

/// A public version with its local part: `1!2.0rc1.post2.dev3+local.1`.
#[derive(Debug, Clone)]
pub struct Version {
    pub(crate) epoch: u64,
    pub(crate) release: Vec<u64>,
    /// `a`, `b`, `rc` as 0, 1, 2.
    pub(crate) pre: Option<(u8, u64)>,
    pub(crate) post: Option<u64>,
    pub(crate) dev: Option<u64>,
    pub(crate) local: Vec<String>,
    text: String,
}

impl Version {
    /// Whether this is an alpha, beta, release candidate or development version.
    pub fn is_prerelease(&self) -> bool {
        self.pre.is_some() || self.dev.is_some()
    }

    /// The release numbers without trailing zeros: 2.0 and 2.0.0 are one version.
    fn trimmed(&self) -> &[u64] {
        let zeros = self.release.iter().rev().take_while(|part| **part == 0).count();
        &self.release[..self.release.len() - zeros]
    }

    /// Everything but the local part, as something that sorts.
    fn key(&self) -> (u64, &[u64], (u8, u64), i128, u128) {
        let pre = match (self.pre, self.post, self.dev) {
            (Some((kind, number)), ..) => (kind + 1, number),
            // 1.0.dev1 is before 1.0a1.
            (None, None, Some(_)) => (0, 0),
            _ => (4, 0),
        };
        let post = self.post.map_or(-1, i128::from);
        let dev = self.dev.map_or(u128::MAX, u128::from);
        (self.epoch, self.trimmed(), pre, post, dev)
    }

    /// The order of the public parts.
    fn cmp_public(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }

    /// The order of the local parts: numbers are after words, more is after less.
    fn cmp_local(&self, other: &Self) -> Ordering {
        let part = |text: &String| {
            text.parse::<u64>().map_or((0, 0, text.clone()), |n| (1, n, String::new()))
        };
        self.local.iter().map(part).cmp(other.local.iter().map(part))
    }

    /// Text of which that of a greater version is greater, byte by byte: numbers are as many bytes as they have
    /// digits, after a byte for that many; where something ends there is a byte that is less than what could
    /// follow.
    pub fn order(&self) -> String {
        let number = |number: u128| {
            let digits = number.to_string();
            format!("{}{digits}", char::from(b'A' + digits.len() as u8))
        };
        let (epoch, release, (kind, pre), post, dev) = self.key();
        let mut text = number(epoch.into());
        release.iter().for_each(|part| text += &number(u128::from(*part)));
        // What follows a release is less than a further number of it.
        text += &format!("0{kind}{}", number(pre.into()));
        text += &u128::try_from(post).map_or_else(|_| "0".to_owned(), number);
        text += &number(dev);
        for part in &self.local {
            text += &match part.parse::<u64>() {
                Ok(part) => format!("2{}", number(part.into())),
                Err(_) => format!("1{part} "),
            };
        }
        text
    }

    /// Whether the first release numbers (missing ones are 0) are those of `prefix`.
    fn starts_with(&self, prefix: &Self) -> bool {
        let padded = self.release.iter().copied().chain(std::iter::repeat(0));
        self.epoch == prefix.epoch && padded.zip(&prefix.release).all(|(a, b)| a == *b)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.cmp_public(other).then_with(|| self.cmp_local(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Version {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        match parse(&text.to_ascii_lowercase()) {
            Some(version) => Ok(Self { text: text.to_owned(), ..version }),
            None => bail!("`{text}` is no version (PEP 440), such as `1.2.3`"),
        }
    }
}

/// The version in lower-case text, without its spelling.
fn parse(text: &str) -> Option<Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (public, local) = text.split_once('+').map_or((text, None), |(a, b)| (a, Some(b)));
    let (epoch, rest) = match public.split_once('!') {
        Some((epoch, rest)) => (epoch.parse().ok()?, rest),
        None => (0, public),
    };
    let end = rest
        .char_indices()
        .find(|&(at, c)| {
            let next = rest[at + c.len_utf8()..].starts_with(|c: char| c.is_ascii_digit());
            !(c.is_ascii_digit() || c == '.' && next)
        })
        .map_or(rest.len(), |(at, _)| at);
    let release =
        rest[..end].split('.').map(|part| part.parse().ok()).collect::<Option<Vec<_>>>()?;
    let local = match local {
        None => Vec::new(),
        Some(local) => local.split(['.', '-', '_']).map(str::to_owned).collect(),
    };
    if local.iter().any(|part| part.is_empty() || !part.bytes().all(|b| b.is_ascii_alphanumeric()))
    {
        return None;
    }
    let mut version =
        Version { epoch, release, pre: None, post: None, dev: None, local, text: String::new() };
    suffixes(&rest[end..], &mut version)?;
    Some(version)
}

/// The pre, post and dev parts after the release numbers, in this order.
fn suffixes(mut rest: &str, version: &mut Version) -> Option<()> {
    const WORDS: [(&str, u8); 11] = [
        ("alpha", 0),
        ("beta", 1),
        ("preview", 2),
        ("pre", 2),
        ("post", 3),
        ("rev", 3),
        ("dev", 4),
        ("rc", 2),
        ("a", 0),
        ("b", 1),
        ("c", 2),
    ];
    let mut order = 0;
    while !rest.is_empty() {
        let dash = rest.starts_with('-');
        let body = rest.strip_prefix(['.', '-', '_']).unwrap_or(rest);
        let word = WORDS.iter().find(|(word, _)| body.starts_with(word));
        let (kind, after) = match word {
            Some((word, kind)) => (*kind, &body[word.len()..]),
            None if body.starts_with('r') => (3, &body[1..]),
            // `1.0-1` is `1.0.post1`.
            None if dash && body.starts_with(|c: char| c.is_ascii_digit()) => (3, body),
            None => return None,
        };
        let rank = kind.max(2);
        if rank <= order {
            return None;
        }
        order = rank;
        let digits = after.strip_prefix(['.', '-', '_']).unwrap_or(after);
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        let number = if count == 0 { 0 } else { digits[..count].parse().ok()? };
        rest = if count == 0 { after } else { &digits[count..] };
        match kind {
            3 => version.post = Some(number),
            4 => version.dev = Some(number),
            kind => version.pre = Some((kind, number)),
        }
    }
    Some(())
}

/// A comma-separated list of version clauses, all of which must hold. Empty: any version.
#[derive(Debug, Clone, Default)]
pub struct Specifier {
    clauses: Vec<Clause>,
    text: String,
}

#[derive(Debug, Clone)]
struct Clause {
    operator: &'static str,
    version: Version,
    /// `==3.11.*`
    wildcard: bool,
    /// What follows the operator, for `===`.
    text: String,
}

impl Specifier {
    /// Whether `version` satisfies every clause. A pre-release satisfies a clause by its order alone: which ones are
    /// wanted was the resolver's decision.
    pub fn contains(&self, version: &Version) -> bool {
        self.clauses.iter().all(|clause| clause.contains(version))
    }

    /// The version of a single `==` clause without wildcard.
    pub fn pinned(&self) -> Option<&Version> {
        match self.clauses.as_slice() {
            [clause] if matches!(clause.operator, "==" | "===") && !clause.wildcard => {
                Some(&clause.version)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Specifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Specifier {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let clauses = text.split(',').map(str::trim).filter(|clause| !clause.is_empty());
        Ok(Self {
            clauses: clauses.map(str::parse).collect::<Result<_>>()?,
            text: text.trim().to_owned(),
        })
    }
}

impl FromStr for Clause {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        const OPERATORS: [&str; 8] = ["===", "~=", "==", "!=", "<=", ">=", "<", ">"];
        let Some(operator) = OPERATORS.into_iter().find(|operator| text.starts_with(operator))
        else {
            bail!("`{text}` is no version specifier (PEP 440), such as `>=3.10`");
        };
        let value = text[operator.len()..].trim();
        let wildcard = value.ends_with(".*");
        if wildcard && !matches!(operator, "==" | "!=") {
            bail!("`{text}`: only `==` and `!=` take `.*`");
        }
        let version: Version = value.strip_suffix(".*").unwrap_or(value).parse()?;
        if operator == "~=" && version.release.len() < 2 {
            bail!("`{text}`: `~=` needs at least two numbers, such as `~=3.10`");
        }
        Ok(Self { operator, version, wildcard, text: value.to_owned() })
    }
}

impl Clause {
    fn contains(&self, version: &Version) -> bool {
        let wanted = &self.version;
        let equal = || match wanted.local.is_empty() {
            _ if self.wildcard => version.starts_with(wanted),
            true => version.cmp_public(wanted).is_eq(),
            false => version == wanted,
        };
        match self.operator {
            "==" => equal(),
            "!=" => !equal(),
            "<=" => version.cmp_public(wanted).is_le(),
            ">=" => version.cmp_public(wanted).is_ge(),
            // `<3.1` does not mean 3.1rc1, `>3.1` neither 3.1.post1 nor 3.1+local.
            "<" => {
                version.cmp_public(wanted).is_lt()
                    && (wanted.is_prerelease()
                        || !version.is_prerelease()
                        || version.trimmed() != wanted.trimmed())
            }
            ">" => {
                version.cmp_public(wanted).is_gt()
                    && (wanted.post.is_some()
                        || version.post.is_none()
                        || version.trimmed() != wanted.trimmed())
            }
            "~=" => {
                let prefix = Version {
                    release: wanted.release[..wanted.release.len() - 1].to_vec(),
                    ..wanted.clone()
                };
                version.cmp_public(wanted).is_ge() && version.starts_with(&prefix)
            }
            _ => version.text.eq_ignore_ascii_case(&self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_sort_as_pep_440_says() {
        let sorted = [
            "1.dev0",
            "1.0.dev456",
            "1.0a1",
            "1.0a2.dev456",
            "1.0a2",
            "1.0b1.dev456",
            "1.0b2",
            "1.0b2.post345.dev456",
            "1.0b2.post345",
            "1.0rc1.dev456",
            "1.0rc1",
            "1.0",
            "1.0+abc.5",
            "1.0+abc.7",
            "1.0+5",
            "1.0.post456.dev34",
            "1.0.post456",
            "1.1.dev1",
            "1.10",
            "1!0.1",
        ];
        let versions: Vec<Version> = sorted.iter().map(|text| text.parse().unwrap()).collect();
        for pair in versions.windows(2) {
            assert!(pair[0] < pair[1], "{} < {}", pair[0], pair[1]);
        }
        let further = ["1.0.0.1", "1.9", "1.99", "2", "10", "1.0+abcd.5", "1.0+5.a", "20261129.1"];
        let further = further.iter().map(|text| text.parse().unwrap());
        let versions: Vec<Version> = versions.into_iter().chain(further).collect();
        for (a, b) in versions.iter().flat_map(|a| versions.iter().map(move |b| (a, b))) {
            assert_eq!(a.cmp(b), a.order().cmp(&b.order()), "{a} and {b}");
        }
        let [a, b] = ["1.0", "1.0.0"].map(|text| text.parse::<Version>().unwrap().order());
        assert_eq!(a, b);
    }

    #[test]
    fn spellings_of_one_version_are_equal() {
        for (a, b) in [
            ("1.0", "1"),
            ("1.0-1", "1.0.post1"),
            ("v1.0-ALPHA_1", "1.0a1"),
            ("1.0c1", "1.0rc1"),
            ("1.0.rev2", "1.0.post2"),
            ("1.0rc", "1.0rc0"),
            ("1.0+a-1", "1.0+a.1"),
        ] {
            assert_eq!(a.parse::<Version>().unwrap(), b.parse().unwrap(), "{a} == {b}");
        }
        for text in
            ["", "x", "1.", "1..2", "1.0.dev1a2", "1.0+", "1.0+é", "=1", "1.0 2", "1.*", "ä1"]
        {
            assert!(text.parse::<Version>().is_err(), "{text:?} is refused");
        }
    }

    #[test]
    fn specifiers_hold_or_not() {
        for (specifier, yes, no) in [
            ("", "3.11.2", ""),
            (">=3.10,<4", "3.13.0", "3.9.18"),
            (">=3.10, <3.13", "3.12.9", "3.13.0"),
            ("~=3.10", "3.13.0", "4.0"),
            ("~=3.10.1", "3.10.9", "3.11.0"),
            ("==3.11.*", "3.11.7", "3.12.0"),
            ("!=3.11.*", "3.12.1", "3.11.0"),
            ("==3.11", "3.11.0", "3.11.1"),
            ("==1.0", "1.0+local", "1.0.post1"),
            ("===1.0", "1.0", "1.0.0"),
            ("<3.14", "3.13.9", "3.14.0rc1"),
            (">1.0", "1.1", "1.0.post1"),
            (">=1.0rc1", "1.0", "1.0b9"),
        ] {
            let parsed: Specifier = specifier.parse().unwrap();
            assert!(parsed.contains(&yes.parse().unwrap()), "{yes} satisfies `{specifier}`");
            if !no.is_empty() {
                assert!(
                    !parsed.contains(&no.parse().unwrap()),
                    "{no} does not satisfy `{specifier}`"
                );
            }
        }
        for text in ["3.10", ">=", "~=3", ">=3.*", "=>3"] {
            assert!(text.parse::<Specifier>().is_err(), "{text:?} is refused");
        }
    }
}
