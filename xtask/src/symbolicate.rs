//! `cargo xtask symbolicate LOG`: what a launcher said in the field, with real paths and source lines.

mod build;
mod definitions;
mod log;
mod report;
mod symbols;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::json;

use crate::config::{Config, Flags};
use crate::dist;
use crate::ui::Ui;
use symbols::Symbols;

/// Read tracebacks, dumps and memory reports of a launcher with paths and source lines
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask symbolicate device.log
  ssh device journalctl -u device-console | cargo xtask symbolicate -
  cargo xtask symbolicate memory-000007-hard.json      a memory report: JSON, with `source` added
  cargo xtask symbolicate --symbols releases device.log
                                                       the build of the log, of all that are kept there

The text goes to stdout; lines that are not known stay as they are. A build id in the log must be that of
the symbols; a log without one is read with those that there are. There are no ^^^^ below source lines:
a traceback tells lines, and no columns.")]
pub struct Args {
    /// The log, or `-` for standard input
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// The folder `symbols/` of the build, or a folder of such folders [default: the last build's]
    #[arg(long, value_name = "DIR")]
    symbols: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

impl Args {
    /// Reads, finds the symbols, writes.
    ///
    /// # Errors
    /// The log cannot be read, or there are no symbols of its build.
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let log = read(&self.log)?;
        let folder = match self.symbols {
            Some(folder) => folder,
            None => Config::load(&self.flags)?.out.join(dist::symbols::FOLDER),
        };
        let told = build::ids(&String::from_utf8_lossy(&log));
        let (folder, index) = symbols::choose(&folder, &told)?;
        let symbols = Symbols::new(folder, index);
        let read = log::read(&log, &symbols);

        let (app, version) = (&symbols.index.app, &symbols.index.version);
        let (build, places) = (&symbols.index.build, read.places);
        if told.is_empty() {
            ui.note(format_args!(
                "the log names no build; the symbols are of {app} {version}, build {build}: lines of \
                 another build would be wrong"
            ));
        }
        if read.first_lines > 0 {
            ui.note(format_args!(
                "{} frames have the line in which their function begins: lines = \"strip\" in \
                 [tool.pyrmware.optimize]",
                read.first_lines
            ));
        }
        let s = if places == 1 { "" } else { "s" };
        ui.status("Found", format_args!("{places} place{s} of {app} {version}, build {build}"));
        let event = json!({
            "reason": "symbolicate",
            "app": app,
            "version": version,
            "build": build,
            "build_in_log": !told.is_empty(),
            "symbols": symbols.folder,
            "places": places,
            "first_lines": read.first_lines,
            "text": String::from_utf8_lossy(&read.text),
        });
        ui.bytes(&read.text, event)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn read(log: &Path) -> Result<Vec<u8>> {
    if log == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).context("cannot read the log from standard input")?;
        return Ok(bytes);
    }
    fs::read(log).with_context(|| {
        format!("cannot read the log {}; name a file, or - for standard input", log.display())
    })
}
