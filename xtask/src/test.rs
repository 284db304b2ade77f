//! `cargo xtask test`: every check of this repository, in the order in which they are cheap.

mod licences;
mod machine;
mod python;
mod rust;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::config;
use crate::paths::Paths;
use crate::ui::{self, Ui};

/// Run every check: format, lints, licences, unit tests, end-to-end tests, a device in a virtual machine
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask test                         everything, as .ci/run does
  cargo xtask test --quick                 what takes minutes, not longer
  cargo xtask test --only ruff             one step
  cargo xtask test --only e2e -- damage    end-to-end tests whose names contain `damage`
  cargo xtask test --device-image          launchers in virtual machines
  cargo xtask test --devices               launchers for other machines, under qemu and booted
  BLESS=1 cargo xtask test --only e2e      write the golden files anew")]
pub struct Args {
    /// Only this step; may be repeated
    #[arg(long, value_name = "STEP")]
    only: Vec<Step>,
    /// All but the end-to-end tests and virtual machines
    #[arg(long, conflicts_with = "only")]
    quick: bool,
    /// Only launchers in virtual machines: the step `device-image`
    #[arg(long, conflicts_with_all = ["only", "quick"])]
    device_image: bool,
    /// Only launchers for other machines, which nothing else runs: the step `devices`
    #[arg(long, conflicts_with_all = ["only", "quick", "device_image"])]
    devices: bool,
    /// Passed on to `cargo test`, after `--`
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// One check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Step {
    /// rustfmt changes nothing
    Fmt,
    /// Every crate's licence is on the list
    Licences,
    /// ruff's lints and format of all Python
    Ruff,
    /// clippy has no warning
    Clippy,
    /// Python's unit tests under every interpreter of this machine
    Python,
    /// Rust's unit tests
    Unit,
    /// Launchers are built and run
    E2e,
    /// Launchers run on a device: virtual machines with little memory
    DeviceImage,
    /// Launchers for other machines are built, and run under qemu's user mode and on booted devices; only when asked for
    Devices,
}

const STEPS: [Step; 9] = [
    Step::Fmt,
    Step::Licences,
    Step::Ruff,
    Step::Clippy,
    Step::Python,
    Step::Unit,
    Step::E2e,
    Step::DeviceImage,
    Step::Devices,
];

impl Args {
    /// Runs the steps; the first that fails ends it.
    ///
    /// # Errors
    /// What the step says.
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let asked = self.device_image || self.only.contains(&Step::DeviceImage);
        let paths = config::workspace()?.paths;
        let context = Check { paths, args: self.args, device_image: asked, ui };
        let only = match (self.device_image, self.devices) {
            (true, _) => vec![Step::DeviceImage],
            (_, true) => vec![Step::Devices],
            _ => self.only,
        };
        let steps = STEPS.into_iter().filter(|step| match only.as_slice() {
            [] if self.quick => !matches!(step, Step::E2e | Step::DeviceImage | Step::Devices),
            [] => !matches!(step, Step::Devices),
            only => only.contains(step),
        });
        let mut times = Vec::new();
        for step in steps {
            ui.status("Checking", step.describe());
            let since = Instant::now();
            context.run(step).with_context(|| format!("the step `{}` failed", step.name()))?;
            let took = since.elapsed();
            ui.event(json!({"reason": "step", "step": step.name(), "seconds": took.as_secs_f64()}));
            times.push((step, took));
        }
        for (step, took) in &times {
            ui.status("Passed", format_args!("{} in {}", step.name(), ui::seconds(*took)));
        }
        let total: Duration = times.iter().map(|(_, took)| *took).sum();
        ui.status("Finished", format_args!("every check in {}", ui::seconds(total)));
        Ok(ExitCode::SUCCESS)
    }
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Step::Fmt => "fmt",
            Step::Licences => "licences",
            Step::Ruff => "ruff",
            Step::Clippy => "clippy",
            Step::Python => "python",
            Step::Unit => "unit",
            Step::E2e => "e2e",
            Step::DeviceImage => "device-image",
            Step::Devices => "devices",
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Step::Fmt => "the format of Rust (cargo fmt)",
            Step::Licences => "the licences of all crates",
            Step::Ruff => "the format and the lints of Python (ruff)",
            Step::Clippy => "the lints of Rust (cargo clippy)",
            Step::Python => "Python's unit tests",
            Step::Unit => "Rust's unit tests",
            Step::E2e => "launchers, end to end",
            Step::DeviceImage => "launchers on a device, in virtual machines",
            Step::Devices => "launchers for other machines, under qemu",
        }
    }
}

/// What a step needs.
struct Check<'a> {
    paths: Paths,
    args: Vec<OsString>,
    /// Virtual machines are asked for.
    device_image: bool,
    ui: &'a Ui,
}

impl Check<'_> {
    fn run(&self, step: Step) -> Result<()> {
        match step {
            Step::Fmt => self.cargo(&["fmt", "--all", "--check"]),
            Step::Licences => licences::check(&self.paths),
            Step::Ruff => self.ruff(),
            Step::Clippy => {
                machine::prepare(self.ui)?;
                // With what a launcher has only around a libpython that `dist` has wrapped: lazy globals.
                let wrapped = ["--cfg", "wrapped_libpython"];
                let all = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
                self.cargo(&[&all[..], &wrapped].concat())?;
                // A launcher as most are has none of its features, and one of protected code all.
                let features = ["clippy", "--package", "pyrmware-launcher", "--all-features"];
                self.cargo(&[&features[..], &["--", "-D", "warnings"], &wrapped].concat())
            }
            Step::Python => {
                machine::prepare(self.ui)?;
                python::unit_tests(self.ui)
            }
            Step::Unit => {
                machine::prepare(self.ui)?;
                // No `--doc`: there are no examples to run, and rustdoc takes as long as a build.
                self.cargo(&["test", "--workspace", "--lib"])
            }
            Step::E2e => {
                machine::prepare(self.ui)?;
                machine::prepare_packaged(self.ui)?;
                machine::require_strace()?;
                self.cargo(&["test", "--workspace", "--no-fail-fast", "--test", "*"])
            }
            Step::DeviceImage => {
                // Whoever asks for it is told what is missing; all others, that it was not done.
                if !self.device_image && !machine::is_debian() {
                    self.ui
                        .warning(format_args!("no virtual machine is tried: {}", machine::DEVICE));
                    return Ok(());
                }
                machine::prepare_virtual(self.ui)?;
                // Ignored, so that whoever runs all tests by hand needs no virtual machines.
                self.cargo(&ignored("device_image"))
            }
            Step::Devices => {
                machine::prepare_cross(self.ui)?;
                let rustc = rust::for_devices(&self.paths, self.ui)?;
                // Under a name of its own: the tests themselves are compiled as ever.
                self.cargo_with(&ignored("cross"), rustc.map(|rustc| (rust::VARIABLE, rustc)))
            }
        }
    }

    fn cargo(&self, words: &[&str]) -> Result<()> {
        self.cargo_with(words, None)
    }

    fn cargo_with(&self, words: &[&str], variable: Option<(&str, PathBuf)>) -> Result<()> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(words).current_dir(&self.paths.root).envs(variable);
        if words[0] == "test" {
            command.args(&self.args);
        }
        passes(&mut command, &format!("cargo {}", words.join(" ")))
    }

    fn ruff(&self) -> Result<()> {
        let ruff = machine::ruff(&self.paths, self.ui)?;
        let call = |words: &[&str]| {
            let mut command = Command::new(&ruff);
            command.args(words).current_dir(&self.paths.root);
            passes(&mut command, &format!("ruff {}", words.join(" ")))
        };
        call(&["check", "--quiet"])?;
        call(&["format", "--check", "--quiet"])
    }
}

/// cargo's words for a test program that only runs when it is asked for.
fn ignored(program: &str) -> [&str; 7] {
    ["test", "--package", "xtask", "--test", program, "--", "--ignored"]
}

/// Runs a command that says itself what is wrong.
fn passes(command: &mut Command, name: &str) -> Result<()> {
    let program = Path::new(command.get_program()).display().to_string();
    let status = command.status().with_context(|| format!("cannot start {program}"))?;
    ensure!(status.success(), "`{name}` ended with {status}; what it said is above");
    Ok(())
}
