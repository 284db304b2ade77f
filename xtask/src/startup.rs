//! `cargo xtask startup -- ARGS`: where the time of a start goes.

mod table;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;

use crate::config::{Config, Flags};
use crate::dist::report;
use crate::dist::startup::{self, Course, Start};
use crate::dist::{self, budget};
use crate::ui::Ui;

/// Build, start the launcher, and say where the time of its start goes
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask startup                              with the self-test's arguments, or none
  cargo xtask startup -- --port 0
  cargo xtask startup --limit 3 -- serve           a server: ended after three seconds
  cargo xtask startup --save start.json            keep the course of the start, as JSON
  cargo xtask startup --read start.tsv             what a launcher on a device wrote with PYRMWARE_STARTUP

The first line of main counts as reached when all is loaded that the main module imports at its top (or
when the entry's function is called). Of several runs the one with the median is shown, and drawn in the
image folder's report.html. Recording itself costs a few microseconds for each module. A module's time is
without that of the modules that it imports.")]
pub struct Args {
    /// Runs, of which the median is shown
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// An application that is still running after so many seconds is killed
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    limit: u64,
    /// Write the course of the start into this file, as JSON
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Show what a launcher wrote elsewhere, instead of starting one; the last image says what is in it
    #[arg(long, value_name = "FILE", conflicts_with = "args")]
    read: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
    /// Arguments of the application, after `--` [default: the self-test's]
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// What is shown, and printed for machines.
#[derive(Debug, Serialize)]
struct Outcome {
    app: String,
    version: String,
    #[serde(flatten)]
    course: Course,
    /// Microseconds to the first line of main, of every run.
    runs: Vec<u64>,
    /// The same, as `[tool.pyrmware.budget] startup` allows.
    budget: Option<u64>,
    /// Microseconds of each package's modules.
    packages: budget::ByPackage,
    /// Modules that are in the launcher and were not loaded.
    unused: Unused,
}

#[derive(Debug, Serialize)]
struct Unused {
    modules: Vec<String>,
    bytes: u64,
    /// How many modules are in the launcher.
    of: usize,
}

impl Args {
    /// Builds, starts, adds up.
    ///
    /// # Errors
    /// What `dist` has to say, or that the launcher cannot be started or records nothing.
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let config = Config::load(&self.flags)?;
        let courses = match &self.read {
            Some(file) => vec![read(file)?],
            None => self.record(&config, &dist::run(config.clone(), ui)?, ui)?,
        };
        let folder = config.out.clone();
        let file = folder.join(report::JSON);
        let report = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let report: Value = serde_json::from_slice(&report)
            .with_context(|| format!("{} is no JSON", file.display()))?;
        let outcome = Outcome::of(&config, &report, courses)?;
        if let Some(file) = &self.save {
            let text = serde_json::to_string_pretty(&outcome)? + "\n";
            fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
        }
        report::add_start(&folder, report, &outcome.course)?;
        let mut event = serde_json::to_value(&outcome)?;
        event["reason"] = "startup".into();
        ui.result(table::outcome(&outcome, ui.is_verbose()), event)?;
        Ok(ExitCode::SUCCESS)
    }

    fn record(&self, config: &Config, image: &dist::Outcome, ui: &Ui) -> Result<Vec<Course>> {
        let name = &config.project.name;
        if config.device.locked_down {
            bail!(
                "a launcher that is locked down records nothing; build one without locked-down to \
                 see how it starts"
            );
        }
        if image.runner.is_some() {
            bail!(
                "how long a launcher for another machine takes is seen there, not under qemu; record it there with \
                 PYRMWARE_STARTUP, and give the file to --read"
            );
        }
        let default = config.project.verify.iter().flatten().map(OsString::from);
        let args: Vec<OsString> =
            if self.args.is_empty() { default.collect() } else { self.args.clone() };
        let limit = Duration::from_secs(self.limit);
        let variables: Vec<_> =
            image.environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let launcher = &image.launcher;
        let start = Start { launcher, args: &args, variables: &variables, limit, clean: false };
        let words: Vec<_> = args.iter().map(|word| word.to_string_lossy()).collect();
        let times = if self.runs == 1 { "once".into() } else { format!("{} times", self.runs) };
        let what = format!("{name} {} {times}", words.join(" "));
        let stage = ui.stage("start", "Starting", what);
        let (courses, status) = start.record(self.runs.into())?;
        stage.finish();
        tell_end(status, ui, self.limit);
        Ok(courses)
    }
}

fn tell_end(status: Option<ExitStatus>, ui: &Ui, limit: u64) {
    match status {
        Some(status) if status.success() => {}
        Some(status) => ui.warning(format_args!("the launcher ended with {status}")),
        None => ui.note(format_args!("still running after {limit} seconds, and killed then")),
    }
}

/// What a launcher wrote on a device: when its process was started nobody knows.
fn read(file: &Path) -> Result<Course> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let course = Course::read(&text, None);
    course.with_context(|| format!("{} is no record of a start", file.display()))
}

impl Outcome {
    fn of(config: &Config, report: &Value, courses: Vec<Course>) -> Result<Outcome> {
        let runs = courses.iter().map(|course| course.ready).collect();
        let course = startup::median(courses).context("no start was recorded")?;
        let packages = course.by_package(report::packages(report));
        let loaded: BTreeSet<&str> = course.spans.iter().map(|span| span.module.as_str()).collect();
        let kept = report["modules"]["kept"].as_array().map_or(&[][..], Vec::as_slice);
        let idle = kept.iter().filter(|module| {
            // `__main__` is run, not imported.
            let name = module["name"].as_str().unwrap_or_default();
            module["bytes"] != 0 && !name.ends_with("__main__") && !loaded.contains(name)
        });
        let unused = Unused {
            modules: idle.clone().filter_map(|m| m["name"].as_str().map(str::to_owned)).collect(),
            bytes: idle.filter_map(|module| module["bytes"].as_u64()).sum(),
            of: kept.len(),
        };
        Ok(Outcome {
            app: config.project.name.clone(),
            version: config.project.version.clone(),
            runs,
            budget: config.project.budget.startup.map(|budget| budget.as_micros() as u64),
            packages,
            unused,
            course,
        })
    }
}
