//! `cargo xtask leakcheck -- ARGS`: repeats a scenario on this machine, and fails when anything grows with it.

mod blame;
mod count;
mod judge;
mod subject;
mod table;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::config::{Config, Flags, Leakcheck, Scenario};
use crate::dist::collect::application;
use crate::dist::{self, report};
use crate::ui::Ui;
use blame::{Blame, Growth, Origins};
use count::Key;
use judge::History;
use subject::Subject;

/// Build, repeat a scenario, and fail when objects, files, threads or bytes grow with it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask leakcheck                       the scenario of [tool.pyrmware.leakcheck]
  cargo xtask leakcheck -- --port 2323        … with the application started with these arguments
  cargo xtask leakcheck --cycles 200          a slower leak, or a larger cache that has to fill first
  cargo xtask leakcheck --message-format json what grows, for machines

A scenario is a function of the application (function = \"module:function\"), called once in each cycle
in a process of its own, or a program (command = [\"…\"]), run once in each cycle beside the application.
After the warm-up a round of cycles is counted. What grew in it has to grow in two rounds more, and not
more slowly, to be called a leak: a cache that fills settles meanwhile.

Exit codes: 0 nothing grows, 1 something does, or the check could not be done.")]
pub struct Args {
    /// Cycles of a round [default: those of [tool.pyrmware.leakcheck], else 30]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(10..))]
    cycles: Option<u32>,
    /// Cycles before anything is counted [default: those of [tool.pyrmware.leakcheck], else 10]
    #[arg(long, value_name = "N")]
    warmup: Option<u32>,
    /// A start or a cycle that takes longer is an error
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    #[command(flatten)]
    flags: Flags,
    /// Arguments of the application, after `--`
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// What was found, as it is told.
#[derive(Debug, Serialize)]
struct Outcome {
    app: String,
    version: String,
    /// Cycles of which the counts were compared.
    cycles: u32,
    warmup: u32,
    passed: bool,
    /// What grows with every cycle, allowed or not.
    growth: Vec<Growth>,
}

impl Args {
    /// Builds, repeats, judges.
    ///
    /// # Errors
    /// What `dist` has to say, a scenario that is missing or fails, or a leak.
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let mut config = Config::load(&self.flags)?;
        let rules = config.project.leakcheck.clone();
        let cycles = self.cycles.unwrap_or(rules.cycles);
        let warmup = self.warmup.unwrap_or(rules.warmup);
        let scenario = scenario(&config)?;
        if let Scenario::Function(function) = &scenario {
            with_module_of(&mut config, function, self.flags.out.is_none())?;
        }
        let project = config.project.clone();
        let log = config.paths.work().join("leakcheck").join(format!("{}.log", project.name));
        let image = dist::run(config, ui)?;
        let limit = Duration::from_secs(self.limit);
        let setup = subject::Setup { project: &project, args: &self.args, limit, log: &log };
        let mut subject = Subject::start(image.command(), &scenario, &setup)?;

        let check = Check { ui, rules: &rules, origins: origins(&image.folder)?, cycles };
        let (cycles, growth) = check.run(&mut subject, warmup)?;
        subject.end();
        let passed = growth.iter().all(|growth| growth.allowed.is_some());
        let (app, version) = (project.name, project.version);
        let outcome = Outcome { app, version, cycles, warmup, passed, growth };
        let mut event = serde_json::to_value(&outcome)?;
        event["reason"] = "leakcheck".into();
        ui.result(table::outcome(&outcome), event)?;
        if !passed {
            bail!(
                "{} leaks: see above what grows with every cycle, and who holds it; a cache that is \
                 still filling wants more --cycles, and what is meant to grow belongs into allow in \
                 [tool.pyrmware.leakcheck]",
                outcome.app
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn scenario(config: &Config) -> Result<Scenario> {
    let file = config.project.dir.join("pyproject.toml");
    if config.device.locked_down {
        bail!(
            "a locked-down launcher runs no code but its own and cannot be checked; check one that is \
             built without locked-down in [package.metadata.pyrmware]"
        );
    }
    config.project.leakcheck.scenario.clone().with_context(|| {
        format!(
            "{}: there is no scenario to repeat; give function = \"module:function\" or command = \
             [\"…\"] in [tool.pyrmware.leakcheck]",
            file.display()
        )
    })
}

/// The function's module ships in the launcher that is checked, and in no other.
fn with_module_of(config: &mut Config, function: &str, elsewhere: bool) -> Result<()> {
    let module = function.split(':').next().unwrap_or(function);
    let folder = application::root(&config.project);
    let path = folder.join(module.replace('.', "/"));
    if !path.with_extension("py").is_file() && !path.join("__init__.py").is_file() {
        bail!(
            "function in [tool.pyrmware.leakcheck]: the application has no module {module} in {}; \
             folders of tests are no part of it",
            folder.display()
        );
    }
    config.project.prune.keep.push(module.to_owned());
    if elsewhere {
        config.out = config.paths.work().join("leakcheck").join(&config.project.name);
    }
    Ok(())
}

/// Whose a module is, as the image's report says.
fn origins(folder: &Path) -> Result<Origins> {
    let file = folder.join(report::JSON);
    let text = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let report =
        serde_json::from_slice(&text).with_context(|| format!("{} is no JSON", file.display()))?;
    Ok(Origins::of(&report))
}

struct Check<'a> {
    ui: &'a Ui,
    rules: &'a Leakcheck,
    origins: Origins,
    cycles: u32,
}

impl Check<'_> {
    /// Gives the cycles that were counted, and what grew in all of them.
    fn run(&self, subject: &mut Subject<'_>, warmup: u32) -> Result<(u32, Vec<Growth>)> {
        let stage = self.ui.stage("warm-up", "Warming up", format_args!("{warmup} cycles"));
        for _ in 0..warmup {
            subject.cycle()?;
        }
        stage.finish();
        let mut history = History::default();
        let mut blame = None;
        for round in 1..=judge::ROUNDS {
            let what =
                format!("{} cycles, round {round} of at most {}", self.cycles, judge::ROUNDS);
            let stage = self.ui.stage("round", "Repeating", what);
            history.begin();
            for _ in 0..self.cycles {
                subject.cycle()?;
                history.add(subject.count()?);
            }
            stage.finish();
            let growing = self.growing(&history);
            if growing.is_empty() {
                return Ok((self.cycles * round, Vec::new()));
            }
            if blame.is_none() {
                let stage = self.ui.stage("holders", "Looking", "who holds what grew");
                blame = Some(Blame::begin(subject, &self.origins, &growing)?);
                stage.finish();
            }
        }
        let stage = self.ui.stage("holders", "Looking", "who holds what grew");
        let growing = self.growing(&history);
        let since = self.cycles * (judge::ROUNDS - 1);
        let growth = match blame {
            Some(blame) => blame.end(subject, &self.origins, &growing, since, &self.rules.allow)?,
            None => Vec::new(),
        };
        stage.finish();
        Ok((self.cycles * judge::ROUNDS, growth))
    }

    fn growing(&self, history: &History) -> Vec<(Key, judge::Rate)> {
        let types = &self.rules.types;
        let asked = |key: &Key| match key {
            Key::Type(name) => types.is_empty() || types.contains(name),
            // What all types have in common says nothing of some.
            Key::Blocks | Key::Private => types.is_empty(),
            _ => true,
        };
        history.growing().into_iter().filter(|(key, _)| asked(key)).collect()
    }
}
