//! The pipeline: config -> resolve -> collect -> scan -> prune -> compile -> protect -> pack -> link -> verify -> report.
//!
//! A stage is `run(&Plan, Previous) -> Result<Next>`; it does not print and it uses ordered maps.

pub mod collect;
pub mod compile;
pub mod link;
pub mod pack;
pub mod protect;
pub mod prune;
pub mod report;
pub mod resolve;
pub mod scan;
pub mod verify;

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::config::{Config, Flags};
use crate::ui::Ui;

/// Build the launcher and its image folder
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
}

impl Args {
    /// Builds; the launcher's path is the only line on stdout.
    ///
    /// # Errors
    /// What a stage has to say.
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let outcome = run(Config::load(&self.flags)?, ui)?;
        ui.result(
            outcome.launcher.display(),
            serde_json::json!({"reason": "image", "launcher": outcome.launcher}),
        )?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A finished image folder.
#[derive(Debug)]
pub struct Outcome {
    /// The launcher, absolute.
    pub launcher: std::path::PathBuf,
}

/// Runs every stage.
///
/// # Errors
/// What a stage has to say.
pub fn run(config: Config, ui: &Ui) -> Result<Outcome> {
    let plan = resolve::run(config)?;
    let stage_dir = plan.config.out.with_extension("new");
    std::fs::create_dir_all(&stage_dir).context("cannot stage")?;
    let image = collect::run(&plan)
        .and_then(|tree| scan::run(&plan, tree))
        .and_then(|graph| prune::run(&plan, graph))
        .and_then(|kept| compile::run(&plan, kept))
        .and_then(|compiled| protect::run(&plan, compiled))
        .and_then(|sealed| pack::run(&plan, sealed))
        .and_then(|packed| link::run(&plan, packed, &stage_dir))?;
    ui.status("Finished", &plan.config.project.name);
    Ok(Outcome { launcher: image.launcher })
}
