//! The launcher that is checked: started with a driver inside, asked over pipes.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, PipeWriter, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::count::Count;
use crate::config::{Project, Scenario};

/// Run by the launcher as `python3 -c` would.
const DRIVER: &str = include_str!("driver.py");
/// So the launcher acts as an interpreter.
const VARIABLE: &str = "PYRMWARE_PYTHON";
/// What `pyrmware.ready()` was told, for the command.
const STATUS: &str = "PYRMWARE_STATUS";
/// With which the application is asked; nobody else uses it.
const ASK: Signal = Signal::POWER;
/// Between two looks at what cannot be waited for, and what an application needs to come to rest.
const TICK: Duration = Duration::from_millis(10);
/// Between two looks whether the launcher has ended, while it is to answer.
const LOOK: Duration = Duration::from_millis(200);
/// Counts after a command until two in a row are the same.
const LOOKS: usize = 20;
/// What the application has to end by itself.
const GRACE: Duration = Duration::from_secs(10);
/// Lines of the log that an error shows.
const SHOWN: usize = 20;

/// What is the same for every step.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// The application.
    pub project: &'a Project,
    /// Its arguments.
    pub args: &'a [OsString],
    /// What one step may take.
    pub limit: Duration,
    /// Where the output of application and command goes.
    pub log: &'a Path,
}

/// A running launcher.
pub struct Subject<'a> {
    setup: Setup<'a>,
    child: Child,
    requests: PipeWriter,
    answers: Receiver<Vec<String>>,
    /// The program that is run in each cycle; none: a function inside.
    command: Option<&'a [String]>,
    /// What the application said when it was ready.
    status: String,
    cycles: u32,
}

impl<'a> Subject<'a> {
    /// Starts the launcher; returns when it is ready.
    ///
    /// # Errors
    /// It cannot be started, ends, or does not become ready in time.
    pub fn start(
        mut launcher: Command,
        scenario: &'a Scenario,
        setup: &Setup<'a>,
    ) -> Result<Subject<'a>> {
        let folder = setup.log.parent().context("the log is in a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let log = File::create(setup.log)
            .with_context(|| format!("cannot write {}", setup.log.display()))?;
        let (theirs, requests) = io::pipe().context("cannot make a pipe")?;
        let (reader, answer) = io::pipe().context("cannot make a pipe")?;
        let entry = setup.project.entry.to_string();
        let (mode, target, command, port) = match scenario {
            Scenario::Function(function) => ("function", function, None, None),
            Scenario::Command { words, port } => ("application", &entry, Some(&words[..]), *port),
        };
        launcher.args(["-c", DRIVER, &path_of(theirs.as_raw_fd()), &path_of(answer.as_raw_fd())]);
        launcher.args([mode, target]).args(setup.args).env(VARIABLE, "1");
        let child = into_log(&mut launcher, &log)?
            .spawn()
            .with_context(|| format!("cannot start {}", launcher.get_program().display()))?;
        let (sender, answers) = channel();
        thread::spawn(move || read(BufReader::new(reader), &sender));
        let mut subject = Subject {
            setup: *setup,
            child,
            requests,
            answers,
            command,
            status: String::new(),
            cycles: 0,
        };
        subject.answer("started", "starting")?;
        // The launcher has opened them: whoever has the other ends learns of an end.
        drop((theirs, answer));
        match port {
            Some(port) => subject.wait_for(port)?,
            None => subject.status = subject.answer("ready", "becoming ready")?.join(" "),
        }
        Ok(subject)
    }

    /// One cycle of the scenario.
    ///
    /// # Errors
    /// It fails, or takes too long.
    pub fn cycle(&mut self) -> Result<()> {
        self.cycles += 1;
        match self.command {
            Some(words) => self.run(words),
            None => {
                self.ask("run")?;
                self.answer("ran", "a cycle").map(drop)
            }
        }
    }

    /// What there is after a full collection.
    ///
    /// # Errors
    /// The launcher has ended, or does not answer.
    pub fn count(&mut self) -> Result<Count> {
        let mut last = self.count_once()?;
        if self.command.is_some() {
            // The application may still be busy with what the command has left.
            for _ in 0..LOOKS {
                thread::sleep(TICK);
                let next = self.count_once()?;
                if next.is_same(&last) {
                    return Ok(next);
                }
                last = next;
            }
        }
        Ok(last)
    }

    fn count_once(&mut self) -> Result<Count> {
        self.ask("count")?;
        Count::parse(&self.answer("count", "counting")?)
    }

    /// What is in memory, and who holds the objects of these types.
    ///
    /// # Errors
    /// As for [`Subject::count`].
    pub fn snapshot(&mut self, types: &[String]) -> Result<Value> {
        self.ask(&["snapshot"].into_iter().chain(types.iter().map(String::as_str)).fold(
            String::new(),
            |line, word| {
                if line.is_empty() { word.to_owned() } else { format!("{line}\t{word}") }
            },
        ))?;
        let answer = self.answer("snapshot", "looking who holds what")?;
        serde_json::from_str(&answer.concat()).context("the launcher's snapshot is no JSON")
    }

    /// Asks the application to end, and sees that it does. Nobody minds how.
    pub fn end(mut self) {
        if self.command.is_some()
            && let Some(pid) = Pid::from_raw(self.child.id().cast_signed())
        {
            let _ = kill_process(pid, Signal::TERM);
            let since = Instant::now();
            while since.elapsed() < GRACE && matches!(self.child.try_wait(), Ok(None)) {
                thread::sleep(TICK);
            }
        }
    }

    fn ask(&mut self, request: &str) -> Result<()> {
        let written = writeln!(self.requests, "{request}").and_then(|()| self.requests.flush());
        if written.is_err() {
            return Err(self.ended());
        }
        if self.command.is_some()
            && let Some(pid) = Pid::from_raw(self.child.id().cast_signed())
        {
            kill_process(pid, ASK).context("cannot ask the application")?;
        }
        Ok(())
    }

    fn answer(&mut self, kind: &str, act: &str) -> Result<Vec<String>> {
        let since = Instant::now();
        let mut has_ended = false;
        loop {
            let answer = match self.answers.recv_timeout(LOOK) {
                Ok(answer) => answer,
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
                // What it has said before it ended may still be on its way.
                Err(RecvTimeoutError::Timeout) if has_ended => return Err(self.ended()),
                Err(RecvTimeoutError::Timeout) if since.elapsed() > self.setup.limit => {
                    return Err(self.late(act));
                }
                Err(RecvTimeoutError::Timeout) => {
                    has_ended = !matches!(self.child.try_wait(), Ok(None));
                    continue;
                }
            };
            match answer.split_first() {
                Some((found, rest)) if found == kind => return Ok(rest.to_vec()),
                // An application may say more than once that it is ready.
                Some((found, _)) if found == "ready" => {}
                Some((found, why)) if found == "failed" => {
                    return Err(self.failed("the function", why.join(" ")));
                }
                Some((_, why)) => bail!("{act} failed in the launcher: {}", why.join(" ")),
                None => {}
            }
        }
    }

    /// Until something listens on the port. Nothing connects, for that would be a client.
    fn wait_for(&mut self, port: u16) -> Result<()> {
        let since = Instant::now();
        while !listens(port) {
            if let Ok(Some(_)) = self.child.try_wait() {
                return Err(self.ended());
            }
            if since.elapsed() > self.setup.limit {
                bail!(
                    "nothing listens on port {port} after {} seconds; port in \
                     [tool.pyrmware.leakcheck] is where the application serves{}",
                    self.setup.limit.as_secs(),
                    self.tail()
                );
            }
            thread::sleep(TICK);
        }
        Ok(())
    }

    fn run(&mut self, words: &[String]) -> Result<()> {
        let [program, args @ ..] = words else { return Ok(()) };
        let log = File::options()
            .append(true)
            .open(self.setup.log)
            .with_context(|| format!("cannot write {}", self.setup.log.display()))?;
        let mut process = Command::new(program);
        process.args(args).current_dir(&self.setup.project.dir).env(STATUS, &self.status);
        let mut child = into_log(&mut process, &log)?.spawn().with_context(|| {
            format!("cannot start {program}, command in [tool.pyrmware.leakcheck]")
        })?;
        let status = wait(&mut child, self.setup.limit)?;
        match status {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(self.failed(&words.join(" "), status.to_string())),
            None => Err(self.late(&words.join(" "))),
        }
    }

    fn failed(&self, what: &str, why: String) -> anyhow::Error {
        anyhow!("{what} failed in cycle {}: {why}{}", self.cycles, self.tail())
    }

    fn late(&self, act: &str) -> anyhow::Error {
        let ready = match (act, self.command) {
            ("becoming ready", Some(_)) => {
                "; the application calls pyrmware.ready(), or port in [tool.pyrmware.leakcheck] says \
                 where it listens"
            }
            _ => "; --limit allows more",
        };
        let limit = self.setup.limit.as_secs();
        anyhow!("{act} took longer than {limit} seconds{ready}{}", self.tail())
    }

    fn ended(&mut self) -> anyhow::Error {
        let status = match wait(&mut self.child, GRACE) {
            Ok(Some(status)) => status.to_string(),
            _ => "no exit status".to_owned(),
        };
        let when = match self.cycles {
            0 => "before it was ready".to_owned(),
            cycles => format!("in cycle {cycles}"),
        };
        anyhow!("the application ended with {status} {when}{}", self.tail())
    }

    /// The end of what application and command have written.
    fn tail(&self) -> String {
        let text = fs::read(self.setup.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut lines: VecDeque<&str> = VecDeque::new();
        for line in text.lines() {
            if lines.len() == SHOWN {
                lines.pop_front();
            }
            lines.push_back(line);
        }
        lines.into_iter().map(|line| format!("\n  {line}")).collect()
    }
}

impl Drop for Subject<'_> {
    /// Whatever happened, nothing stays behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A pipe's end by a name that another process can open.
fn path_of(descriptor: RawFd) -> String {
    format!("/proc/{}/fd/{descriptor}", std::process::id())
}

/// In the group of this process: Ctrl-C ends all.
fn into_log<'c>(process: &'c mut Command, log: &File) -> Result<&'c mut Command> {
    let copy = || log.try_clone().map(Stdio::from).context("cannot share the log");
    let (stdout, stderr) = (copy()?, copy()?);
    Ok(process.stdin(Stdio::null()).stdout(stdout).stderr(stderr))
}

fn read(mut answers: impl BufRead, to: &Sender<Vec<String>>) {
    let mut line = Vec::new();
    while matches!(answers.read_until(b'\n', &mut line), Ok(1..)) {
        let text = String::from_utf8_lossy(&line);
        let fields = text.trim_end_matches('\n').split('\t').map(str::to_owned).collect();
        if to.send(fields).is_err() {
            return;
        }
        line.clear();
    }
}

/// Waits for an end; what takes too long is killed.
fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let since = Instant::now();
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for a process")? {
            return Ok(Some(status));
        }
        if since.elapsed() > limit {
            child.kill().and_then(|()| child.wait()).context("cannot wait for a process")?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Whether any process listens on a TCP port.
fn listens(port: u16) -> bool {
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| {
        fs::read_to_string(table)
            .is_ok_and(|table| table.lines().any(|line| is_listening(line, port)))
    })
}

/// `0: 0100007F:0913 00000000:0000 0A …`
fn is_listening(line: &str, port: u16) -> bool {
    let mut fields = line.split_whitespace().skip(1);
    let local = fields.next().and_then(|address| address.rsplit_once(':'));
    let is_port = local.and_then(|(_, hex)| u16::from_str_radix(hex, 16).ok()) == Some(port);
    is_port && fields.nth(1) == Some("0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_listened_on_or_only_used() {
        let listening = "   0: 0100007F:0913 00000000:0000 0A 00000000:00000000 00:00000000 0";
        assert!(is_listening(listening, 2323));
        assert!(!is_listening(listening, 23));
        assert!(!is_listening(&listening.replace(" 0A ", " 01 "), 2323));
        assert!(!is_listening("  sl  local_address rem_address   st", 2323));
    }
}
