//! Where a tool works: a folder with the sources, made for it and thrown away, and the cache of what came out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use super::{Source, Tool};
use crate::dist::hex;
use crate::dist::protect::MADE;
use crate::dist::resolve::{Cross, Plan};
use crate::python::{Interpreter, remedy};
use crate::ui;

/// Grows when the same inputs are to give other results.
const FORM: u32 = 1;
/// Of what a tool says in vain so many lines are shown.
const SHOWN: usize = 20;

/// A tool, and for what it works.
pub struct Workshop<'a> {
    /// For what.
    pub plan: &'a Plan,
    /// The tool.
    pub tool: &'a Tool,
    /// Where it is installed: looked for when it is needed first.
    place: OnceLock<PathBuf>,
}

/// The folders of one run.
pub struct Folder {
    /// Holds all others.
    pub top: PathBuf,
    /// The sources, each at its path inside the payload; the tool runs here.
    pub sources: PathBuf,
    /// What is kept.
    pub out: PathBuf,
}

/// What a process said, and whether it was content.
pub struct Said {
    /// It exited with 0.
    pub well: bool,
    /// stdout, then stderr.
    pub text: String,
}

impl<'a> Workshop<'a> {
    pub(super) fn new(plan: &'a Plan, tool: &'a Tool) -> Self {
        Workshop { plan, tool, place: OnceLock::new() }
    }

    /// The folder with what `work` has made of these sources: now, or at an earlier time from the same sources in
    /// the same way.
    ///
    /// # Errors
    /// What the work has to say; a file cannot be written.
    pub fn made(
        &self,
        sources: &[&Source],
        way: &[String],
        work: impl FnOnce(&Folder) -> Result<()>,
    ) -> Result<PathBuf> {
        let cache = self.plan.config.paths.cache().join(MADE);
        let key = self.key(sources, way);
        let place = cache.join(&key[..2]).join(&key[2..]);
        if place.is_dir() {
            return Ok(place);
        }
        let act = || format!("cannot write {}", place.display());
        let above = cache.join(&key[..2]);
        fs::create_dir_all(&above).with_context(act)?;
        let aside =
            tempfile::Builder::new().prefix(".new-").tempdir_in(&cache).with_context(act)?;
        let top = aside.path().to_owned();
        let folder = Folder { sources: top.join("sources"), out: top.join("out"), top };
        fs::create_dir(&folder.out).with_context(act)?;
        for source in sources {
            folder.add(&source.path, &source.text)?;
        }
        work(&folder)?;
        match fs::rename(&folder.out, &place) {
            // Another run was faster.
            Err(error) if !place.is_dir() => Err(error).with_context(act),
            _ => Ok(place),
        }
    }

    /// Everything that the result depends on.
    fn key(&self, sources: &[&Source], way: &[String]) -> String {
        let interpreter = &self.plan.interpreter;
        let prefix = interpreter.prefix.to_string_lossy();
        let (compiler, words) = self.compiler_and_words();
        let head = [
            self.tool.name,
            self.tool.version,
            &interpreter.full_version,
            &prefix,
            &interpreter.ext_suffix,
            &self.plan.target,
            &compiler.to_string_lossy(),
        ];
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        add(&FORM.to_le_bytes());
        add(&self.plan.epoch.to_le_bytes());
        head.iter().for_each(|part| add(part.as_bytes()));
        words.iter().for_each(|word| add(word.as_bytes()));
        add(&(way.len() as u64).to_le_bytes());
        way.iter().for_each(|word| add(word.as_bytes()));
        for source in sources {
            add(source.name.as_bytes());
            add(source.path.as_bytes());
            add(&[source.docstrings.into()]);
            add(&source.text);
        }
        hex(&hash.finalize())
    }

    /// A process of the interpreter that has the tool, and knows nothing of the user.
    ///
    /// # Errors
    /// The tool is not there and cannot be installed.
    pub fn command(&self, folder: &Folder) -> Result<Command> {
        let place = match self.place.get() {
            Some(place) => place,
            None => {
                let place = self.tool.installed(self.plan)?;
                self.place.get_or_init(|| place)
            }
        };
        let mut command = self.plan.interpreter.command();
        command.env("PYTHONPATH", place);
        self.settle(&mut command, folder);
        Ok(command)
    }

    /// The compiler of C, for the device.
    pub fn compiler(&self, folder: &Folder) -> Command {
        let (program, words) = self.compiler_and_words();
        let mut command = Command::new(program);
        command.args(words).env_clear().env("LC_ALL", "C.UTF-8");
        self.settle(&mut command, folder);
        command
    }

    fn compiler_and_words(&self) -> (PathBuf, Vec<String>) {
        compiler_for(self.plan.cross.as_ref())
    }

    /// Gives a process what it may know.
    fn settle(&self, command: &mut Command, folder: &Folder) {
        for name in ["PATH", "TMPDIR", "CC", "LD_LIBRARY_PATH"] {
            if let (Some(value), None) =
                (std::env::var_os(name), command.get_envs().find(|(known, _)| *known == name))
            {
                command.env(name, value);
            }
        }
        command
            .env("HOME", &folder.top)
            .env("SOURCE_DATE_EPOCH", self.plan.epoch.to_string())
            .current_dir(&folder.sources)
            .stdin(Stdio::null());
    }

    /// Checks that C can be compiled for the interpreter.
    ///
    /// # Errors
    /// There are no headers; with what installs them.
    pub fn need_headers(&self) -> Result<()> {
        headers(&self.plan.interpreter).with_context(|| format!("{} compiles C", self.tool.name))
    }

    /// The error of a run that failed for no reason that is known.
    pub fn failed(&self, said: &Said) -> anyhow::Error {
        let Tool { name, version, .. } = self.tool;
        let last = ui::last_lines(&said.text, SHOWN);
        let last = if last.is_empty() { "it said nothing".to_owned() } else { last };
        anyhow::Error::msg(last).context(format!("{name} {version} failed"))
    }
}

impl Folder {
    /// Writes a file among the sources.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add(&self, path: &str, text: &[u8]) -> Result<()> {
        let file = self.sources.join(path);
        let folder = file.parent().unwrap_or(&self.sources);
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&file, text))
            .with_context(|| format!("cannot write {}", file.display()))
    }
}

/// Runs a process to its end.
///
/// # Errors
/// It does not start.
pub fn finish(command: &mut Command) -> Result<Said> {
    let program = command.get_program().to_string_lossy().into_owned();
    let remedy = || {
        let package = remedy::install(&["gcc".to_owned()]);
        match Path::new(&program).is_absolute() {
            true => format!("cannot start {program}"),
            false => format!("cannot start {program}; remedy: {package}, or name a compiler in CC"),
        }
    };
    let output = command.output().with_context(remedy)?;
    let text =
        [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned());
    Ok(Said { well: output.status.success(), text: text.concat() })
}

/// The compiler of C for a machine, and what it is to be told first.
fn compiler_for(cross: Option<&Cross>) -> (PathBuf, Vec<String>) {
    match cross {
        Some(cross) => {
            let (program, words) = cross.compiler();
            (program.into(), words)
        }
        None => (compiler(), Vec::new()),
    }
}

/// `CC`, or the system's.
fn compiler() -> PathBuf {
    let named = std::env::var_os("CC").filter(|name| !name.is_empty());
    named.map_or_else(|| which::which("cc").unwrap_or_else(|_| "cc".into()), PathBuf::from)
}

fn headers(interpreter: &Interpreter) -> Result<()> {
    ensure!(
        interpreter.include.join("Python.h").is_file(),
        "the headers of Python {} are not in {}; remedy: {}",
        interpreter.full_version,
        interpreter.include.display(),
        remedy::headers(interpreter)
    );
    Ok(())
}

/// What compiles C for an interpreter: tried with an empty program, for a compiler may lack the headers of its own
/// library.
///
/// # Errors
/// What is missing, and what installs it.
pub fn try_compiler(interpreter: &Interpreter, cross: Option<&Cross>) -> Result<PathBuf> {
    headers(interpreter)?;
    let (program, words) = compiler_for(cross);
    let mut command = Command::new(&program);
    command.args(words).args(["-fsyntax-only", "-I"]).arg(&interpreter.include);
    command.args(["-include", "Python.h", "-x", "c", "/dev/null"]).env("LC_ALL", "C.UTF-8");
    let said = finish(command.stdin(Stdio::null()))?;
    let packages = match cross {
        Some(cross) => vec![cross.target.gcc().1],
        None => ["gcc", "libc6-dev"].map(str::to_owned).into(),
    };
    ensure!(
        said.well,
        "{} does not compile: {}; remedy: {}",
        program.display(),
        said.text.lines().find(|line| line.contains("error")).unwrap_or("it does not say why"),
        remedy::install(&packages)
    );
    Ok(program)
}
