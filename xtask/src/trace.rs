//! `cargo xtask trace -- ARGS`: what the application imports when it runs with these arguments.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::config::trace::FILE;
use crate::config::{Config, Flags, Level};
use crate::dist;
use crate::dist::collect::names::is_dotted;
use crate::ui::Ui;

/// With it the launcher appends what is asked for to a file.
const VARIABLE: &str = "PYRMWARE_TRACE";

/// Build, run, and remember in pyrmware.trace what the application imports
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask trace                           run the self-test of [tool.pyrmware.verify]
  cargo xtask trace -- --port 0 --once        run with these arguments
  cargo xtask trace --from recorded.txt       take in what PYRMWARE_TRACE=recorded.txt has recorded
                                              on a device")]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
    /// Run nothing, take in a file that a launcher has written
    #[arg(long, value_name = "FILE", conflicts_with = "args")]
    from: Vec<PathBuf>,
    /// Arguments of the application, after `--` [default: those of the self-test]
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

impl Args {
    /// Builds, runs, merges; the trace's path is what goes to stdout.
    ///
    /// # Errors
    /// What `dist` has to say, a launcher that cannot be started or fails, a file that cannot be read.
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let mut config = Config::load(&self.flags)?;
        if config.device.locked_down {
            bail!(
                "a locked-down launcher ignores {VARIABLE}; trace one that is built without \
                 locked-down in [package.metadata.pyrmware]"
            );
        }
        // What is traced must be able to import what was never traced.
        if config.project.prune.level == Level::Traced {
            config.project.prune.level = Level::default();
        }
        let project = config.project.dir.clone();
        let mut trace = config.project.trace.clone();
        let mut files = self.from;
        let folder = tempfile::tempdir().context("cannot make a folder for the trace")?;
        if files.is_empty() {
            let file = folder.path().join("trace");
            let default = config.project.verify.clone().unwrap_or_default();
            let args = match self.args {
                args if args.is_empty() => default.into_iter().map(OsString::from).collect(),
                args => args,
            };
            let image = dist::run(config, ui)?;
            ui.status("Tracing", image.launcher.display());
            let status = run(image.command(), &args, &file)?;
            if !status.success() {
                ui.warning(format_args!(
                    "the launcher ended with {status}; what it had imported until then is taken in"
                ));
            }
            files.push(file);
        }
        let mut added = 0;
        for file in &files {
            let text = fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            added += trace.add(seen(&text));
        }
        trace.write(&project)?;
        let (path, count) = (project.join(FILE), trace.names.len());
        ui.status("Traced", format_args!("{count} modules, {added} of them new"));
        let event = json!({"reason": "trace", "path": path, "modules": count, "added": added});
        ui.result(path.display(), event)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs the launcher on the terminal. Ctrl-C, with which a server is ended, is for the launcher only.
fn run(mut launcher: Command, args: &[OsString], file: &Path) -> Result<ExitStatus> {
    // A launcher that imports nothing of its payload writes nothing.
    fs::write(file, "").with_context(|| format!("cannot write {}", file.display()))?;
    signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::new(AtomicBool::new(false)))
        .context("cannot leave Ctrl-C to the launcher")?;
    launcher.args(args).env(VARIABLE, file);
    let failed = |launcher: &Command| format!("cannot start {}", launcher.get_program().display());
    launcher.status().with_context(|| failed(&launcher))
}

/// The modules that a launcher's lines say are wanted. A line is a module of the payload, or
/// `! module asker` for one that was left out, or `? module` for one that is nowhere.
fn seen(text: &str) -> impl Iterator<Item = String> {
    let wanted = |line: &str| {
        let name =
            line.strip_prefix("! ").map_or(line, |rest| rest.split(' ').next().unwrap_or(""));
        is_dotted(name).then(|| name.to_owned())
    };
    text.lines().filter_map(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_wanted_and_what_is_nowhere_is_not() {
        let text = "app\napp.core\n! json app\n? nowhere\ncut off at the\n";
        assert_eq!(seen(text).collect::<Vec<_>>(), ["app", "app.core", "json"]);
    }
}
