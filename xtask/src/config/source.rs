//! A configuration file with its text, so that every error can show the line that it is about.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

/// A TOML file in memory.
#[derive(Debug, Clone)]
pub struct Source {
    /// As messages name it: relative to the workspace where it lies inside.
    name: String,
    text: String,
}

/// Something is wrong at a place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    place: String,
    line: String,
    column: usize,
    width: usize,
    number: usize,
    message: String,
    help: Vec<String>,
}

impl Source {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is no UTF-8.
    pub fn read(path: &Path, root: &Path) -> Result<Source> {
        let name = crate::paths::relative(root, path).display().to_string();
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Source { name, text })
    }

    /// A file that exists in a test only.
    #[cfg(test)]
    pub fn new(name: &str, text: &str) -> Source {
        Source { name: name.into(), text: text.into() }
    }

    /// The file's values in the shape of `T`; an unknown key, a missing one or a wrong type is a complaint.
    ///
    /// `elsewhere` says for the dotted path of an unknown key where it belongs.
    ///
    /// # Errors
    /// [`Complaint`].
    pub fn parse<T: DeserializeOwned>(
        &self,
        elsewhere: impl Fn(&str) -> Option<String>,
    ) -> Result<T, Complaint> {
        toml::from_str(&self.text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            match unknown_key(error.message()) {
                None => self.complain(span, rephrase(error.message())),
                Some((key, accepted)) => {
                    let path = self.path_of(span.start, key);
                    let complaint = self.complain(span, format!("unknown key {path}"));
                    match elsewhere(&path) {
                        Some(place) => complaint.help(place),
                        None => complaint.nearest(key, &accepted),
                    }
                }
            }
        })
    }

    /// A complaint about what stands at this place.
    pub fn complain(&self, span: Range<usize>, message: impl Into<String>) -> Complaint {
        let start = floor(&self.text, span.start);
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = self.text[line_start..].lines().next().unwrap_or("");
        let column = before[line_start..].chars().count() + 1;
        let end = floor(&self.text, span.end).clamp(start, line_start + line.len());
        let number = before.matches('\n').count() + 1;
        Complaint {
            place: format!("{}:{number}:{column}", self.name),
            line: line.to_owned(),
            column,
            width: self.text[start..end].chars().count().max(1),
            number,
            message: message.into(),
            help: Vec::new(),
        }
    }

    /// A complaint about something that is not there: shows where the table begins, or only the file's name.
    pub fn missing(&self, table: &str, message: impl Into<String>) -> Complaint {
        match self.header(table) {
            Some(span) => self.complain(span, message),
            None => Complaint {
                place: self.name.clone(),
                line: String::new(),
                column: 0,
                width: 0,
                number: 0,
                message: message.into(),
                help: Vec::new(),
            },
        }
    }

    fn header(&self, table: &str) -> Option<Range<usize>> {
        let header = format!("[{table}]");
        let mut start = 0;
        for line in self.text.split_inclusive('\n') {
            if line.trim() == header {
                return Some(start..start + header.len());
            }
            start += line.len();
        }
        None
    }

    /// Dotted path of the key that stands at this offset.
    fn path_of(&self, offset: usize, key: &str) -> String {
        let mut path = Vec::new();
        if let Ok(table) = DeTable::parse(&self.text) {
            find(table.get_ref(), offset, &mut path);
        }
        if path.last().is_none_or(|last| last != key) {
            path.push(key.to_owned());
        }
        path.join(".")
    }
}

/// Fills `path` with the keys that lead to the key at this offset.
fn find(table: &DeTable<'_>, offset: usize, path: &mut Vec<String>) -> bool {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        if key.span().contains(&offset) || inside(value.get_ref(), offset, path) {
            return true;
        }
        path.pop();
    }
    false
}

fn inside(value: &DeValue<'_>, offset: usize, path: &mut Vec<String>) -> bool {
    match value {
        DeValue::Table(table) => find(table, offset, path),
        _ => false,
    }
}

/// "unknown field `x`, expected one of `a`, `b`" -> (x, [a, b]).
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (key, rest) = rest.split_once('`')?;
    Some((key, rest.split('`').skip(1).step_by(2).collect()))
}

/// Serde's words in a firmware developer's.
fn rephrase(message: &str) -> String {
    let message = message.replace("invalid type: ", "wrong type: ");
    match message.strip_prefix("missing field `").and_then(|rest| rest.split_once('`')) {
        Some((key, _)) => format!("the key {key} is missing here"),
        None => ["sequence", "map", "struct Device"]
            .iter()
            .zip(["list", "table", "a table"])
            .fold(message, |message, (serde, toml)| message.replace(serde, toml)),
    }
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

impl Complaint {
    /// Adds a line that helps.
    pub fn help(mut self, text: impl Into<String>) -> Complaint {
        self.help.push(text.into());
        self
    }

    /// Adds the accepted values, and the nearest of them where one is near.
    pub fn nearest(self, found: &str, accepted: &[&str]) -> Complaint {
        let near = accepted
            .iter()
            .map(|candidate| (distance(found, candidate), *candidate))
            .filter(|(far, candidate)| *far <= 1 + candidate.len() / 4)
            .min();
        let complaint = match near {
            Some((_, candidate)) => self.help(format!("did you mean {candidate}?")),
            None => self,
        };
        match accepted {
            [] => complaint,
            some => complaint.help(format!("accepted: {}", some.join(", "))),
        }
    }
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replace = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        let margin = " ".repeat(self.number.to_string().len());
        if self.number > 0 {
            let pad: String = self
                .line
                .chars()
                .take(self.column - 1)
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            write!(f, "\n {margin} |\n {} | {}", self.number, self.line)?;
            write!(f, "\n {margin} | {pad}{}", "^".repeat(self.width))?;
        }
        for help in &self.help {
            write!(f, "\n {margin} = {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Complaint {}
