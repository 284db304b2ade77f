//! A source file, read and parsed once: scan and transform both read it off the same tree.

use memchr::{memchr_iter, memchr2_iter};
use ruff_python_ast::{self as ast, Mod, PythonVersion};
use ruff_python_parser::{Mode, ParseOptions, parse_unchecked};
use ruff_text_size::TextSize;

use super::text::decode;

/// A parsed source file.
#[derive(Debug)]
pub struct Source {
    /// The file's.
    pub bytes: Vec<u8>,
    /// The module-level statements; none where [`Source::error`] is.
    pub body: ast::Suite,
    /// The version that it was parsed for.
    pub version: (u8, u8),
    /// Why it is no Python of any version, with the line.
    pub error: Option<String>,
    /// Why the target's Python does not take it, with the line.
    pub unsupported: Option<String>,
    /// Offsets of line ends.
    lines: Vec<u32>,
    /// Whether all lines end as those that are counted here.
    counted: bool,
}

impl Source {
    /// Parses a file for a version of Python. Never fails: what cannot be parsed says so.
    pub fn parse(bytes: Vec<u8>, version: (u8, u8)) -> Source {
        let text = decode(&bytes);
        let ends_line = |at: usize| text.as_bytes()[at..].starts_with(b"\r\n");
        let counted = memchr2_iter(b'\r', b'\x0c', text.as_bytes()).all(ends_line);
        let target = PythonVersion { major: version.0, minor: version.1 };
        let options = ParseOptions::from(Mode::Module).with_target_version(target);
        let parsed = parse_unchecked(&text, options);
        let mut source = Source {
            body: ast::Suite::new(),
            version,
            error: None,
            unsupported: None,
            lines: memchr_iter(b'\n', text.as_bytes()).map(|at| at as u32).collect(),
            counted,
            bytes,
        };
        let at_line =
            |at: TextSize, why: &dyn std::fmt::Display| format!("line {}: {why}", source.line(at));
        let error =
            parsed.errors().first().map(|error| at_line(error.location.start(), &error.error));
        let unsupported = parsed.unsupported_syntax_errors().first();
        source.unsupported = unsupported.map(|error| at_line(error.range.start(), error));
        source.error = error;
        if let (None, Mod::Module(ast::ModModule { body, .. })) =
            (&source.error, parsed.into_syntax())
        {
            source.body = body;
        }
        source
    }

    /// Whether it is what the target's Python takes, and counts its lines as they are counted here.
    pub fn is_sound(&self) -> bool {
        self.error.is_none() && self.unsupported.is_none() && self.counted
    }

    /// 1-based line.
    pub fn line(&self, at: TextSize) -> u32 {
        self.lines.partition_point(|end| *end < at.to_u32()) as u32 + 1
    }

    /// 1-based line, 0-based column in bytes.
    pub fn place(&self, at: TextSize) -> (u32, u32) {
        let line = self.line(at);
        let start = (line as usize).checked_sub(2).map_or(0, |before| self.lines[before] + 1);
        (line, at.to_u32() - start)
    }
}
