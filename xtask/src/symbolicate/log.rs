//! A log, line by line: frames get their real path and their source line, as stock Python shows them.

use pyrmware_payload::{NAMELESS, nameless_module};

use super::report;
use super::symbols::Symbols;

/// A log that was read.
#[derive(Default)]
pub struct Read {
    /// The log again, with what is known.
    pub text: Vec<u8>,
    /// Frames and names that the symbols know.
    pub places: usize,
    /// Frames of which the log tells no more than where their function begins.
    pub first_lines: usize,
}

/// A frame of a traceback or a dump, `  File "…", line 3, in main`, `  File "…", line 3 in main`, or a
/// warning, `…:3: UserWarning: text`. For a file, code may have told its module.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What is left of it: indentation, the bars of an exception group, what a journal puts there.
    pub before: &'a str,
    /// What the path follows: `File "`, or nothing.
    pub opening: &'a str,
    /// The file.
    pub path: &'a str,
    /// The line, where the frame says one.
    pub line: Option<u32>,
    /// What follows the path.
    pub after: &'a str,
}

/// Before a frame's path.
const OPENING: &str = "File \"";
/// Between it and its line.
const LINE: &str = "\", line ";

impl<'a> Frame<'a> {
    /// Takes a line, with or without its end, apart; none where it is no frame's.
    pub fn parse(line: &'a str) -> Option<Frame<'a>> {
        Frame::of_traceback(line).or_else(|| Frame::of_warning(line))
    }

    fn of_traceback(line: &'a str) -> Option<Frame<'a>> {
        let (before, rest) = line.split_at(line.find(OPENING)?);
        let (opening, rest) = rest.split_at(OPENING.len());
        let (path, after) = rest.split_at(rest.find(LINE)?);
        let number = &after[LINE.len()..];
        let end = number.find(|char: char| !char.is_ascii_digit()).unwrap_or(number.len());
        let (digits, name) = match number.strip_prefix("???") {
            Some(name) => ("", name),
            None => number.split_at(end),
        };
        let name = name.trim_end_matches(['\r', '\n']);
        let is_frame = before.is_empty() || before.ends_with(char::is_whitespace);
        let is_named = name.is_empty() || name.starts_with(", in ") || name.starts_with(" in ");
        let line = digits.parse().ok();
        (is_frame && is_named).then_some(Frame { before, opening, path, line, after })
    }

    fn of_warning(line: &'a str) -> Option<Frame<'a>> {
        let module = || {
            let start = line.find(NAMELESS)?;
            Some((start, start + line[start..].find(">:")? + 1))
        };
        let file = || {
            let end = line.find(".py:")? + ".py".len();
            Some((line[..end].rfind(' ').map_or(0, |space| space + 1), end))
        };
        let (start, end) = module().into_iter().chain(file()).min()?;
        let (before, path, after) = (&line[..start], &line[start..end], &line[end..]);
        let (number, text) = after[1..].split_once(": ")?;
        let is_warning = text.split(':').next().is_some_and(|kind| kind.ends_with("Warning"));
        let line = number.parse().ok().filter(|_| is_warning)?;
        Some(Frame { before, opening: "", path, line: Some(line), after })
    }

    /// Whether this is the frame's source line, or what marks a part of one.
    fn is_above(&self, line: &[u8]) -> bool {
        let indent = self.before.len() - self.before.trim_end_matches(' ').len();
        let from = self.before.len() - indent;
        line.get(from..from + indent + 2)
            .is_some_and(|start| start.iter().all(|byte| *byte == b' '))
    }
}

/// Reads a log with the symbols of its build.
pub fn read(log: &[u8], symbols: &Symbols) -> Read {
    if let Some(mut report) = report::parse(log) {
        let places = report::annotate(&mut report, symbols);
        return Read { text: format!("{report:#}\n").into_bytes(), places, ..Read::default() };
    }
    let lines: Vec<&[u8]> = log.split_inclusive(|byte| *byte == b'\n').collect();
    let frames = lines.iter().filter_map(|line| Frame::parse(std::str::from_utf8(line).ok()?));
    let mut paths = frames.map(|frame| frame.path).filter(|path| nameless_module(path).is_none());
    let named = paths.any(|path| symbols.inside(path, false).is_some());
    let mut writer = Writer { symbols, renamed: !named, out: Read::default() };
    for (at, line) in lines.iter().enumerate() {
        let next = lines.get(at + 1).copied().unwrap_or_default();
        let known = std::str::from_utf8(line).ok().and_then(|line| writer.line(line, next));
        if known.is_none() {
            writer.out.text.extend_from_slice(line);
        }
    }
    writer.out
}

struct Writer<'a> {
    symbols: &'a Symbols,
    /// No frame is below a file with the application's name: the launcher has another one.
    renamed: bool,
    out: Read,
}

impl Writer<'_> {
    /// Writes a line of which more is known; `None`: it stays as it is.
    fn line(&mut self, line: &str, next: &[u8]) -> Option<()> {
        if let Some(frame) = Frame::parse(line) {
            return self.frame(line, &frame, next);
        }
        if let Some(mut report) = report::parse(line.as_bytes()) {
            self.out.places += report::annotate(&mut report, self.symbols);
            self.write(&report.to_string(), line);
            return Some(());
        }
        self.memory(line, next)
    }

    fn frame(&mut self, line: &str, frame: &Frame<'_>, next: &[u8]) -> Option<()> {
        let inside = self.symbols.inside(frame.path, self.renamed)?;
        let file = self.symbols.file(inside)?.display();
        let after = frame.after.trim_end_matches(['\r', '\n']);
        self.out.places += 1;
        self.out.first_lines += usize::from(self.symbols.index.first_lines.contains(inside));
        self.write(&format!("{}{}{file}{after}", frame.before, frame.opening), line);
        let known = frame.line.filter(|_| !frame.is_above(next));
        if let Some(text) = known.and_then(|number| self.symbols.line(inside, number)) {
            self.below(&format!("{}  {text}", frame.before), line);
        }
        Some(())
    }

    /// What the launcher says of memory: where the names are defined follows.
    fn memory(&mut self, line: &str, next: &[u8]) -> Option<()> {
        let (_, text) = line.split_once(&format!("{}: memory: ", self.symbols.index.app))?;
        let is_told = std::str::from_utf8(next).is_ok_and(|next| Frame::parse(next).is_some());
        let places = if is_told { Vec::new() } else { report::named(text, self.symbols) };
        if places.is_empty() {
            return None;
        }
        self.write(line.trim_end_matches(['\r', '\n']), line);
        for place in places {
            self.out.places += 1;
            self.below(&format!("  File \"{}\", line {}", place.file.display(), place.line), line);
            self.below(&format!("    {}", place.text), line);
        }
        Some(())
    }

    /// Writes a text with the end that a line of the log has.
    fn write(&mut self, text: &str, line: &str) {
        self.out.text.extend_from_slice(text.as_bytes());
        let end = &line[line.trim_end_matches(['\r', '\n']).len()..];
        self.out.text.extend_from_slice(end.as_bytes());
    }

    /// The same for a further line below it.
    fn below(&mut self, text: &str, line: &str) {
        if !line.ends_with('\n') {
            self.out.text.push(b'\n');
        }
        self.write(text, line);
    }
}
