//! [`Image`] -> same: it starts, its self-test passes, and no pruned module is asked for.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::link::Image;
use super::resolve::Plan;

/// Long enough for a self-test under qemu-user, short enough for a build that hangs.
const TIMEOUT: Duration = Duration::from_secs(120);
/// With it the launcher starts Python, looks for the entry, runs nothing and exits 0.
const CHECK: &str = "PYRMWARE_CHECK";
/// With it the launcher writes a line for every pruned module asked for: its name, a colon, and [`PRUNED`].
const REPORT_PRUNED: &str = "PYRMWARE_REPORT_PRUNED";
const PRUNED: &str = "pruned module asked for: ";
/// How much of a failed run's output is shown: its end, where the reason is.
const SHOWN_LINES: usize = 40;

/// What will be checked, for the progress line.
pub fn describe(plan: &Plan) -> String {
    match &plan.config.project.verify {
        Some(command) => format!("{} {}", plan.config.project.name, command.join(" ")),
        None => format!("that {} starts", plan.config.project.name),
    }
}

/// Starts the launcher in a clean environment and an empty folder: with the self-test's arguments
/// where there are any, else only as far as its entry.
///
/// # Errors
/// It does not start, does not end within [`TIMEOUT`], or does not exit with 0.
pub fn run(plan: &Plan, mut image: Image) -> Result<Image> {
    let (project, device) = (&plan.config.project, &plan.config.device);
    if !runs_here(&plan.target) {
        image.warnings.push(format!(
            "not verified: this machine cannot start a launcher for {}",
            plan.target
        ));
        return Ok(image);
    }
    if project.verify.is_none() && device.locked_down {
        image.warnings.push(
            "not verified: a locked-down launcher can only be checked by a self-test, and there is \
             no command in [tool.pyrmware.verify]"
                .into(),
        );
        return Ok(image);
    }
    let command = project.verify.as_deref();
    let asked = check(&image.launcher, command, TIMEOUT).with_context(|| {
        let words = std::iter::once(&project.name).chain(command.unwrap_or_default());
        let words: Vec<&str> = words.map(String::as_str).collect();
        format!("the new launcher fails `{}`", words.join(" "))
    })?;
    let dropped = &image.packed.sealed.compiled.kept.dropped;
    image.warnings.extend(asked.into_iter().map(|name| {
        let reason = dropped.get(&name).map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!(
            "the pruned module {name} was asked for{reason}; keep = [\"{name}\"] in \
             [tool.pyrmware.prune] keeps it"
        )
    }));
    Ok(image)
}

/// Whether a program for this target starts on the machine that builds.
pub fn runs_here(target: &str) -> bool {
    let os = if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS };
    target.split('-').next() == Some(std::env::consts::ARCH) && target.contains(os)
}

/// Runs the launcher once and gives the pruned modules that were asked for.
fn check(
    launcher: &Path,
    command: Option<&[String]>,
    timeout: Duration,
) -> Result<BTreeSet<String>> {
    let cwd = tempfile::tempdir().context("cannot make an empty folder for the launcher")?;
    let mut process = Command::new(launcher);
    process
        .args(command.unwrap_or_default())
        .current_dir(&cwd)
        .env_clear()
        .env("PATH", "/nonexistent")
        .env(REPORT_PRUNED, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if command.is_none() {
        process.env(CHECK, "1");
    }
    let mut child =
        process.spawn().with_context(|| format!("cannot start {}", launcher.display()))?;
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
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
    Ok(pruned(&stderr))
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

/// The names on the launcher's lines: `<4>hello: pruned module asked for: tkinter`, with a syslog priority
/// as stderr is no terminal.
fn pruned(stderr: &str) -> BTreeSet<String> {
    let module = |line: &str| {
        let (said_by, name) = line.split_once(": ")?;
        let own = said_by.starts_with('<') && !said_by.contains(' ');
        own.then(|| name.strip_prefix(PRUNED)).flatten().map(|name| name.trim().to_owned())
    };
    stderr.lines().filter_map(module).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a shell command in the launcher's place.
    fn sh(script: &str, timeout: Duration) -> Result<Vec<String>, String> {
        let arguments = ["-c".to_owned(), script.to_owned()];
        check(Path::new("/bin/sh"), Some(&arguments), timeout)
            .map(|names| names.into_iter().collect())
            .map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_launcher_that_exits_with_0_passes_and_its_pruned_modules_are_told() {
        let script = "echo '<4>hello: pruned module asked for: no'
            echo '<4>hello: pruned module asked for: tkinter' >&2
            echo '<4>hello: pruned module asked for: a.b' >&2
            echo 'an error: pruned module asked for: no' >&2
            echo '<4>hello: pruned module asked for: tkinter' >&2";
        assert_eq!(sh(script, TIMEOUT).unwrap(), ["a.b", "tkinter"]);
    }

    #[test]
    fn the_environment_is_clean_and_the_folder_empty() {
        let script = "test \"$PATH\" = /nonexistent && test -z \"$HOME\" \
            && test \"$(echo *)\" = '*' && test $PYRMWARE_REPORT_PRUNED = 1 \
            && test -z \"$PYRMWARE_CHECK\"";
        assert_eq!(sh(script, TIMEOUT), Ok(vec![]));
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
        let error = check(Path::new("/nonexistent/app"), None, TIMEOUT).unwrap_err();
        assert_eq!(error.to_string(), "cannot start /nonexistent/app");
    }

    #[test]
    fn another_architecture_does_not_run_here() {
        assert!(!runs_here("mips-unknown-linux-gnu"));
        assert_eq!(
            runs_here("x86_64-unknown-linux-gnu"),
            cfg!(all(target_arch = "x86_64", target_os = "linux"))
        );
    }
}
