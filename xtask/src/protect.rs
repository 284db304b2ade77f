//! `cargo xtask protect`: what somebody who has the launcher sees of the application's code; with `--compare`,
//! in every form in which it can ship, beside what the form costs.

mod attack;
mod compare;
mod form;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::config::{Config, Flags};
use crate::dist;
use crate::ui::Ui;
use attack::Sight;
use form::Form;

/// Say what the launcher shows of the application's code, and what other forms would cost
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask protect                           build as configured, then look at it as an attacker would
  cargo xtask protect --compare -- --version    the same in every form, and what each costs in size, start,
                                                memory and time to build
  cargo xtask protect --compare --forms bytecode,encrypted
                                                two of them

What is found is counted against the sources of the application's own modules: functions whose bytecode can
be read, first lines of docstrings, names of functions and classes, strings. Nothing is decrypted and
nothing runs; whoever can start the launcher where its key is can learn more: see README.")]
pub struct Args {
    /// In every form, side by side
    #[arg(long)]
    compare: bool,
    /// Only these: bytecode, stripped, encrypted, cython, nuitka, pyarmor, signed, both (encrypted and signed)
    #[arg(long, value_name = "LIST", value_delimiter = ',', requires = "compare")]
    forms: Vec<Form>,
    /// Interleaved runs of each launcher, after one that is not counted
    #[arg(long, default_value_t = 21, requires = "compare")]
    runs: usize,
    /// Put the table into README.md, between its marks
    #[arg(long, requires = "compare")]
    readme: bool,
    #[command(flatten)]
    flags: Flags,
    /// With --compare: arguments with which the application starts and ends at once; without them only the
    /// self-test is measured
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,
}

impl Args {
    /// Builds, looks, tells.
    ///
    /// # Errors
    /// What `dist` has to say of the configured form; what other forms cannot do is in the table.
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        if self.compare {
            return self.compare(ui);
        }
        let config = Config::load(&self.flags)?;
        let project = config.project.dir.clone();
        let image = dist::run(config, ui)?;
        let own = attack::sources(&image, &project)?;
        let sight = attack::run(&image, &own)?;
        let event = json!({"reason": "protect", "launcher": image.launcher, "sees": sight});
        ui.result(sight.told(own.len()), event)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Path inside the launcher -> source, of the application's own modules.
type Sources = std::collections::BTreeMap<String, PathBuf>;
