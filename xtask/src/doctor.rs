//! `cargo xtask doctor`: what is there, what is missing, and the remedy.

use std::process::ExitCode;

use crate::config::Flags;
use crate::ui::Ui;

/// List interpreters and tools: what is there, what is missing, and the remedy
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
}

impl Args {
    /// Prints what it found.
    ///
    /// # Errors
    /// Not there yet.
    pub fn run(self, _ui: &Ui) -> anyhow::Result<ExitCode> {
        let _ = self.flags;
        anyhow::bail!("doctor: not there yet")
    }
}
