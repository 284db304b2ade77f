//! One run of one program, measured from a process that is small itself.
//!
//! Linux counts the memory of the process that calls `exec` into the peak of the program that it
//! becomes. The pipeline holds hundreds of megabytes, so each run is started by a fresh xtask, through
//! a hidden verb.

use std::ffi::OsString;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// What one run cost.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Cost {
    /// Wall time in nanoseconds, from before fork to after wait.
    pub nanoseconds: u64,
    /// Peak resident memory in KiB.
    pub peak_kib: u64,
}

/// Run a program and print what it cost, as JSON
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl Args {
    /// Runs the program with its output discarded.
    ///
    /// # Errors
    /// A program that cannot be started or that fails.
    pub fn run(self) -> Result<ExitCode> {
        let [program, args @ ..] = self.command.as_slice() else { bail!("no program") };
        let start = Instant::now();
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let (status, usage) = wait(child.id())?;
        let nanoseconds = start.elapsed().as_nanos() as u64;
        if status != 0 {
            bail!("{} ended with wait status {status:#x}", program.display());
        }
        let cost = Cost { nanoseconds, peak_kib: usage.ru_maxrss as u64 };
        println!("{}", serde_json::to_string(&cost)?);
        Ok(ExitCode::SUCCESS)
    }
}

fn wait(pid: u32) -> Result<(i32, libc::rusage)> {
    let mut status = 0;
    // SAFETY: the call fills both values; zeros are a valid rusage.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        if libc::wait4(pid as libc::pid_t, &mut status, 0, &mut usage) < 0 {
            return Err(std::io::Error::last_os_error()).context("cannot wait for the program");
        }
        Ok((status, usage))
    }
}

/// Runs `command` once in a small process of its own, with an environment of `PATH` and UTF-8 only.
///
/// # Errors
/// As [`Args::run`], with the program's own stderr.
pub fn once(command: &[OsString]) -> Result<Cost> {
    let own = std::env::current_exe().context("cannot find xtask's own program")?;
    let output = clean(Command::new(own).arg("measure").arg("--").args(command))
        .output()
        .context("cannot start xtask again")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    serde_json::from_slice(&output.stdout).context("a measurement cannot be read")
}

/// Instructions that the program executes, children not counted; none without valgrind.
///
/// # Errors
/// A program that fails under valgrind.
pub fn instructions(command: &[OsString]) -> Result<Option<u64>> {
    let Ok(valgrind) = which::which("valgrind") else { return Ok(None) };
    let output = clean(
        Command::new(valgrind)
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--"])
            .args(command),
    )
    .stdin(Stdio::null())
    .output()
    .context("cannot start valgrind")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("a program failed under valgrind:\n{}", stderr.trim_end());
    }
    let collected = stderr.lines().rev().find_map(|line| line.split_once("Collected : "));
    match collected.and_then(|(_, count)| count.trim().parse().ok()) {
        Some(count) => Ok(Some(count)),
        None => bail!("valgrind's count cannot be found in:\n{}", stderr.trim_end()),
    }
}

fn clean(command: &mut Command) -> &mut Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).env("LANG", "C.UTF-8")
}
