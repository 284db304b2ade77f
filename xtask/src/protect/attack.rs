//! What somebody who has the launcher's file finds in it.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Sources;
use crate::dist::Outcome;
use crate::dist::symbols::{FOLDER, Index};

const SCRIPT: &str = include_str!("../python/attack.py");

/// Found, of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part(pub u64, pub u64);

/// What is found of an application's code.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Sight {
    /// Bytes of its files in the payload.
    pub bytes: u64,
    /// Functions whose bytecode can be read.
    pub functions: Part,
    /// Lines of source.
    pub lines: Part,
    /// First lines of docstrings.
    pub docstrings: Part,
    /// Names of functions and classes.
    pub names: Part,
    /// Other strings.
    pub strings: Part,
}

impl Sight {
    /// For people.
    pub fn told(&self, modules: usize) -> String {
        let rows = [
            ("functions as bytecode", self.functions),
            ("lines of source", self.lines),
            ("docstrings", self.docstrings),
            ("names of functions and classes", self.names),
            ("strings", self.strings),
        ];
        let rows = rows.map(|(what, Part(found, all))| format!("{found:>6} of {all:<6} {what}"));
        format!(
            "{modules} modules of the application; the launcher shows to whoever has it\n{}",
            rows.join("\n")
        )
    }
}

/// The sources of the modules in an image that are the project's own.
pub(super) fn sources(image: &Outcome, project: &Path) -> Result<Sources> {
    let folder = image.folder.join(FOLDER);
    let index = Index::read(&folder)?;
    let index = index.with_context(|| format!("{} has no index", folder.display()))?;
    let own = |file: &Path| file.starts_with(project);
    Ok(index.sources.into_iter().filter(|(_, file)| own(file)).collect())
}

/// Looks for these sources in an image's launcher.
///
/// # Errors
/// The interpreter does not run, or a file cannot be read.
pub(super) fn run(image: &Outcome, own: &Sources) -> Result<Sight> {
    let launcher = &image.launcher;
    let mut command = image.interpreter.command();
    command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let act = || format!("looking for code in {}", launcher.display());
    let mut child = command.stderr(Stdio::piped()).spawn().with_context(act)?;
    let job = json!({"launcher": launcher, "sources": own}).to_string();
    // Who does not read says so by how it ends.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(job.as_bytes()));
    let output = child.wait_with_output().with_context(act)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}", act(), said.lines().last().unwrap_or("Python failed without a word"));
    }
    serde_json::from_slice(&output.stdout).with_context(act)
}
