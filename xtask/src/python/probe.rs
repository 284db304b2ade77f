//! Asks a Python program what it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::{Interpreter, libpython};

const SCRIPT: &str = include_str!("probe.py");
/// The minor versions of Python 3 that a launcher can embed.
pub(super) const MINORS: std::ops::RangeInclusive<u8> = 10..=14;

#[derive(Deserialize)]
struct Answer {
    implementation: String,
    version: (u8, u8),
    facts: Option<Facts>,
}

#[derive(Deserialize)]
struct Facts {
    base_program: PathBuf,
    prefix: PathBuf,
    full_version: String,
    magic: u16,
    stdlib: PathBuf,
    platstdlib: PathBuf,
    include: PathBuf,
    path: Vec<PathBuf>,
    builtins: BTreeSet<String>,
    frozen: BTreeSet<String>,
    exports: BTreeMap<String, BTreeSet<String>>,
    markers: BTreeMap<String, String>,
    sysconfig: BTreeMap<String, String>,
}

/// What the program is an interpreter of. Refuses what a launcher cannot embed.
pub(super) fn read(program: &Path) -> Result<Interpreter> {
    let answer = ask(program)?;
    let (major, minor) = answer.version;
    let shown = program.display();
    if answer.implementation != "cpython" {
        bail!(
            "{shown} is {} {major}.{minor}; a launcher embeds CPython, so name a CPython prefix",
            answer.implementation
        );
    }
    let Some(facts) = answer.facts.filter(|_| major == 3 && MINORS.contains(&minor)) else {
        bail!(
            "{shown} is Python {major}.{minor}; a launcher embeds Python 3.{} to 3.{}",
            MINORS.start(),
            MINORS.end()
        );
    };
    let is_set = |name: &str| facts.sysconfig.get(name).is_some_and(|value| value == "1");
    for (variable, kind) in
        [("Py_DEBUG", "a debug build"), ("Py_GIL_DISABLED", "a free-threaded build")]
    {
        ensure!(
            !is_set(variable),
            "{shown} is {kind} ({variable} is 1), whose extension modules are not those of an ordinary CPython; name an ordinary build"
        );
    }
    interpreter(facts, answer.version)
}

fn interpreter(facts: Facts, version: (u8, u8)) -> Result<Interpreter> {
    let prefix = absolute(&facts.prefix)?;
    let stdlib = absolute(&facts.stdlib)?;
    let in_path = facts.path.iter().find(|folder| folder.ends_with("lib-dynload"));
    let dynload = in_path.cloned().unwrap_or_else(|| facts.platstdlib.join("lib-dynload"));
    let places = libpython::Places {
        prefix: &prefix,
        stdlib: &stdlib,
        version: &format!("{}.{}", version.0, version.1),
        sysconfig: &facts.sysconfig,
    };
    let libraries = libpython::find(&places)?;
    // A build that was moved does not find its own libpython by the path that it was configured with.
    let shared = libraries.shared.as_deref().and_then(Path::parent);
    let moved = shared.filter(|folder| **folder == prefix.join("lib")).map(Path::to_owned);
    Ok(Interpreter {
        // Not resolved further: a program finds its prefix by where it is called.
        program: facts.base_program,
        program_libraries: moved,
        version,
        full_version: facts.full_version,
        magic: facts.magic,
        include: facts.include,
        dynload: absolute(&dynload).unwrap_or(dynload),
        ext_suffix: facts.sysconfig.get("EXT_SUFFIX").cloned().unwrap_or_else(|| ".so".to_owned()),
        builtins: facts.builtins,
        frozen: facts.frozen,
        exports: facts.exports,
        libraries,
        sysconfig: facts.sysconfig,
        markers: facts.markers,
        prefix,
        stdlib,
    })
}

fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize().with_context(|| {
        format!("cannot find {}, which the interpreter names as its own", path.display())
    })
}

fn ask(program: &Path) -> Result<Answer> {
    let mut command = Command::new(program);
    command.args(["-I", "-S", "-c", SCRIPT]).stdin(Stdio::null());
    // What else is in the environment stays: a version manager's stand-in for `python3` needs it.
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PYTHON") {
            command.env_remove(name);
        }
    }
    let output = command.output().with_context(|| format!("cannot start {}", program.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
        // Python says what is wrong last, others say it first.
        let telling = if said.contains("Traceback") { lines.next_back() } else { lines.next() };
        let said = telling.unwrap_or("it said nothing");
        bail!(
            "{} does not work as a Python interpreter ({}): {said}",
            program.display(),
            output.status
        );
    }
    serde_json::from_slice(&output.stdout).with_context(|| {
        format!("{} does not answer as a Python interpreter does", program.display())
    })
}
