//! A device: a virtual machine whose console is read line by line.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Image, Machine};
use crate::support::task::default_signals;

/// Long enough for anything on an emulated processor of a machine that is busy with others.
const LIMIT: Duration = Duration::from_secs(600);
/// Of a real processor, the kernel's first line comes within tenths of a second.
const KVM_LIMIT: Duration = Duration::from_secs(10);
/// So many lines of the console are shown when something is not as it should be.
const SHOWN: usize = 50;

/// A running machine; dropped, its power is cut.
pub struct Vm {
    child: Child,
    lines: Receiver<String>,
    last: VecDeque<String>,
    name: &'static str,
    since: Instant,
}

impl Vm {
    /// Starts a machine. `options`: for the kernel's command line.
    pub fn start(name: &'static str, image: &Image, data: &Path, options: &str) -> Vm {
        let data = format!(
            "driver=raw,file.driver=file,file.filename={},file.locking=off",
            data.display()
        );
        Vm::with(name, image, &data, options)
    }

    /// The same, where all that is written to the disk for data is noted in a file.
    pub fn start_logged(
        name: &'static str,
        image: &Image,
        data: &Path,
        log: &Path,
        options: &str,
    ) -> Vm {
        let file =
            |key: &str, path: &Path| format!("{key}.driver=file,{key}.filename={}", path.display());
        let data = format!("driver=blklogwrites,{},{}", file("file", data), file("log", log));
        Vm::with(name, image, &data, options)
    }

    fn with(name: &'static str, image: &Image, data: &str, options: &str) -> Vm {
        let root = image.root.display();
        let root = format!("driver=raw,read-only=on,file.driver=file,file.filename={root}");
        let mut command = qemu(image, accelerator(image), options);
        command.arg("-initrd").arg(&image.ram_disk);
        for (id, disk) in [("root", root.as_str()), ("data", data)] {
            command.args(["-blockdev", &format!("{disk},node-name={id}")]);
            command.args(["-device", &format!("{},drive={id}", image.machine.disk)]);
        }
        Vm::of(name, command)
    }

    fn of(name: &'static str, mut command: Command) -> Vm {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("qemu is installed");
        let mut console = BufReader::new(child.stdout.take().expect("piped"));
        let (send, lines) = channel();
        thread::spawn(move || {
            let mut line = Vec::new();
            while console.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                if send.send(text).is_err() {
                    return;
                }
            }
        });
        Vm { child, lines, last: VecDeque::new(), name, since: Instant::now() }
    }

    /// The next line of JSON that is what is looked for.
    pub fn json(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        self.find(what, |line| {
            // A terminal's codes may stand before the first.
            let value: Value = serde_json::from_str(&line[line.find('{')?..]).ok()?;
            is_it(&value).then_some(value)
        })
    }

    /// The next line of JSON with this `event`.
    pub fn event(&mut self, event: &str) -> Value {
        let found = self.json(&format!("event {event:?}"), |value| value["event"] == event);
        let (act, reason) = (found.get("act"), found.get("result"));
        let detail = act.or(reason).and_then(Value::as_str).unwrap_or_default();
        self.progress(format_args!("{event} {detail}"));
        found
    }

    /// The next `start`, which must be that of this act.
    pub fn starts(&mut self, act: &str) -> Value {
        let start = self.event("start");
        assert_eq!(start["act"], act, "{self}");
        start
    }

    /// At the soft limit memory is given back, at the hard one the launcher becomes a new one: no other process.
    pub fn starts_again_in_place(&mut self) {
        let start = self.starts("grow");
        assert!(start["last_exit"].is_null(), "{start}");
        assert_eq!(self.event("asked")["level"], 10);
        self.says("memory: soft limit: ");
        self.says("is over the hard limit of ");
        let again = self.starts("grow");
        assert_eq!(again["last_exit"], "memory");
        assert_eq!(again["process"], start["process"]);
        self.event("end");
    }

    /// A client that waits while the worker is killed is served by the next one.
    pub fn serves_over_a_kill(&mut self) {
        self.starts("serve");
        let again = self.starts("serve");
        assert_eq!(again["last_exit"], "signal 9");
        assert_eq!(self.event("served")["by"], again["process"]);
    }

    /// The next line that contains this.
    pub fn says(&mut self, text: &str) -> String {
        let found = self.find(text, |line| line.contains(text).then(|| line.to_owned()));
        self.progress(format_args!("{found}"));
        found
    }

    /// All lines up to the one of this event.
    pub fn until(&mut self, event: &str) -> Vec<String> {
        let mut all = Vec::new();
        let wanted = format!("{{\"event\": \"{event}\"");
        self.find(&wanted, |line| {
            all.push(line.to_owned());
            line.contains(&wanted).then_some(())
        });
        all
    }

    /// Reads on until a line is what is looked for.
    pub fn find<T>(&mut self, what: &str, mut is_it: impl FnMut(&str) -> Option<T>) -> T {
        let end = Instant::now() + LIMIT;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let found = is_it(&line);
                    self.last.push_back(line);
                    if self.last.len() > SHOWN {
                        self.last.pop_front();
                    }
                    if let Some(found) = found {
                        return found;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no {what} within {} seconds: {self}", LIMIT.as_secs())
                }
                Err(RecvTimeoutError::Disconnected) => panic!("no {what} before its end: {self}"),
            }
        }
    }

    /// Waits until it is off by itself.
    pub fn wait_for_end(&mut self) {
        while self.lines.recv_timeout(LIMIT).is_ok() {}
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}: {self}");
    }

    /// Between any two instructions: nothing moves, and the disks are as a power cut would leave them.
    pub fn freeze<T>(&self, look: impl FnOnce() -> T) -> T {
        self.signal(libc::SIGSTOP);
        let seen = look();
        self.signal(libc::SIGCONT);
        seen
    }

    fn signal(&self, number: i32) {
        // SAFETY: a system call on numbers; the child is waited for in `drop` alone.
        unsafe { libc::kill(self.child.id().cast_signed(), number) };
    }

    /// Tells people what has been reached.
    pub fn progress(&self, what: std::fmt::Arguments<'_>) {
        let seconds = self.since.elapsed().as_secs();
        // Not by `eprint!`, which tests keep to themselves.
        let _ = writeln!(std::io::stderr(), "  {} {seconds:>3} s: {what}", self.name);
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl std::fmt::Display for Vm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "the end of the console of {}:", self.name)?;
        self.last.iter().try_for_each(|line| writeln!(f, "    {line}"))
    }
}

fn qemu(image: &Image, accelerator: &str, options: &str) -> Command {
    let Machine { board, console, memory, .. } = image.machine;
    let mut command = Command::new(format!("qemu-system-{}", image.machine.target().qemu));
    command
        .args(*board)
        .args(["-accel", accelerator, "-smp", "1", "-m", &format!("{memory}M")])
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"])
        .arg("-kernel")
        .arg(&image.kernel)
        // Of the kernel's own lines only those of its end: they would stand in the midst of others.
        .args(["-append", &format!("console={console} loglevel=1 panic=-1 {options}")]);
    // SAFETY: only async-signal-safe calls between fork and exec.
    unsafe {
        command.pre_exec(|| {
            // With the thread of the test, however that ends.
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            default_signals()
        })
    };
    command
}

/// `kvm` where it is there and works, which not every machine does that has it; else `tcg`, ten times slower.
fn accelerator(image: &Image) -> &'static str {
    static CHOICE: OnceLock<&'static str> = OnceLock::new();
    if !image.machine.triple.starts_with(std::env::consts::ARCH) {
        return "tcg";
    }
    CHOICE.get_or_init(|| {
        if fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_err() {
            return "tcg";
        }
        let vm = Vm::of("kvm", qemu(image, "kvm", "loglevel=7 earlyprintk=ttyS0"));
        let end = Instant::now() + KVM_LIMIT;
        loop {
            match vm.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains("Linux version") => return "kvm",
                Ok(_) => {}
                Err(_) => return "tcg",
            }
        }
    })
}
