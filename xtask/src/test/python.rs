//! The unit tests that are written in Python, under every interpreter that can go into a launcher.

use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use crate::config::{Config, Flags};
use crate::dist::resolve::{self, Plan};
use crate::python::{Interpreter, candidates};
use crate::ui::Ui;

/// Runs them all, as many interpreters side by side as there are cores: much of a test is waiting.
pub(super) fn unit_tests(ui: &Ui) -> Result<()> {
    let interpreters = interpreters();
    ensure!(
        !interpreters.is_empty(),
        "no interpreter here can go into a launcher; `cargo xtask doctor` says what is missing"
    );
    let mut plans = Vec::new();
    for interpreter in interpreters {
        let (version, prefix) = (&interpreter.full_version, interpreter.prefix);
        ui.status("Testing", format_args!("under Python {version} of {}", prefix.display()));
        let flags = Flags { device: "host".into(), python: Some(prefix), ..Flags::default() };
        plans.push(resolve::run(Config::load(&flags)?)?);
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    for some in plans.chunks(cores) {
        let results: Vec<Result<()>> = thread::scope(|scope| {
            let runs: Vec<_> = some.iter().map(|plan| scope.spawn(|| under(plan))).collect();
            runs.into_iter().map(|run| run.join().expect("a run does not panic")).collect()
        });
        results.into_iter().collect::<Result<()>>()?;
    }
    Ok(())
}

/// What this machine has and a launcher can embed, once each.
fn interpreters() -> Vec<Interpreter> {
    let mut found: Vec<Interpreter> = Vec::new();
    for program in candidates() {
        let Ok(interpreter) = Interpreter::at(&program) else { continue };
        let known = |other: &Interpreter| {
            (&other.prefix, &other.full_version) == (&interpreter.prefix, &interpreter.full_version)
        };
        if !interpreter.libraries.is_empty() && !found.iter().any(known) {
            found.push(interpreter);
        }
    }
    found
}

fn under(plan: &Plan) -> Result<()> {
    let api = plan.config.paths.runtime_api();
    run(&plan.interpreter, &api, std::slice::from_ref(&api))?;
    // Without the API beside it, as on stock Python.
    let sample = &plan.config.project.dir;
    let path: Vec<PathBuf> =
        [Some(sample.clone()), plan.site.clone()].into_iter().flatten().collect();
    run(&plan.interpreter, sample, &path)
}

/// `python -m unittest discover -s tests` in a folder.
fn run(interpreter: &Interpreter, folder: &Path, path: &[PathBuf]) -> Result<()> {
    let mut command = interpreter.command();
    command
        .args(["-W", "error", "-m", "unittest", "discover", "--start-directory", "tests"])
        .current_dir(folder)
        .env("PYTHONPATH", std::env::join_paths(path).context("a folder has a `:` in its name")?)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let program = interpreter.program.display();
    let output = command.output().with_context(|| format!("cannot start {program}"))?;
    if output.status.success() {
        return Ok(());
    }
    bail!(
        "the tests in {} fail under Python {} of {}:\n{}",
        folder.display(),
        interpreter.full_version,
        interpreter.prefix.display(),
        String::from_utf8_lossy(&output.stderr)
    )
}
