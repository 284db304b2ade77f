//! The unit tests that are written in Python, under every interpreter that can go into a launcher.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::config::{Config, Flags};
use crate::dist::resolve;
use crate::python::{Interpreter, candidates};
use crate::ui::Ui;

/// Runs them all.
pub(super) fn unit_tests(ui: &Ui) -> Result<()> {
    let interpreters = interpreters();
    ensure!(
        !interpreters.is_empty(),
        "no interpreter here can go into a launcher; `cargo xtask doctor` says what is missing"
    );
    for interpreter in interpreters {
        let (version, prefix) = (&interpreter.full_version, &interpreter.prefix);
        ui.status("Testing", format_args!("under Python {version} of {}", prefix.display()));
        let python = Some(prefix.clone());
        let plan = resolve::run(Config::load(&Flags { python, ..host() })?)?;
        let api = plan.config.paths.runtime_api();
        run(&interpreter, &api, std::slice::from_ref(&api))?;
        // Without the API beside it, as on stock Python.
        let sample = plan.config.project.dir;
        let path: Vec<PathBuf> = [Some(sample.clone()), plan.site].into_iter().flatten().collect();
        run(&interpreter, &sample, &path)?;
    }
    Ok(())
}

fn host() -> Flags {
    Flags { device: "host".into(), ..Flags::default() }
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

/// `python -m unittest discover -s tests` in a folder.
fn run(interpreter: &Interpreter, folder: &Path, path: &[PathBuf]) -> Result<()> {
    let mut command = interpreter.command();
    command
        .args([
            "-W",
            "error",
            "-m",
            "unittest",
            "discover",
            "--quiet",
            "--start-directory",
            "tests",
        ])
        .current_dir(folder)
        .env("PYTHONPATH", std::env::join_paths(path).context("a folder has a `:` in its name")?)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    super::passes(&mut command, &format!("python -m unittest in {}", folder.display()))
}
