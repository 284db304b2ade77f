//! Tables for people: Markdown, on stdout and in README.md.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// One value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell {
    Value(f64),
    /// With the number of the note that says why.
    Fails(usize),
    Absent,
}

/// How a value is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unit {
    Whole,
    Tenth,
    Hundredth,
}

/// A table of applications and peers, with the geometric mean of the ratios to one of these below.
pub(super) struct Matrix<'a> {
    title: String,
    unit: Unit,
    peers: &'a [&'static str],
    base: usize,
    rows: Vec<(String, Vec<Cell>)>,
}

impl<'a> Matrix<'a> {
    pub fn new(title: String, unit: Unit, peers: &'a [&'static str], base: &str) -> Self {
        let base = peers.iter().position(|peer| *peer == base).unwrap_or(0);
        Matrix { title, unit, peers, base, rows: Vec::new() }
    }

    pub fn row(&mut self, name: &str, cells: Vec<Cell>) {
        self.rows.push((name.to_owned(), cells));
    }

    /// Markdown; nothing where there is no value at all.
    pub fn text(&self) -> String {
        let mut cells = self.rows.iter().flat_map(|(_, cells)| cells);
        if !cells.any(|cell| matches!(cell, Cell::Value(_))) {
            return String::new();
        }
        let mut text = format!("**{}**\n\n| |", self.title);
        self.peers.iter().for_each(|peer| text += &format!(" {peer} |"));
        text += &format!("\n|---|{}\n", "---:|".repeat(self.peers.len()));
        for (name, cells) in &self.rows {
            text += &format!("| {name} |");
            for cell in cells {
                let _ = match (cell, self.unit) {
                    (Cell::Value(value), Unit::Whole) => write!(text, " {value:.0} |"),
                    (Cell::Value(value), Unit::Tenth) => write!(text, " {value:.1} |"),
                    (Cell::Value(value), Unit::Hundredth) => write!(text, " {value:.2} |"),
                    (Cell::Fails(note), _) => write!(text, " fails ({note}) |"),
                    (Cell::Absent, _) => write!(text, " – |"),
                };
            }
            text += "\n";
        }
        text += "| *geometric mean* |";
        for peer in 0..self.peers.len() {
            text += &self.mean(peer).map_or(" – |".into(), |mean| format!(" *{mean:.3}* |"));
        }
        text + "\n\n"
    }

    /// Of the ratios to the base, where both have a value.
    fn mean(&self, peer: usize) -> Option<f64> {
        let ratios =
            self.rows.iter().filter_map(|(_, cells)| match (cells[peer], cells[self.base]) {
                (Cell::Value(one), Cell::Value(base)) if one > 0.0 && base > 0.0 => {
                    Some(one / base)
                }
                _ => None,
            });
        let logarithms: Vec<f64> = ratios.map(f64::ln).collect();
        let mean = logarithms.iter().sum::<f64>() / logarithms.len() as f64;
        (!logarithms.is_empty()).then(|| mean.exp())
    }
}

/// Why something fails, once each.
#[derive(Debug, Default)]
pub(super) struct Notes(Vec<String>);

impl Notes {
    /// Paths of this machine are cut to their last part.
    pub fn number(&mut self, app: &str, peer: &str, reason: &str) -> usize {
        let is_path = |word: &&str| word.starts_with(['/', '\'', '"']) && word.contains('/');
        let last = |word: &str| word.rsplit('/').next().unwrap_or(word).to_owned();
        let words =
            reason.split(' ').map(|word| if is_path(&word) { last(word) } else { word.into() });
        let reason = format!("{app}, {peer}: {}", words.collect::<Vec<_>>().join(" "));
        let known = self.0.iter().position(|note| *note == reason);
        1 + known.unwrap_or_else(|| {
            self.0.push(reason);
            self.0.len() - 1
        })
    }

    /// Markdown: a numbered list.
    pub fn text(&self) -> String {
        let lines = self.0.iter().enumerate();
        let lines: String = lines.map(|(at, note)| format!("{}. {note}\n", at + 1)).collect();
        if lines.is_empty() { lines } else { format!("\nWhat fails, and why:\n\n{lines}") }
    }
}

/// Nothing of nothing.
pub(crate) fn median(values: impl Iterator<Item = u64>) -> Option<f64> {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle] as f64),
        _ => Some((values[middle - 1] + values[middle]) as f64 / 2.0),
    }
}

/// Replaces what stands between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`.
///
/// # Errors
/// A file without the marks, or one that cannot be written.
pub(super) fn put(file: &Path, name: &str, table: &str) -> Result<()> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let (open, close) = (format!("<!-- bench:{name} -->\n"), format!("<!-- /bench:{name} -->"));
    let (Some(start), Some(end)) = (text.find(&open), text.find(&close)) else {
        bail!("{} has no place for the table: {} … {close}", file.display(), open.trim_end());
    };
    let text = format!("{}{table}{}", &text[..start + open.len()], &text[end..]);
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median([3, 1, 2].into_iter()), Some(2.0));
        assert_eq!(median([4, 1, 2, 3].into_iter()), Some(2.5));
        assert_eq!(median([].into_iter()), None);
    }

    #[test]
    fn the_mean_is_of_what_both_can_do() {
        let peers = ["base", "other"];
        let mut matrix = Matrix::new("time".into(), Unit::Whole, &peers, "base");
        matrix.row("a", vec![Cell::Value(10.0), Cell::Value(5.0)]);
        matrix.row("b", vec![Cell::Value(10.0), Cell::Value(20.0)]);
        matrix.row("c", vec![Cell::Value(10.0), Cell::Fails(1)]);
        let text = matrix.text();
        assert!(
            text.ends_with("| c | 10 | fails (1) |\n| *geometric mean* | *1.000* | *1.000* |\n\n")
        );
    }

    #[test]
    fn a_reason_has_one_number() {
        let mut notes = Notes::default();
        let reasons = ["no /opt/x/start", "y", "no /opt/x/start"];
        assert_eq!(reasons.map(|reason| notes.number("web", "pex", reason)), [1, 2, 1]);
        assert!(notes.text().ends_with("1. web, pex: no start\n2. web, pex: y\n"));
    }
}
