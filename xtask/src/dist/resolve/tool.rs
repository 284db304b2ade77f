//! The programs that talk to package indexes: uv, else pip.

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{Cross, explain, sources, wheels};
use crate::config::Config;
use crate::python::marker::normalise;
use crate::python::version::Version;
use crate::python::{Interpreter, host_tool_python};

/// The oldest uv that does what is asked of it, and what is installed where there is none.
const OLDEST_UV: &str = "0.8";
const INSTALLED_UV: &str = "uv>=0.9,<1";
/// Forces one of the tools: "uv" or "pip".
const VARIABLE: &str = "PYRMWARE_RESOLVER";

/// An installer.
#[derive(Debug, Clone)]
pub(in crate::dist) enum Tool {
    /// The program `uv`.
    Uv(PathBuf),
    /// A Python that can run pip.
    Pip(PathBuf),
}

/// The tool, looked for when it is needed first: where everything is there already, none is started.
pub(in crate::dist) struct Tools<'a> {
    pub config: &'a Config,
    pub interpreter: &'a Interpreter,
    /// The machine that packages are for; none: this one.
    pub cross: Option<&'a Cross>,
    pub epoch: u64,
    /// Normalised names of the packages that may be built from source, sorted.
    pub sdists: Vec<String>,
    tool: OnceCell<(Tool, Option<String>)>,
}

impl<'a> Tools<'a> {
    pub fn new(
        config: &'a Config,
        interpreter: &'a Interpreter,
        cross: Option<&'a Cross>,
        epoch: u64,
    ) -> Self {
        let mut sdists: Vec<String> =
            config.project.sdists.iter().map(|name| normalise(name)).collect();
        sdists.sort();
        Self { config, interpreter, cross, epoch, sdists, tool: OnceCell::new() }
    }

    /// uv where it is found or can be installed, else pip.
    pub fn get(&self) -> Result<&Tool> {
        if self.tool.get().is_none() {
            let _ = self.tool.set(self.find()?);
        }
        Ok(&self.tool.get().context("the tool was set")?.0)
    }

    /// What is worth telling about the choice.
    pub fn note(&self) -> Option<String> {
        self.tool.get().and_then(|(_, note)| note.clone())
    }

    fn find(&self) -> Result<(Tool, Option<String>)> {
        let forced = std::env::var(VARIABLE).unwrap_or_default();
        let pip = || host_tool_python(self.interpreter).map(Tool::Pip);
        match forced.as_str() {
            "" | "uv" => {}
            "pip" => return Ok((pip()?, None)),
            other => bail!("{VARIABLE} is `{other}`; it can be `uv` or `pip`"),
        }
        let tools = self.config.paths.tools();
        if let Some(uv) = installed_uv(&tools) {
            return Ok((Tool::Uv(uv), None));
        }
        let installed = if self.config.resolution.offline {
            Err(anyhow::anyhow!("uv is not installed, and --offline forbids to fetch it"))
        } else {
            install_uv(&tools, self.interpreter)
        };
        match installed {
            Ok(uv) => Ok((Tool::Uv(uv), None)),
            Err(error) if forced == "uv" => Err(error),
            Err(error) => {
                let note = format!("using pip: {error:#}");
                Ok((pip().with_context(|| format!("{error:#}"))?, Some(note)))
            }
        }
    }

    /// Runs the tool with these arguments in the project's folder, whose configuration it reads.
    /// Gives what it wrote to stdout; `act` says what failed.
    pub fn run<A: AsRef<OsStr>>(
        &self,
        verb: &str,
        arguments: &[A],
        act: &explain::Act,
    ) -> Result<Vec<u8>> {
        self.run_with(self.get()?, verb, arguments, act)
    }

    /// As [`Tools::run`], with this tool.
    pub fn run_with<A: AsRef<OsStr>>(
        &self,
        tool: &Tool,
        verb: &str,
        arguments: &[A],
        act: &explain::Act,
    ) -> Result<Vec<u8>> {
        let mut command = tool.command(verb, self);
        // What is built from source shall not hold the day.
        command.env("SOURCE_DATE_EPOCH", self.epoch.to_string());
        if let Some(cross) = self.cross {
            command.envs(wheels::environment(cross, self.interpreter));
        }
        command.args(arguments).current_dir(&self.config.project.dir).stdin(Stdio::null());
        let output = command
            .output()
            .with_context(|| format!("cannot start {}", tool.program().display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(explain::failure(tool, self, act, &said));
        }
        Ok(output.stdout)
    }
}

impl Tool {
    pub fn is_uv(&self) -> bool {
        matches!(self, Self::Uv(_))
    }

    /// What is started.
    fn program(&self) -> &Path {
        match self {
            Self::Uv(program) | Self::Pip(program) => program,
        }
    }

    /// The tool for the interpreter, up to and with the verb: "compile", "install" of uv's `pip`, `pip install`, or
    /// "export".
    fn command(&self, verb: &str, tools: &Tools) -> Command {
        let program = &tools.interpreter.program;
        let offline = tools.config.resolution.offline;
        let mut command = Command::new(self.program());
        match self {
            Self::Uv(_) => {
                command.args(["--color", "never", "--no-progress"]);
                command.args(offline.then_some("--offline"));
                command.args((verb != "export").then_some("pip")).arg(verb);
                command.arg("--python").arg(program).env("UV_PYTHON_DOWNLOADS", "never");
                sources::hand_over(&mut command, &tools.config.project.dir);
            }
            Self::Pip(_) => {
                command.args(["-I", "-m", "pip", "--python"]).arg(program);
                command.args(["--no-input", "--disable-pip-version-check", verb]);
                command.args(offline.then_some("--no-index"));
            }
        }
        command
    }
}

/// uv on PATH, or the one that was installed before, if recent enough.
pub(crate) fn installed_uv(tools: &Path) -> Option<PathBuf> {
    let own = tools.join("uv/bin/uv");
    which::which("uv").ok().into_iter().chain([own]).find(|program| {
        let oldest: Option<Version> = OLDEST_UV.parse().ok();
        uv_version(program).zip(oldest).is_some_and(|(version, oldest)| version >= oldest)
    })
}

/// What `uv --version` says.
pub(crate) fn uv_version(program: &Path) -> Option<Version> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().nth(1)?.parse().ok()
}

/// Installs uv into the tools folder, all of it or nothing.
fn install_uv(tools: &Path, interpreter: &Interpreter) -> Result<PathBuf> {
    let python = host_tool_python(interpreter)?;
    std::fs::create_dir_all(tools).with_context(|| format!("cannot make {}", tools.display()))?;
    let aside = tempfile::Builder::new().prefix(".new-").tempdir_in(tools)?;
    let folder = aside.path().join("uv");
    let mut command = Command::new(&python);
    command.args([
        "-I",
        "-m",
        "pip",
        "--no-input",
        "--disable-pip-version-check",
        "install",
        "--only-binary",
        ":all:",
    ]);
    command
        .args(["--quiet", "--no-compile", "--target"])
        .arg(&folder)
        .arg(INSTALLED_UV)
        .stdin(Stdio::null());
    let output = command.output().with_context(|| format!("cannot start {}", python.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last =
            said.lines().rfind(|line| line.starts_with("ERROR")).unwrap_or("pip said nothing");
        bail!(
            "pip of {} cannot install {INSTALLED_UV}: {}",
            python.display(),
            last.trim_start_matches("ERROR: ")
        );
    }
    let target = tools.join("uv");
    // One that is too old makes place; another run may have been faster.
    let _ = std::fs::remove_dir_all(&target);
    match std::fs::rename(&folder, &target) {
        Err(error) if !target.is_dir() => {
            Err(error).with_context(|| format!("cannot write {}", target.display()))
        }
        _ => installed_uv(tools)
            .with_context(|| format!("{} does not work", target.join("bin/uv").display())),
    }
}
