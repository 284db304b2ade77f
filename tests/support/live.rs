//! A process that a test talks to while it runs.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::Alone;
use super::task::{LIMIT, default_signals};

/// A launcher that runs; killed with all that it started when the test is over.
pub struct Live {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    /// When it was started, by the clock of `time.monotonic_ns()`.
    pub since: u64,
}

impl Live {
    /// Starts it, as `env -i ./app ARGS`, with these variables.
    pub fn start(alone: &Alone, args: &[&str], variables: &[(&str, &str)]) -> Live {
        let mut command = Command::new(&alone.launcher);
        command.args(args);
        Live::of(command, variables)
    }

    /// Starts another program, which may become a launcher.
    pub fn of(mut command: Command, variables: &[(&str, &str)]) -> Live {
        command.env_clear().env("PATH", "/usr/bin:/bin").envs(variables.iter().copied());
        command.process_group(0).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        // SAFETY: only async-signal-safe calls between fork and exec.
        unsafe { command.pre_exec(default_signals) };
        let since = monotonic();
        let mut child = command.spawn().expect("it starts");
        let (tell, lines) = channel();
        read(child.stdout.take().expect("piped"), tell.clone());
        read(child.stderr.take().expect("piped"), tell);
        Live { child, lines, seen: Vec::new(), since }
    }

    /// The number of the process that was started.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Waits for a line of stdout or stderr that has this in it.
    #[track_caller]
    pub fn line(&mut self, part: &str) -> String {
        let until = Instant::now() + LIMIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(_) => panic!("no {part:?} in:\n{}", self.tail()),
            }
        }
    }

    /// Sends a signal to the process that was started.
    pub fn signal(&self, number: i32) {
        kill(self.pid(), number);
    }

    /// Waits for the end; the exit code, or a negative signal number, and all lines.
    #[track_caller]
    pub fn end(mut self) -> (i32, Vec<String>) {
        let until = Instant::now() + LIMIT;
        // The streams end when the last process that has them does.
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(_) => panic!("it does not end:\n{}", self.tail()),
            }
        }
        let status = self.child.wait().expect("it ends");
        let code = status.code().unwrap_or_else(|| -status.signal().expect("one of both"));
        (code, std::mem::take(&mut self.seen))
    }

    fn tail(&self) -> String {
        self.seen[self.seen.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        kill(-self.pid(), libc::SIGKILL);
        // One that was waited for before needs no more.
        let _ = self.child.wait();
    }
}

fn read(pipe: impl Read + Send + 'static, tell: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            if tell.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
}

/// Sends a signal to a process, or to a group where the number is negative.
pub fn kill(pid: i32, number: i32) {
    // SAFETY: a system call on numbers.
    unsafe { libc::kill(pid, number) };
}

/// Nanoseconds, by the clock of `time.monotonic_ns()`.
pub fn monotonic() -> u64 {
    // SAFETY: fills a structure of numbers.
    unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time);
        Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32).as_nanos() as u64
    }
}
