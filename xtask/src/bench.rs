//! `cargo xtask bench`: the launcher beside stock Python, on the same applications, in one run.

mod measure;
mod startup;
mod table;

pub use measure::Args as MeasureArgs;

use std::process::ExitCode;

use anyhow::Result;

use crate::ui::Ui;

/// Measure launchers beside stock Python
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench startup
  cargo xtask bench startup --project python-app --runs 41
  cargo xtask bench startup --readme           put the table into README.md")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Startup(startup::Args),
}

impl Args {
    /// Measures; the table goes to stdout.
    ///
    /// # Errors
    /// A build that fails, or a program that does not end well.
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        match self.what {
            What::Startup(args) => args.run(ui),
        }
    }
}
