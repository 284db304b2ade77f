//! A process with an end: started, fed, watched line by line, and killed when it takes too long.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// Long enough for any launcher on a machine that is busy with others.
pub const LIMIT: Duration = Duration::from_secs(180);

type OnLine = Box<dyn FnMut(&str, &Process) + Send>;

/// A process that is going to be started.
pub struct Task {
    command: Command,
    folder: Option<TempDir>,
    stdin: Vec<u8>,
    limit: Duration,
    on_stdout: Option<OnLine>,
    on_stderr: Option<OnLine>,
    what: String,
}

/// A running process and what it started, for [`Task::on_stdout`] and [`Task::on_stderr`].
pub struct Process {
    pid: i32,
}

impl Process {
    /// Sends a signal to the process.
    pub fn signal(&self, number: i32) {
        // SAFETY: a system call on numbers; the process is not waited for before its output has ended.
        unsafe { libc::kill(self.pid, number) };
    }

    /// Whether it runs: whoever waits for what it does waits no longer than that.
    pub fn runs(&self) -> bool {
        // SAFETY: fills a structure of numbers, and leaves the child to be waited for.
        unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
            let asked = libc::waitid(libc::P_PID, self.pid.cast_unsigned(), &mut info, options);
            asked == 0 && info.si_pid() == 0
        }
    }

    /// Ends the process and all that it started.
    pub fn kill_all(&self) {
        // SAFETY: as above; the process leads a group of its own.
        unsafe { libc::kill(-self.pid, libc::SIGKILL) };
    }
}

/// A process that has ended.
#[derive(Clone)]
pub struct Ended {
    /// Exit code, or a negative signal number, as Python's `subprocess` has it.
    pub code: i32,
    /// All that it wrote.
    pub stdout: Vec<u8>,
    /// All that it complained about.
    pub stderr: Vec<u8>,
    what: String,
}

impl Task {
    /// In an empty folder of its own, with the test's environment, and nothing on stdin.
    pub fn new(program: impl AsRef<OsStr>) -> Task {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(&program);
        command.current_dir(folder.path());
        Task {
            command,
            folder: Some(folder),
            stdin: Vec::new(),
            limit: LIMIT,
            on_stdout: None,
            on_stderr: None,
            what: Path::new(&program).file_name().unwrap_or_default().display().to_string(),
        }
    }

    /// One more argument.
    pub fn arg(self, word: impl AsRef<OsStr>) -> Task {
        self.args([word])
    }

    /// More arguments.
    pub fn args(mut self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Task {
        for word in words {
            self.what.push_str(&format!(" {}", word.as_ref().display()));
            self.command.arg(word);
        }
        self
    }

    /// Forgets every variable so far.
    pub fn clean_env(mut self) -> Task {
        self.command.env_clear();
        self
    }

    /// Sets a variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Task {
        self.command.env(name, value);
        self
    }

    /// Takes a variable away.
    pub fn without_env(mut self, name: &OsString) -> Task {
        self.command.env_remove(name);
        self
    }

    /// In this folder.
    pub fn cwd(mut self, folder: &Path) -> Task {
        self.command.current_dir(folder);
        self.folder = None;
        self
    }

    /// With this on stdin, then its end.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Task {
        self.stdin = bytes.into();
        self
    }

    /// It is killed, and the test fails, when it takes longer.
    pub fn limit(mut self, limit: Duration) -> Task {
        self.limit = limit;
        self
    }

    /// The kernel ends it when it has computed for so long; waiting does not count.
    pub fn cpu_limit(mut self, seconds: u64) -> Task {
        let limit = libc::rlimit { rlim_cur: seconds, rlim_max: seconds + 1 };
        // SAFETY: a system call that reads a struct.
        let set = move || match unsafe { libc::setrlimit(libc::RLIMIT_CPU, &limit) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        };
        // SAFETY: one system call, on numbers, between fork and exec.
        unsafe { self.command.pre_exec(set) };
        self
    }

    /// Called with every line of stdout while the process runs.
    pub fn on_stdout(mut self, call: impl FnMut(&str, &Process) + Send + 'static) -> Task {
        self.on_stdout = Some(Box::new(call));
        self
    }

    /// The same of stderr.
    pub fn on_stderr(mut self, call: impl FnMut(&str, &Process) + Send + 'static) -> Task {
        self.on_stderr = Some(Box::new(call));
        self
    }

    /// The command, for what only it can do.
    pub fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    /// Runs it to its end and to the end of its output.
    pub fn run(self) -> Ended {
        let limit = self.limit;
        let (ended, late) = self.run_or_kill();
        assert!(!late, "killed after {} seconds: {ended}", limit.as_secs());
        ended
    }

    /// The same; whether it was killed for taking too long is for the caller to judge.
    pub fn run_or_kill(mut self) -> (Ended, bool) {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command.process_group(0);
        // SAFETY: only async-signal-safe calls between fork and exec.
        unsafe { self.command.pre_exec(default_signals) };
        let what = self.what;
        // A program that was just written: a process that another test is starting may still hold it
        // open for writing, until it becomes what it is going to be.
        let child = loop {
            match self.command.spawn() {
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => thread::yield_now(),
                other => break other,
            }
        };
        let mut child = child.unwrap_or_else(|error| panic!("`{what}` does not start: {error}"));
        let pid = child.id().cast_signed();
        let feed = feed(&mut child, self.stdin);
        let stdout = read(child.stdout.take().expect("piped"), pid, self.on_stdout);
        let stderr = read(child.stderr.take().expect("piped"), pid, self.on_stderr);
        let (over, wait) = channel::<()>();
        let limit = self.limit;
        let watch = thread::spawn(move || {
            let late = wait.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
            if late {
                Process { pid }.kill_all();
            }
            late
        });
        let join = |reader: thread::JoinHandle<Vec<u8>>| reader.join().expect("a reader ends");
        // First the output: until the process has been waited for, its number belongs to nobody else.
        let (stdout, stderr) = (join(stdout), join(stderr));
        let status = child.wait().expect("a child can be waited for");
        drop(over);
        let late = watch.join().expect("the watch ends");
        feed.join().expect("the feed ends");
        let code = status.code().or(status.signal().map(|signal| -signal)).expect("it has ended");
        (Ended { code, stdout, stderr, what }, late)
    }
}

/// A test may have been started with signals ignored, as `nohup` and background jobs are.
pub fn default_signals() -> std::io::Result<()> {
    for number in 1..32 {
        // SAFETY: sets a disposition; fails for two numbers, which have the default one anyway.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    Ok(())
}

fn feed(child: &mut Child, bytes: Vec<u8>) -> thread::JoinHandle<()> {
    let mut stdin = child.stdin.take().expect("piped");
    thread::spawn(move || {
        // A process need not read what it is given.
        let _ = stdin.write_all(&bytes);
    })
}

fn read(
    pipe: impl Read + Send + 'static,
    pid: i32,
    mut on_line: Option<OnLine>,
) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let (mut pipe, mut all) = (BufReader::new(pipe), Vec::new());
        loop {
            let start = all.len();
            match pipe.read_until(b'\n', &mut all) {
                Ok(1..) => {}
                _ => return all,
            }
            if let Some(call) = &mut on_line {
                call(String::from_utf8_lossy(&all[start..]).trim_end(), &Process { pid });
            }
        }
    })
}

impl Ended {
    /// What it wrote, as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// What it complained about, as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Itself when the exit code is 0.
    #[track_caller]
    pub fn success(self) -> Ended {
        self.exits(0)
    }

    /// Itself when the exit code is this one.
    #[track_caller]
    pub fn exits(self, code: i32) -> Ended {
        assert!(self.code == code, "exit code {code} expected: {self}");
        self
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "`{}` ended with {}", self.what, self.code)?;
        for (name, text) in [("stdout", self.out()), ("stderr", self.err())] {
            // The end is where the reason is.
            let start = text.char_indices().rev().nth(4000).map_or(0, |(at, _)| at);
            writeln!(f, "--- {name}\n{}", text[start..].trim_end())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
