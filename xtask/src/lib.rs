//! Pyrmware's pipeline as a library, so that another workspace's xtask can be three lines.
//!
//! `main` parses, dispatches and prints the error chain; a verb is one file; [`dist`] is the pipeline.

pub mod config;
pub mod dist;
pub mod paths;
pub mod python;
pub mod ui;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs one `cargo xtask` command line and gives the process's exit code.
pub fn run(_args: impl IntoIterator<Item = OsString>) -> ExitCode {
    ExitCode::SUCCESS
}
