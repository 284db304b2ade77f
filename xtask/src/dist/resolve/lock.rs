//! Where versions and hashes of the dependencies come from.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::requirements::{self, Pin};
use crate::config::Config;
use crate::python::Interpreter;

/// A lock, read.
pub(super) struct Locked {
    /// The file.
    pub file: PathBuf,
    /// What it names.
    pub pins: Vec<Pin>,
    /// Where packages come from, as options of an installer.
    pub options: Vec<String>,
    /// What is worth telling.
    pub notes: Vec<String>,
}

/// Reads the project's lock.
pub(super) fn read(config: &Config, _interpreter: &Interpreter) -> Result<Locked> {
    let folder = &config.project.dir;
    let file = folder.join("requirements.txt");
    if !file.is_file() {
        bail!(
            "{} has dependencies and no requirements.txt with pinned and hashed lines",
            folder.display()
        );
    }
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    let read = requirements::parse(&text, folder)
        .with_context(|| format!("cannot use {} as a lock", file.display()))?;
    Ok(Locked { file, pins: read.pins, options: read.options, notes: Vec::new() })
}
