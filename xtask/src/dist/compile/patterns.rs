//! The table of regular expressions that are compiled by the builder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result};
use pyrmware_payload::{Deferred, pattern_key, table};

use super::worker::{self, Worker};
use crate::dist::resolve::Plan;
use crate::dist::transform::Pattern;

/// Compiled regular expressions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patterns {
    /// A file of the cache.
    table: PathBuf,
    /// Module -> how many are in its source.
    pub counts: BTreeMap<String, usize>,
}

/// Compiles the regular expressions of the modules; none if there are none.
///
/// # Errors
/// The worker does not start or does not answer, or the cache cannot be written.
pub fn run(plan: &Plan, found: BTreeMap<String, BTreeSet<Pattern>>) -> Result<Option<Patterns>> {
    let patterns: BTreeSet<&Pattern> = found.values().flatten().collect();
    if patterns.is_empty() {
        return Ok(None);
    }
    let interpreter = &plan.interpreter;
    let key = [
        worker::SCRIPT.as_bytes(),
        interpreter.full_version.as_bytes(),
        &serde_json::to_vec(&patterns)?,
    ];
    let file = super::place(plan, &key, "patterns");
    // Its first line is the engine.
    if !file.exists() {
        let patterns: Vec<&Pattern> = patterns.into_iter().collect();
        let mut worker = Worker::start(interpreter, false)?;
        let (engine, compiled) =
            worker.patterns(&patterns).context("compiling regular expressions")?;
        let entry = |(pattern, code): (&&Pattern, Option<Vec<u8>>)| {
            let name = pattern_key(&pattern.text, pattern.bytes, pattern.flags);
            Some(Deferred { names: vec![name], line: 0, code: code? })
        };
        let entries: Vec<Deferred> = patterns.iter().zip(compiled).filter_map(entry).collect();
        super::store(&file, &[engine.as_bytes(), b"\n", &table(&entries)].concat())?;
    }
    let counts = found.into_iter().map(|(name, patterns)| (name, patterns.len())).collect();
    Ok(Some(Patterns { table: file, counts }))
}

impl Patterns {
    /// For which engine (`pyrmware_payload::keys::PATTERNS`), and the table.
    ///
    /// # Errors
    /// The file of the cache cannot be read.
    pub fn read(&self) -> Result<(String, Vec<u8>)> {
        let act = || format!("reading the table of regular expressions, {}", self.table.display());
        let bytes = std::fs::read(&self.table).with_context(act)?;
        let at = memchr::memchr(b'\n', &bytes).with_context(act)?;
        let engine = String::from_utf8(bytes[..at].to_vec()).with_context(act)?;
        Ok((engine, bytes[at + 1..].to_vec()))
    }
}
