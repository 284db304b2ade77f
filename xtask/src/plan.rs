//! `cargo xtask plan`: what `dist` would do, before it does it.

use std::process::ExitCode;

use crate::config::{Config, Flags};
use crate::dist::resolve;
use crate::ui::Ui;

/// Print what `dist` would do, without building anything
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
}

impl Args {
    /// Resolves, then prints the plan.
    ///
    /// # Errors
    /// Whatever configuration and resolution have to say.
    pub fn run(self, _ui: &Ui) -> anyhow::Result<ExitCode> {
        let _plan = resolve::run(Config::load(&self.flags)?)?;
        anyhow::bail!("plan: not there yet")
    }
}
