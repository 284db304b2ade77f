//! Pyrmware's pipeline as a library, so that another workspace's xtask can be three lines.
//!
//! [`run`] parses, dispatches and prints the error chain; a verb is one file with one struct of
//! arguments and a `run(self, &Ui) -> Result<ExitCode>`; [`dist`] is the pipeline.

pub mod bench;
pub mod clean;
pub mod config;
mod container;
pub mod deploy;
pub mod dist;
pub mod doctor;
pub mod leakcheck;
mod licenses;
pub mod memory;
pub mod on;
pub mod package;
pub mod paths;
pub mod plan;
pub mod protect;
pub mod python;
pub mod run;
pub mod size;
mod ssh;
pub mod startup;
pub mod symbolicate;
pub mod sysroot;
pub mod target;
pub mod test;
pub mod trace;
pub mod ui;
pub mod what_if;
pub mod why;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

/// From a Python application to one launcher for a device.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    output: ui::Output,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Dist(dist::Args),
    Package(package::Args),
    Deploy(deploy::Args),
    Run(run::Args),
    On(on::Args),
    Trace(trace::Args),
    Plan(plan::Args),
    Why(why::Args),
    WhatIf(what_if::Args),
    Size(size::Args),
    Startup(startup::Args),
    Protect(protect::Args),
    Memory(memory::Args),
    Symbolicate(symbolicate::Args),
    Leakcheck(leakcheck::Args),
    Sysroot(sysroot::Args),
    Doctor(doctor::Args),
    Test(test::Args),
    Clean(clean::Args),
    Bench(bench::Args),
    #[command(hide = true)]
    Measure(bench::MeasureArgs),
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask dist                              build the application that app/Cargo.toml names
  cargo xtask dist --project tests/apps/hello   build another one
  cargo xtask run -- --selftest                 build, then run with these arguments
  cargo xtask package --format deb              build, then make a package with its service files
  cargo xtask why email                         what brings a module in, or why it was left out
  cargo xtask startup                           where the time of a start goes
  cargo xtask plan --python /usr                say what would be done with Debian's Python
  cargo xtask sysroot debian bookworm arm64     get what a launcher for another machine is built against
  cargo xtask doctor                            list what is there, what is missing, and the remedy

Exit codes: 0 done, 1 failed, 2 wrong usage; `run` passes on the launcher's own.";

/// Runs one `cargo xtask` command line and gives the process's exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Fails only when the terminal is gone; there is nobody left to tell.
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    let ui = ui::Ui::new(&cli.output);
    let result = match cli.verb {
        Verb::Dist(verb) => verb.run(&ui),
        Verb::Package(verb) => verb.run(&ui),
        Verb::Deploy(verb) => verb.run(&ui),
        Verb::Run(verb) => verb.run(&ui),
        Verb::On(verb) => verb.run(&ui),
        Verb::Trace(verb) => verb.run(&ui),
        Verb::Plan(verb) => verb.run(&ui),
        Verb::Why(verb) => verb.run(&ui),
        Verb::WhatIf(verb) => verb.run(&ui),
        Verb::Size(verb) => verb.run(&ui),
        Verb::Startup(verb) => verb.run(&ui),
        Verb::Protect(verb) => verb.run(&ui),
        Verb::Memory(verb) => verb.run(&ui),
        Verb::Symbolicate(verb) => verb.run(&ui),
        Verb::Leakcheck(verb) => verb.run(&ui),
        Verb::Sysroot(verb) => verb.run(&ui),
        Verb::Doctor(verb) => verb.run(&ui),
        Verb::Test(verb) => verb.run(&ui),
        Verb::Clean(verb) => verb.run(&ui),
        Verb::Bench(verb) => verb.run(&ui),
        Verb::Measure(verb) => verb.run(),
    };
    result.unwrap_or_else(|error| {
        ui.error(&error);
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_application_gets_what_follows_the_dashes() {
        let cli =
            Cli::try_parse_from(["xtask", "run", "-q", "--offline", "--", "-v", "--port", "0"]);
        let Verb::Run(run) = cli.unwrap().verb else { panic!("another verb") };
        assert_eq!(run.args, ["-v", "--port", "0"]);
        assert!(Cli::try_parse_from(["xtask", "run", "--port", "0"]).is_err());
    }

    #[test]
    fn wrong_usage_is_exit_code_2() {
        for args in [&["xtask"][..], &["xtask", "dits"], &["xtask", "dist", "-q", "-v"]] {
            let error = Cli::try_parse_from(args).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{args:?}");
        }
    }
}
