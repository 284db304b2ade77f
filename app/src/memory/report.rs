//! What happened, as JSON files in a folder that survives power cuts and never fills up.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::limits::{Ceiling, Source};
use super::relief::Relief;
use super::settings::Settings;

/// So many are kept, the youngest.
const KEPT: usize = 10;
const PREFIX: &str = "memory-";

/// What is known at the time.
pub struct Facts<'a> {
    /// Why there is a report: `soft`, `hard`, `verdict`.
    pub reason: &'a str,
    /// The line that was logged.
    pub text: &'a str,
    /// Since the start.
    pub seconds: u64,
    /// Resident bytes.
    pub rss: u64,
    /// Private bytes, where they were looked at.
    pub private: Option<u64>,
    /// What there is.
    pub ceiling: Option<Ceiling>,
    /// The limits in bytes.
    pub limits: (Option<u64>, Option<u64>),
    /// Open files and threads.
    pub counts: (Option<u32>, Option<u32>),
    /// What was given back before.
    pub relief: Option<&'a Relief>,
}

/// Writes a report aside, has the disk take it, renames it, and takes away the oldest.
///
/// # Errors
/// The folder cannot be made, is full, or cannot be written to.
pub fn write(folder: &Path, settings: &Settings, facts: &Facts<'_>) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let old = reports(folder)?;
    let number = |path: &PathBuf| -> Option<u64> {
        path.file_stem()?.to_str()?.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
    };
    // By number, not by time: clocks of devices begin anew.
    let next = old.iter().filter_map(number).max().map_or(1, |last| last + 1);
    let path = folder.join(format!("{PREFIX}{next:06}-{}.json", facts.reason));
    let aside = folder.join(format!(".{PREFIX}{}", std::process::id()));
    let written = File::create(&aside)
        .and_then(|mut file| {
            file.write_all(json(settings, facts, time).as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&aside, &path));
    if written.is_err() {
        // What is half there is of no use; that it could not be written is what is told.
        let _ = fs::remove_file(&aside);
    }
    written?;
    File::open(folder)?.sync_all()?;
    for path in &old[..(old.len() + 1).saturating_sub(KEPT)] {
        fs::remove_file(path)?;
    }
    Ok(path)
}

/// The reports that there are, the oldest first.
fn reports(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let is_report = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(PREFIX) && name.ends_with(".json")
    };
    let entries: io::Result<Vec<_>> = fs::read_dir(folder)?.collect();
    let mut found: Vec<PathBuf> =
        entries?.into_iter().map(|entry| entry.path()).filter(is_report).collect();
    found.sort();
    Ok(found)
}

fn json(settings: &Settings, facts: &Facts<'_>, time: u64) -> String {
    let number = |number: Option<u64>| number.map_or("null".to_owned(), |n| n.to_string());
    let count = |count: Option<u32>| number(count.map(u64::from));
    let ceiling = facts.ceiling.map_or("null".to_owned(), |ceiling| {
        let source = match ceiling.source {
            Source::Cgroup => "cgroup",
            Source::Machine => "machine",
        };
        format!("{{\"bytes\": {}, \"source\": \"{source}\"}}", ceiling.bytes)
    });
    let relief = facts.relief.map_or("null".to_owned(), |relief| {
        let given = relief.given.iter().map(|(what, bytes)| format!("{}: {bytes}", quoted(what)));
        let given: Vec<String> = given.collect();
        let milliseconds = relief.took.as_millis();
        format!(
            "{{\"level\": {}, \"milliseconds\": {milliseconds}, \"given\": {{{}}}}}",
            relief.level,
            given.join(", ")
        )
    });
    format!(
        "{{\"app\": {}, \"version\": {}, \"reason\": {}, \"text\": {}, \"time\": {time}, \"uptime\": {}, \
         \"process\": {}, \"rss\": {}, \"private\": {}, \"soft\": {}, \"hard\": {}, \"ceiling\": {ceiling}, \
         \"fds\": {}, \"threads\": {}, \"relief\": {relief}}}\n",
        quoted(&settings.app),
        quoted(&settings.version),
        quoted(facts.reason),
        quoted(facts.text),
        facts.seconds,
        std::process::id(),
        facts.rss,
        number(facts.private),
        number(facts.limits.0),
        number(facts.limits.1),
        count(facts.counts.0),
        count(facts.counts.1),
    )
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
