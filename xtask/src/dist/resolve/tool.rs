//! The programs that talk to package indexes: uv, else pip.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::paths::Paths;
use crate::python::{Interpreter, host_tool_python};

/// An installer.
#[derive(Debug, Clone)]
pub(super) enum Tool {
    /// The program `uv`.
    Uv(PathBuf),
    /// A Python that can run pip.
    Pip(PathBuf),
}

impl Tool {
    /// The tool that is there.
    pub fn find(_paths: &Paths, interpreter: &Interpreter) -> Result<Self> {
        if let Ok(uv) = which::which("uv") {
            return Ok(Self::Uv(uv));
        }
        host_tool_python(interpreter).map(Self::Pip)
    }

    /// `pip install` for an interpreter, in the project's folder, whose configuration the tools read.
    pub fn install(&self, interpreter: &Interpreter, folder: &Path) -> Command {
        let mut command = match self {
            Self::Uv(uv) => {
                let mut command = Command::new(uv);
                command.args(["pip", "install", "--link-mode", "copy", "--no-progress"]);
                command.arg("--python").arg(&interpreter.program);
                command.env("UV_PYTHON_DOWNLOADS", "never");
                command
            }
            Self::Pip(python) => {
                let mut command = Command::new(python);
                command.args(["-I", "-m", "pip", "--python"]).arg(&interpreter.program);
                command.args(["--no-input", "--disable-pip-version-check", "install"]);
                command.args(["--no-compile", "--ignore-installed", "--no-warn-script-location"]);
                command
            }
        };
        command.current_dir(folder);
        command
    }
}
