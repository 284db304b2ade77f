//! What is looked for, one function each.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Finding, State};
use crate::config::{Config, Link, Mode, RunBy};
use crate::dist::protect;
use crate::dist::resolve::{self, Cross, LinkPlan, Runner, host_target, tool};
use crate::python::version::Version;
use crate::python::{Interpreter, candidates, host_tool_python, missing_libraries, remedy};
use crate::target::Target;
use crate::ui;

/// The oldest Rust that builds the workspace.
const RUST: &str = env!("CARGO_PKG_RUST_VERSION");
/// What a launcher's build leaves in the target folder, about.
const NEEDED_BYTES: u64 = 2 << 30;

pub(super) fn cargo() -> Finding {
    match resolve::cargo() {
        Ok(cargo) => Finding::ok(
            "cargo",
            format!("{}, {}", version_of(&cargo).unwrap_or_default(), cargo.display()),
        ),
        Err(error) => Finding::lacks("cargo", State::Missing, format!("{error:#}"), rustup()),
    }
}

pub(super) fn rustc() -> Finding {
    let rustc = std::env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
    let Some(version) = version_of(&rustc) else {
        return Finding::lacks("rustc", State::Missing, "not on PATH", rustup());
    };
    match (version.parse::<Version>(), RUST.parse::<Version>()) {
        (Ok(found), Ok(needed)) if found < needed => Finding::lacks(
            "rustc",
            State::Missing,
            format!("{version}, older than {RUST}"),
            "`rustup update stable`".into(),
        ),
        _ => Finding::ok("rustc", format!("{version} for {}", host_target().unwrap_or_default())),
    }
}

fn rustup() -> String {
    "install Rust from rustup.rs".to_owned()
}

/// The second word of what a program says of its version: `cargo 1.95.0 (…)`.
fn version_of(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    String::from_utf8_lossy(&output.stdout).split_whitespace().nth(1).map(str::to_owned)
}

pub(super) fn linker() -> Finding {
    match which::which("cc") {
        Ok(cc) => Finding::ok("linker", cc.display().to_string()),
        Err(_) => {
            let packages = ["gcc".to_owned(), "libc6-dev".to_owned()];
            Finding::lacks("linker", State::Missing, "no cc on PATH", remedy::install(&packages))
        }
    }
}

/// Every interpreter of this machine that a launcher can embed; with `all`, also why others cannot.
pub(super) fn interpreters(all: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = Vec::new();
    let mut refused = 0;
    for program in candidates() {
        match Interpreter::at(&program) {
            Ok(interpreter) => {
                let id = (interpreter.prefix.clone(), interpreter.full_version.clone());
                if !seen.contains(&id) {
                    seen.push(id);
                    findings.push(described(&interpreter));
                }
            }
            Err(error) if all => {
                let text = format!("cannot go in: {error:#}");
                findings.push(Finding { state: State::Optional, ..Finding::ok("python", text) });
            }
            Err(_) => refused += 1,
        }
    }
    if refused > 0 {
        findings.push(Finding::ok(
            "python",
            format!("{refused} more that cannot go in; -v lists them"),
        ));
    }
    findings
}

fn described(interpreter: &Interpreter) -> Finding {
    let libraries = &interpreter.libraries;
    let kinds = [
        (&libraries.static_pic, "static"),
        (&libraries.static_fixed, "static at a fixed address"),
        (&libraries.shared, "shared"),
    ];
    let kinds: Vec<&str> =
        kinds.iter().filter(|(file, _)| file.is_some()).map(|(_, kind)| *kind).collect();
    let place = format!("{} in {}", interpreter.full_version, interpreter.prefix.display());
    if kinds.is_empty() {
        let remedy = match interpreter.prefix == Path::new("/usr") {
            true => remedy::install(&[remedy::python_headers(interpreter)]),
            false => "build it with --enable-shared".to_owned(),
        };
        return Finding::lacks("python", State::Optional, format!("{place}: no libpython"), remedy);
    }
    let text = format!("{place}: libpython {}", kinds.join(", "));
    Finding { prefix: Some(interpreter.prefix.clone()), ..Finding::ok("python", text) }
}

/// The interpreter for the application and how it is linked.
pub(super) fn chosen(config: &Config) -> (Vec<Finding>, Option<Interpreter>) {
    let (interpreter, target) = match resolve::interpreter(config) {
        Ok((choice, target)) => (choice.interpreter, target),
        Err(error) => return (vec![Finding::failed("interpreter", &error)], None),
    };
    let found = format!("{} in {}", interpreter.full_version, interpreter.prefix.display());
    let mut findings = vec![Finding::ok("interpreter", found)];
    let cross = match resolve::is_foreign(config, &target) {
        true => match Cross::of(&target, &interpreter, &config.device, &config.paths) {
            Ok(cross) => Some(cross),
            // What is missing has a line of its own.
            Err(_) => return (findings, Some(interpreter)),
        },
        false => None,
    };
    findings.push(match resolve::link_plan(&interpreter, config.device.link, cross.as_ref()) {
        Ok((plan, _)) => linked(config, &interpreter, &plan),
        Err(error) => Finding::failed("libpython", &error),
    });
    (findings, Some(interpreter))
}

fn linked(config: &Config, interpreter: &Interpreter, plan: &LinkPlan) -> Finding {
    let text = match plan {
        LinkPlan::StaticPic(file) => format!("static, {}", file.display()),
        LinkPlan::StaticFixed(file) => format!("static at a fixed address, {}", file.display()),
        LinkPlan::Shared(file) => format!("shared, {}", file.display()),
        LinkPlan::System(file) => format!("the device's own, as {}", file.display()),
    };
    let libraries = &interpreter.libraries;
    let archive = libraries.static_pic.as_ref().or(libraries.static_fixed.as_ref());
    match (plan, archive) {
        // It could be static, and nobody asked for shared.
        (LinkPlan::Shared(_), Some(archive))
            if config.device.link != Some(Link::Shared) && config.device.target.is_none() =>
        {
            let missing = missing_libraries(&libraries.link, archive);
            let packages: Vec<String> =
                missing.iter().map(|name| remedy::library_package(name)).collect();
            let text = format!("{text}; static needs lib{}", missing.join(", lib"));
            Finding::lacks("libpython", State::Optional, text, remedy::install(&packages))
        }
        _ => Finding::ok("libpython", text),
    }
}

/// What another machine takes: Rust's standard library for it, a linker, and qemu to try what was built.
pub(super) fn another_machine(config: &Config) -> Vec<Finding> {
    let Some(triple) = config.device.target.as_deref() else { return Vec::new() };
    if !resolve::is_foreign(config, triple) {
        return Vec::new();
    }
    let target = match Target::of(triple) {
        Ok(target) => target,
        Err(error) => return vec![Finding::failed("target", &error)],
    };
    let found = resolve::cross::examine(&target, &config.device, &config.paths);
    let mut findings: Vec<Finding> = found
        .into_iter()
        .map(|(name, found)| match found {
            Ok(text) => Finding::ok(name, text),
            Err(error) => Finding::failed(name, &error),
        })
        .collect();
    if let (RunBy::Ssh, Some(host)) = (config.device.runner, &config.device.host) {
        findings.push(match which::which("ssh") {
            Ok(ssh) => Finding::ok("runner", format!("{host}, by {}", ssh.display())),
            Err(_) => Finding::lacks(
                "runner",
                State::Missing,
                format!("no ssh on PATH; launchers are run on {host}"),
                remedy::install(&["openssh-client".to_owned()]),
            ),
        });
        return findings;
    }
    findings.push(match Runner::of(&target, Path::new("/")) {
        Some(runner) => match runner.lacks() {
            Some(lacks) => Finding { state: State::Optional, ..Finding::ok("emulator", lacks) },
            None => Finding::ok("emulator", runner.program.display().to_string()),
        },
        None if resolve::runs_natively(triple) => Finding::ok("emulator", "none is needed"),
        None => Finding::lacks(
            "emulator",
            State::Optional,
            format!("no qemu for {triple}; launchers for it are not verified"),
            Runner::remedy(),
        ),
    });
    findings
}

/// What installs the dependencies.
pub(super) fn installer(config: &Config, interpreter: &Interpreter) -> Finding {
    if let Some(uv) = tool::installed_uv(&config.paths.tools()) {
        let version = tool::uv_version(&uv).map(|version| version.to_string()).unwrap_or_default();
        return Finding::ok("installer", format!("uv {version}, {}", uv.display()));
    }
    match host_tool_python(interpreter) {
        Ok(python) => Finding::ok(
            "installer",
            format!(
                "pip of {}; it installs uv for the first `dist` with dependencies",
                python.display()
            ),
        ),
        Err(error) if config.project.dependencies.is_empty() => {
            Finding { state: State::Optional, ..Finding::failed("installer", &error) }
        }
        Err(error) => Finding::failed("installer", &error),
    }
}

/// What Cython and Nuitka need, Cython for another machine, too; most applications have no use for it. Where nothing
/// can be built for that there is no answer.
pub(super) fn compiler(config: &Config, interpreter: &Interpreter) -> Option<Finding> {
    let cross = match config.device.target.as_deref() {
        Some(target) if resolve::is_foreign(config, target) => {
            Some(Cross::of(target, interpreter, &config.device, &config.paths).ok()?)
        }
        _ => None,
    };
    let asked =
        config.project.protect.uses(Mode::Cython) || config.project.protect.uses(Mode::Nuitka);
    Some(match protect::try_compiler(interpreter, cross.as_ref()) {
        Ok(program) => {
            let place = interpreter.include.display();
            Finding::ok("compiler", format!("{}, with Python.h in {place}", program.display()))
        }
        Err(error) => {
            let text = format!("protect.mode = \"cython\" and \"nuitka\" need it: {error:#}");
            let state = if asked { State::Missing } else { State::Optional };
            Finding { state, ..Finding::failed("compiler", &anyhow::Error::msg(text)) }
        }
    })
}

/// Whether the target folder's disk has room.
pub(super) fn disk(config: &Config) -> Finding {
    let target = &config.paths.target;
    let existing = target.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
    let Ok(space) = rustix::fs::statvfs(existing) else {
        return Finding::ok(
            "disk",
            format!("{} does not say how much is free", existing.display()),
        );
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let text = format!("{} free for {}", ui::bytes(free), target.display());
    match free < NEEDED_BYTES {
        true => Finding::lacks(
            "disk",
            State::Optional,
            text,
            format!(
                "a build needs about {}; `cargo xtask clean` removes images and caches",
                ui::bytes(NEEDED_BYTES)
            ),
        ),
        false => Finding::ok("disk", text),
    }
}

/// A program that `dist` does not need.
pub(super) fn optional(name: &'static str, package: &str, purpose: &str) -> Finding {
    match which::which(name) {
        Ok(program) => Finding::ok(name, program.display().to_string()),
        Err(_) => Finding::lacks(
            name,
            State::Optional,
            format!("not on PATH; {purpose}"),
            remedy::install(&[package.to_owned()]),
        ),
    }
}
