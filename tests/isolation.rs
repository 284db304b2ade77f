//! The launcher alone on a machine: what it opens, and that it writes nothing.

use std::fs;
use std::path::Path;

use crate::support::task::Task;
use crate::support::{self, Alone, SAMPLE};

/// Calls that open, and calls that change what is on a disk. `?`: some architectures lack them.
const TRACED: &str = "trace=?open,openat,?openat2,?creat,execve,?mkdir,mkdirat,?unlink,unlinkat,\
?rmdir,?rename,?renameat,renameat2,?link,linkat,?symlink,symlinkat,?mknod,mknodat,truncate,\
?chmod,fchmodat,?chown,fchownat,?utime,?utimes,utimensat,setxattr";

/// One call: its name and the rest of the line.
struct Call {
    name: String,
    text: String,
    path: String,
}

/// Runs the launcher under strace; gives what it called.
fn calls(alone: &Alone, args: &[&str], code: i32) -> Vec<Call> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("calls");
    let strace = which::which("strace").expect("strace is there; `cargo xtask test` says how");
    Task::new(strace)
        .args(["-f", "-qq", "-s", "4096", "-e", "signal=none", "-e", TRACED, "-o"])
        .arg(&file)
        .arg(&alone.launcher)
        .args(args)
        .clean_env()
        .env("PATH", "/nonexistent")
        .run()
        .exits(code);
    let text = String::from_utf8_lossy(&fs::read(file).expect("strace wrote")).into_owned();
    let calls: Vec<Call> = text.lines().filter_map(call).collect();
    assert!(calls.iter().any(|call| call.name == "execve"), "strace saw a start:\n{text}");
    calls
}

/// `123   openat(AT_FDCWD, "/etc/hosts", O_RDONLY) = 3`; nothing for exits and resumed halves.
fn call(line: &str) -> Option<Call> {
    let text = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    let (name, rest) = text.split_once('(')?;
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let path = rest.split('"').nth(1).unwrap_or_default().to_owned();
    plain.then(|| Call { name: name.to_owned(), text: text.to_owned(), path })
}

impl Call {
    fn opens(&self) -> bool {
        ["open", "openat", "openat2", "creat"].contains(&self.name.as_str())
    }

    /// Whether something on a disk could be another thing afterwards.
    fn writes(&self) -> bool {
        let devices = ["/dev/null", "/dev/tty", "/dev/ptmx", "/dev/pts/"];
        if self.opens() {
            let flags = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"];
            return flags.iter().any(|flag| self.text.contains(flag))
                && !devices.iter().any(|device| self.path.starts_with(device));
        }
        self.name != "execve"
    }

    /// Whether it looks for a Python of the machine.
    fn is_python(&self, own: &Path) -> bool {
        let path = Path::new(&self.path);
        let words = ["/lib/python", "site-packages", "dist-packages", "pyvenv.cfg", "/.pyenv/"];
        let endings = ["py", "pyc", "pth", "_pth"];
        let named = path.extension().is_some_and(|end| endings.iter().any(|word| end == *word));
        self.opens()
            && !path.starts_with(own)
            && (named || words.iter().any(|word| self.path.contains(word)))
    }
}

/// Fails when the launcher looks for a Python of the machine, or could change what is on a disk.
#[track_caller]
pub fn is_isolated(alone: &Alone, args: &[&str], code: i32) {
    let calls = calls(alone, args, code);
    let bad: Vec<&str> = calls
        .iter()
        .filter(|call| call.writes() || call.is_python(&alone.launcher))
        .map(|call| call.text.as_str())
        .collect();
    assert!(bad.is_empty(), "{args:?}:\n{}", bad.join("\n"));
    let started = calls.iter().filter(|call| call.name == "execve" && call.text.ends_with("= 0"));
    for call in started {
        assert_eq!(Path::new(&call.path), alone.launcher, "nothing else is started");
    }
}

#[test]
fn the_sample_opens_no_python_of_the_machine_and_writes_nothing() {
    is_isolated(&support::image(SAMPLE).alone(), &["--selftest"], 0);
}

/// They change what a Python of a folder is, and mean nothing to a launcher.
#[test]
fn files_of_virtual_environments_beside_it_have_no_effect() {
    let alone = support::image("hello").alone();
    let plain = alone.task().arg("--flags").run().success();
    let folder = alone.folder.path();
    fs::write(folder.join("pyvenv.cfg"), "home = /nowhere\n").expect("written");
    for name in ["hello._pth", "python._pth", "hello.pth"] {
        fs::write(folder.join(name), "/nowhere\nimport site\n").expect("written");
    }
    let ended = alone.task().arg("--flags").run().success();
    assert_eq!((ended.out(), ended.err()), (plain.out(), plain.err()));
}

#[test]
fn nor_does_an_application_that_looks_for_source_lines() {
    let alone = support::image("hello").alone();
    is_isolated(&alone, &["--flags"], 0);
    is_isolated(&alone, &["--raise"], 1);
    is_isolated(&alone, &["--raise-import", "distribution"], 1);
}

/// What strace cannot see of a root user: a folder that really takes no file.
#[test]
fn it_runs_where_nothing_can_be_written() {
    let alone = support::image(SAMPLE).alone().read_only();
    let before = alone.folder.path().read_dir().expect("it can be read").count();
    let ended = alone
        .task()
        .cwd(Path::new("/proc"))
        .env("HOME", "/proc")
        .env("TMPDIR", "/proc")
        .arg("--selftest")
        .run();
    ended.success();
    let after = alone.folder.path().read_dir().expect("it can be read").count();
    assert_eq!(before, after);
}
