//! `requirements.txt` whose every line is pinned and hashed: read from a user, written for an installer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use anyhow::{Result, bail, ensure};

use crate::python::marker::{Marker, Requirement};

/// One distribution that a lock names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pin {
    /// Normalised name.
    pub name: String,
    /// Exact version; empty where only a URL is known.
    pub version: String,
    /// A direct URL.
    pub url: Option<String>,
    /// When it applies; none: always.
    pub marker: Option<Marker>,
    /// "sha256:…" of every file that will do.
    pub hashes: BTreeSet<String>,
}

/// A file's pins and the options that say where packages come from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pins {
    /// In the order of the file.
    pub pins: Vec<Pin>,
    /// `--index-url URL`, `--find-links FOLDER`, …
    pub options: Vec<String>,
}

/// Options that name sources of packages; all others would change what was locked.
const SOURCES: [(&str, &str); 6] = [
    ("-i", "--index-url"),
    ("--index-url", "--index-url"),
    ("--extra-index-url", "--extra-index-url"),
    ("-f", "--find-links"),
    ("--find-links", "--find-links"),
    ("--no-index", "--no-index"),
];

/// Reads a requirements file that lies in `folder`.
pub(super) fn parse(text: &str, folder: &Path) -> Result<Pins> {
    let mut read = Pins::default();
    for (number, line) in logical_lines(text) {
        if line.starts_with('-') {
            read.options.push(option(&line, number, folder)?);
        } else {
            read.pins.push(pin(&line, number)?);
        }
    }
    Ok(read)
}

/// Lines with their continuations and without comments, each with the number of its first physical line.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let is_comment = |at: usize| at == 0 || line[..at].ends_with(char::is_whitespace);
        let end = line
            .match_indices('#')
            .map(|(at, _)| at)
            .find(|at| is_comment(*at))
            .unwrap_or(line.len());
        let line = line[..end].trim();
        let (body, continues) = line.strip_suffix('\\').map_or((line, false), |body| (body, true));
        let (_, joined) = open.get_or_insert((index + 1, String::new()));
        joined.push_str(body.trim_end());
        joined.push(' ');
        if !continues {
            lines.extend(open.take());
        }
    }
    lines.extend(open);
    lines
        .into_iter()
        .map(|(number, line)| (number, line.trim().to_owned()))
        .filter(|(_, line)| !line.is_empty())
        .collect()
}

fn option(line: &str, number: usize, folder: &Path) -> Result<String> {
    let (name, value) = line.split_once([' ', '=']).unwrap_or((line, ""));
    let value = value.trim();
    let Some((_, name)) = SOURCES.iter().find(|(short, _)| *short == name) else {
        bail!(
            "line {number}: `{name}` is not followed here; put pinned and hashed lines in this file"
        );
    };
    if *name != "--find-links" || value.contains("://") {
        return Ok(format!("{name} {value}").trim_end().to_owned());
    }
    Ok(format!("{name} {}", folder.join(value).display()))
}

fn pin(line: &str, number: usize) -> Result<Pin> {
    let (requirement, hashes) = line.split_once(" --hash").unwrap_or((line, ""));
    let requirement: Requirement = requirement.trim().parse()?;
    let name = requirement.name;
    let version = match (requirement.specifier.pinned(), &requirement.url) {
        (Some(version), _) => version.to_string(),
        (None, Some(_)) => String::new(),
        (None, None) => bail!("line {number}: `{name}` is not pinned to one version with `==`"),
    };
    let hashes = hashes.split(" --hash").map(|hash| hash.trim_start_matches(['=', ' ']).trim());
    let hashes: BTreeSet<String> =
        hashes.filter(|hash| !hash.is_empty()).map(str::to_owned).collect();
    ensure!(!hashes.is_empty(), "line {number}: `{name}` has no `--hash=sha256:…`");
    Ok(Pin { name, version, url: requirement.url, marker: requirement.marker, hashes })
}

/// The pins whose markers hold, by name.
pub(super) fn for_target(pins: Vec<Pin>, environment: &BTreeMap<String, String>) -> Vec<Pin> {
    let applies = |pin: &Pin| pin.marker.as_ref().is_none_or(|marker| marker.holds(environment));
    let mut pins: Vec<Pin> = pins.into_iter().filter(applies).collect();
    pins.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    pins
}

/// The file that an installer reads. Its text is what the installed folder is addressed by.
pub(super) fn write<'a>(pins: impl IntoIterator<Item = &'a Pin>, options: &[String]) -> String {
    let mut text = String::new();
    for option in options {
        let _ = writeln!(text, "{option}");
    }
    for pin in pins {
        let _ = match &pin.url {
            Some(url) => write!(text, "{} @ {url}", pin.name),
            None => write!(text, "{}=={}", pin.name, pin.version),
        };
        for hash in &pin.hashes {
            let _ = write!(text, " \\\n    --hash={hash}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# made by a tool
-i https://mirror.invalid/simple
--find-links=wheels
Flask==3.0.0 \\
    --hash=sha256:bb \\
    --hash sha256:aa
    # via app
colorama==0.4.6 ; sys_platform == 'win32' --hash=sha256:cc  # for Windows
direct @ https://host.invalid/direct-1.0-py3-none-any.whl#frag --hash=sha256:dd
";

    #[test]
    fn pinned_lines_are_read_and_written_for_the_target() {
        let read = parse(TEXT, Path::new("/app")).unwrap();
        let environment = [("sys_platform".to_owned(), "linux".to_owned())].into();
        let pins = for_target(read.pins, &environment);
        assert_eq!(
            write(&pins, &read.options),
            "--index-url https://mirror.invalid/simple\n--find-links /app/wheels\n\
             direct @ https://host.invalid/direct-1.0-py3-none-any.whl#frag \\\n    --hash=sha256:dd\n\
             flask==3.0.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
        );
    }

    #[test]
    fn what_is_not_locked_is_refused() {
        let error = |text| format!("{:#}", parse(text, Path::new("/app")).unwrap_err());
        assert_eq!(
            error("\n\nflask>=3\n"),
            "line 3: `flask` is not pinned to one version with `==`"
        );
        assert_eq!(error("flask==3.*"), "line 1: `flask` is not pinned to one version with `==`");
        assert_eq!(error("flask==3.0.0"), "line 1: `flask` has no `--hash=sha256:…`");
        assert_eq!(
            error("-r base.txt"),
            "line 1: `-r` is not followed here; put pinned and hashed lines in this file"
        );
    }
}
