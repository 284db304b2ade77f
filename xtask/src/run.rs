//! `cargo xtask run -- ARGS`: dist, then the launcher with these arguments.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

use crate::config::{Config, Flags};
use crate::dist::{self, resolve};
use crate::ui::Ui;

/// Build, then run the launcher; its exit code is passed on
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cargo xtask run --project tests/apps/hello -- --help")]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
    /// Arguments of the application, after `--`
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) args: Vec<OsString>,
}

impl Args {
    /// Builds, then becomes the launcher.
    ///
    /// # Errors
    /// What `dist` has to say, or that the launcher cannot be started.
    pub fn run(self, ui: &Ui) -> anyhow::Result<ExitCode> {
        let image = dist::run(Config::load(&self.flags)?, ui)?;
        ensure!(
            image.runner.is_some() || resolve::runs_natively(&image.target),
            "{} is for {}, which this machine runs in qemu's user mode only; remedy: {}",
            image.launcher.display(),
            image.target,
            resolve::Runner::remedy()
        );
        ui.status("Running", image.launcher.display());
        if let Some(lacks) = image.runner.as_ref().and_then(resolve::Runner::lacks) {
            ui.note(lacks);
        }
        let mut command = image.command();
        command.args(self.args);
        let failed = || format!("cannot start {}", image.launcher.display());
        become_process(command).with_context(failed)
    }
}

/// On Unix the launcher takes this process's place: signals, terminal and exit code are its own.
#[cfg(unix)]
fn become_process(mut command: Command) -> std::io::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(command.exec())
}

#[cfg(not(unix))]
fn become_process(mut command: Command) -> std::io::Result<ExitCode> {
    let code = command.status()?.code().unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
