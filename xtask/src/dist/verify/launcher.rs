//! Running a new launcher: in a clean environment and an empty folder, with an end.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::dist::resolve::Runner;

/// Long enough for a self-test, short enough for a build that hangs.
pub const TIMEOUT: Duration = Duration::from_secs(120);
/// The same under qemu-user, which takes several times as long. One that starts itself may wait for ever there.
pub const EMULATED: Duration = Duration::from_secs(300);
/// How much of a failed run's output is shown: its end, where the reason is.
const SHOWN_LINES: usize = 40;

/// What a launcher is started with.
#[derive(Debug, Default)]
pub struct Start<'a> {
    /// Its arguments.
    pub args: &'a [String],
    /// Its variables besides `PATH`.
    pub variables: &'a [(&'a str, &'a str)],
    /// What it reads.
    pub stdin: &'a str,
    /// Who runs it, if it is for another machine.
    pub runner: Option<&'a Runner>,
}

/// Runs the launcher once and gives what it wrote to stdout and to stderr.
///
/// # Errors
/// It does not start, does not end in time, or does not exit with 0.
pub fn run(launcher: &Path, start: &Start<'_>, timeout: Duration) -> Result<(String, String)> {
    let cwd = tempfile::tempdir().context("cannot make an empty folder for the launcher")?;
    let mut process =
        start.runner.map_or_else(|| Command::new(launcher), |runner| runner.command(launcher));
    process
        .args(start.args)
        .current_dir(&cwd)
        .env_clear()
        .env("PATH", "/nonexistent")
        .envs(start.runner.map(Runner::environment).unwrap_or_default())
        .envs(start.variables.iter().copied())
        .stdin(if start.stdin.is_empty() { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child =
        process.spawn().with_context(|| format!("cannot start {}", launcher.display()))?;
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    feed(child.stdin.take(), start.stdin.to_owned());
    let since = Instant::now();
    let mut wait = Duration::from_millis(1);
    let status = loop {
        match child.try_wait().context("cannot wait for the launcher")? {
            Some(status) => break Some(status),
            None if since.elapsed() >= timeout => {
                // It may have ended just now; then there is nothing to kill.
                let _ = child.kill();
                child.wait().context("cannot wait for the launcher")?;
                break None;
            }
            None => thread::sleep(wait),
        }
        wait = (wait * 2).min(Duration::from_millis(50));
    };
    let (stdout, stderr) = (text(&stdout), text(&stderr));
    if !status.is_some_and(|status| status.success()) {
        bail!("{}{}", outcome(status, timeout), output(&stdout, &stderr));
    }
    Ok((stdout, stderr))
}

/// Writes a pipe's content and closes it, in a thread. A launcher that does not read it is no error.
fn feed(pipe: Option<impl Write + Send + 'static>, text: String) {
    thread::spawn(move || pipe?.write_all(text.as_bytes()).ok());
}

/// Reads a pipe to its end in a thread, so that no pipe can fill up and block the launcher.
fn drain(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut pipe = pipe?;
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = pipe.read(&mut chunk) {
            sender.send(chunk[..length].to_vec()).ok()?;
        }
        Some(())
    });
    receiver
}

/// What has come through. A child that outlives the launcher and keeps the pipe open is not waited for.
fn text(pipe: &Receiver<Vec<u8>>) -> String {
    let until = Instant::now() + Duration::from_secs(1);
    let mut bytes = Vec::new();
    while let Ok(chunk) = pipe.recv_timeout(until.saturating_duration_since(Instant::now())) {
        bytes.extend(chunk);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// None: it was ended by us.
fn outcome(status: Option<ExitStatus>, timeout: Duration) -> String {
    match status {
        None => format!("it did not end within {} seconds and was killed", timeout.as_secs()),
        Some(status) => match status.code() {
            Some(code) => format!("it exited with code {code}, and 0 was expected"),
            // "signal: 11 (SIGSEGV) (core dumped)"
            None => format!("it ended with {status}"),
        },
    }
}

fn output(stdout: &str, stderr: &str) -> String {
    let mut all = String::new();
    for (name, text) in [("stderr", stderr), ("stdout", stdout)] {
        let lines: Vec<&str> = text.lines().collect();
        let hidden = lines.len().saturating_sub(SHOWN_LINES);
        if lines.is_empty() {
            continue;
        }
        let note = if hidden > 0 { format!(", last {SHOWN_LINES} lines") } else { String::new() };
        // Writing to a string cannot fail.
        let _ = write!(all, "\n--- {name}{note}\n{}", lines[hidden..].join("\n"));
    }
    if all.is_empty() { "; it wrote nothing".into() } else { all }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a shell command in the launcher's place.
    fn sh(script: &str, timeout: Duration) -> Result<(String, String), String> {
        let args = ["-c".to_owned(), script.to_owned()];
        let start = Start { args: &args, variables: &[("X", "1")], stdin: "in\n", runner: None };
        run(Path::new("/bin/sh"), &start, timeout).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn what_a_launcher_writes_is_given_and_what_it_reads_is_fed() {
        let written = sh("read line; echo out $line; echo err >&2", TIMEOUT).unwrap();
        assert_eq!(written, ("out in\n".to_owned(), "err\n".to_owned()));
    }

    #[test]
    fn the_environment_is_clean_and_the_folder_empty() {
        let script = "test \"$PATH\" = /nonexistent && test -z \"$HOME\" \
            && test \"$(echo *)\" = '*' && test $X = 1";
        assert!(sh(script, TIMEOUT).is_ok());
    }

    #[test]
    fn a_failing_launcher_is_shown_with_what_it_wrote() {
        for (script, expected) in [
            ("exit 3", "it exited with code 3, and 0 was expected; it wrote nothing"),
            (
                "echo out; echo err >&2; exit 70",
                "it exited with code 70, and 0 was expected\n--- stderr\nerr\n--- stdout\nout",
            ),
            ("kill -9 $$", "it ended with signal: 9 (SIGKILL); it wrote nothing"),
        ] {
            assert_eq!(sh(script, TIMEOUT).unwrap_err(), expected);
        }
        let many = sh("i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo $i; done; exit 1", TIMEOUT);
        let many = many.unwrap_err();
        assert!(many.contains("--- stdout, last 40 lines\n11\n12\n"), "{many}");
        assert!(many.ends_with("\n50"), "{many}");
    }

    #[test]
    fn a_launcher_that_hangs_is_killed() {
        let error = sh("echo ready; while :; do :; done", Duration::from_millis(300)).unwrap_err();
        assert_eq!(error, "it did not end within 0 seconds and was killed\n--- stdout\nready");
    }

    #[test]
    fn a_file_that_is_no_program_cannot_start() {
        let error = run(Path::new("/nonexistent/app"), &Start::default(), TIMEOUT).unwrap_err();
        assert_eq!(error.to_string(), "cannot start /nonexistent/app");
    }
}
