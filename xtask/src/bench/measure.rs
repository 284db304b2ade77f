//! One run of one program, measured from a process that is small itself.
//!
//! Linux counts the memory of the process that calls `exec` into the peak of the program that it
//! becomes. The pipeline holds hundreds of megabytes, so each run is started by a fresh xtask, through
//! a hidden verb.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// What one run cost.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Cost {
    /// Wall time in nanoseconds, from before fork to after wait.
    pub nanoseconds: u64,
    /// Peak resident memory in KiB, of the largest process.
    pub peak_kib: u64,
    /// Peak memory in KiB that no other process shares, of all processes together; with `--memory`.
    pub private_kib: Option<u64>,
    /// Bytes that came from the disk.
    pub read_bytes: u64,
}

/// Run a program and print what it cost, as JSON
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Look at its memory again and again, which makes it slower
    #[arg(long)]
    memory: bool,
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
        let private_kib = self.memory.then(|| watch(child.id()));
        let (status, usage) = wait(child.id())?;
        let nanoseconds = start.elapsed().as_nanos() as u64;
        if status != 0 {
            bail!("{} ended with wait status {status:#x}", program.display());
        }
        let cost = Cost {
            nanoseconds,
            peak_kib: usage.ru_maxrss as u64,
            private_kib,
            read_bytes: usage.ru_inblock as u64 * 512,
        };
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

/// The peak of the private memory of a process and its children, until it ends.
fn watch(pid: u32) -> u64 {
    const PAUSE: Duration = Duration::from_millis(1);
    let mut peak = 0;
    while is_running(pid) {
        peak = peak.max(private_of_tree(pid));
        std::thread::sleep(PAUSE);
    }
    peak
}

/// A process that has ended stays until it is waited for.
fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !"ZX".contains(state))
}

fn private_of_tree(pid: u32) -> u64 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let below = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    // Until it has become another program its memory is that of this one; so this is asked before that is read.
    let program = |pid: &str| fs::read_link(format!("/proc/{pid}/exe")).ok();
    if program(&pid.to_string()) == program("self") {
        return 0;
    }
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap_or_default();
    let map_files = PathBuf::from(format!("/proc/{pid}/map_files"));
    private_kib(&smaps, &map_files) + below.map(private_of_tree).sum::<u64>()
}

/// What a process has for itself. A memory file counts with all of its pages, which stay, mapped or not;
/// `map_files` is the folder of `/proc` that says how many those are, where that may be read.
fn private_kib(smaps: &str, map_files: &Path) -> u64 {
    let (mut private, mut files) = (0, BTreeMap::<&str, u64>::new());
    let mut memory_file = false;
    for line in smaps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["Private_Clean:" | "Private_Dirty:", kib, _] if !memory_file => {
                private += kib.parse::<u64>().unwrap_or(0);
            }
            // What was written to is no page of the file any more.
            ["Anonymous:", kib, _] if memory_file => private += kib.parse::<u64>().unwrap_or(0),
            // "start-end rw-p offset device inode path"
            [range, _, offset, _, inode, path @ ..] if range.contains('-') => {
                memory_file = path.first().is_some_and(|path| path.starts_with("/memfd:"));
                let hex = |text: &str| u64::from_str_radix(text, 16).unwrap_or(0);
                if let (true, Some((start, end))) = (memory_file, range.split_once('-')) {
                    let file = files.entry(inode).or_default();
                    // Something else may be mapped there by now.
                    let there = fs::metadata(map_files.join(range)).ok();
                    *file = match there.filter(|there| there.ino().to_string() == *inode) {
                        Some(memory) => memory.blocks() * 512,
                        None => (*file).max(hex(offset) + hex(end).saturating_sub(hex(start))),
                    };
                }
            }
            _ => {}
        }
    }
    private + files.values().sum::<u64>() / 1024
}

/// Something to measure: a command line and what its environment has besides `PATH` and UTF-8.
#[derive(Debug, Clone)]
pub struct Program {
    /// Program and arguments.
    pub command: Vec<OsString>,
    /// Variables.
    pub env: Vec<(OsString, OsString)>,
}

impl Program {
    /// Runs it once in a small process of its own.
    ///
    /// # Errors
    /// As [`Args::run`], with the program's own stderr.
    pub fn once(&self) -> Result<Cost> {
        self.measure(&[])
    }

    /// As [`Program::once`], with [`Cost::private_kib`]; slower than without.
    ///
    /// # Errors
    /// As there.
    pub fn memory(&self) -> Result<Cost> {
        self.measure(&["--memory"])
    }

    fn measure(&self, words: &[&str]) -> Result<Cost> {
        let own = std::env::current_exe().context("cannot find xtask's own program")?;
        let mut command = Command::new(own);
        command.arg("measure").args(words).arg("--").args(&self.command);
        let output = self.clean(&mut command).output().context("cannot start xtask again")?;
        if !output.status.success() {
            bail!("{}", last_line(&output.stderr));
        }
        serde_json::from_slice(&output.stdout).context("a measurement cannot be read")
    }

    /// What it prints.
    ///
    /// # Errors
    /// A program that fails.
    pub fn output(&self) -> Result<String> {
        let [program, args @ ..] = self.command.as_slice() else { bail!("no program") };
        let mut command = Command::new(program);
        let output = self.clean(command.args(args)).output().context("cannot start it")?;
        if !output.status.success() {
            bail!("{}", last_line(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Instructions that the program and its children execute; none without valgrind.
    ///
    /// # Errors
    /// A program that fails under valgrind.
    pub fn instructions(&self) -> Result<Option<u64>> {
        let Ok(valgrind) = which::which("valgrind") else { return Ok(None) };
        let mut command = Command::new(valgrind);
        command.args(["--tool=callgrind", "--trace-children=yes"]);
        command.args(["--callgrind-out-file=/dev/null", "--"]).args(&self.command);
        let output = self.clean(&mut command).output().context("cannot start valgrind")?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            bail!("under valgrind: {}", last_line(&output.stderr));
        }
        let counts = stderr.lines().filter_map(|line| line.split_once("Collected : "));
        let counts: Vec<u64> = counts.filter_map(|(_, count)| count.trim().parse().ok()).collect();
        match counts.as_slice() {
            [] => bail!("valgrind's count cannot be found in what it said"),
            counts => Ok(Some(counts.iter().sum())),
        }
    }

    /// How many different files on disk the program and its children open; none without strace.
    ///
    /// # Errors
    /// A program that fails under strace.
    pub fn files_opened(&self) -> Result<Option<usize>> {
        let Ok(strace) = which::which("strace") else { return Ok(None) };
        let log = tempfile::NamedTempFile::new().context("cannot create a file")?;
        let mut command = Command::new(strace);
        command.args(["-f", "-qq", "-e", "trace=open,openat,openat2", "-e", "signal=none", "-o"]);
        command.arg(log.path()).args(&self.command);
        let output = self.clean(&mut command).output().context("cannot start strace")?;
        if !output.status.success() {
            bail!("under strace: {}", last_line(&output.stderr));
        }
        let log = fs::read_to_string(log.path()).context("cannot read what strace wrote")?;
        Ok(Some(files_on_disk(&log).len()))
    }

    fn clean<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("LANG", "C.UTF-8").stdin(Stdio::null());
        command.envs(self.env.iter().map(|(name, value)| (name, value)))
    }
}

/// The files that were opened, as strace tells it. What is opened again has been read, folders are no
/// files, and neither are memory files, nor what the kernel makes up, on any disk.
fn files_on_disk(log: &str) -> BTreeSet<&str> {
    let opened = log.lines().filter(|line| {
        let result = line.rsplit_once(" = ").map(|(_, result)| result);
        result.is_some_and(|result| !result.starts_with(['-', '?']))
            && !line.contains("O_DIRECTORY")
    });
    opened
        .filter_map(|line| line.split('"').nth(1))
        .filter(|path| !["/proc/", "/sys/", "/dev/"].iter().any(|top| path.starts_with(top)))
        .collect()
}

/// The last line that says something; the whole is in the hands of who runs the program himself.
fn last_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let mut lines = text.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let last = lines.next().unwrap_or("it failed without a word");
    // What xtask adds to what the program said.
    let said = lines.find(|line| !line.starts_with("error:"));
    match last.starts_with("error:") {
        true => said.map_or_else(|| last.to_owned(), |said| format!("{said} ({last})")),
        false => last.to_owned(),
    }
}

/// Has the kernel forget what it read of files: of all where that is allowed, else of these trees.
///
/// # Errors
/// A tree that cannot be listed.
pub fn forget_files(trees: &[&Path]) -> Result<()> {
    // SAFETY: takes nothing and cannot fail; pages that are not written yet would stay.
    unsafe { libc::sync() };
    if fs::write("/proc/sys/vm/drop_caches", "3").is_ok() {
        return Ok(());
    }
    for tree in trees {
        for entry in walkdir::WalkDir::new(tree) {
            let entry = entry.with_context(|| format!("cannot list {}", tree.display()))?;
            let Ok(file) = fs::File::open(entry.path()) else { continue };
            // Advice may be ignored.
            let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_count_once_and_on_disk_only() {
        let log = "\
7 openat(AT_FDCWD, \"/etc/ld.so.cache\", O_RDONLY|O_CLOEXEC) = 3
7 openat(AT_FDCWD, \"/lib/libm.so.6\", O_RDONLY|O_CLOEXEC) = 3
7 openat(AT_FDCWD, \"/opt/site\", O_RDONLY|O_NONBLOCK|O_CLOEXEC|O_DIRECTORY) = 3
7 openat(AT_FDCWD, \"/opt/site/none.py\", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)
8 openat(AT_FDCWD, \"/proc/self/fd/./3\", O_RDONLY|O_CLOEXEC) = 4
8 openat(AT_FDCWD, \"/etc/ld.so.cache\", O_RDONLY|O_CLOEXEC) = 3";
        assert_eq!(Vec::from_iter(files_on_disk(log)), ["/etc/ld.so.cache", "/lib/libm.so.6"]);
    }

    #[test]
    fn memory_files_count_once_and_as_a_whole() {
        let smaps = "\
7f0000000000-7f0000001000 r--p 00000000 08:01 11 /usr/bin/app
Private_Clean:         4 kB
Private_Dirty:         8 kB
7f0000100000-7f0000104000 r-xp 00000000 00:01 42 /memfd:_ssl (deleted)
Private_Clean:         4 kB
7f0000104000-7f0000106000 rw-p 00004000 00:01 42 /memfd:_ssl (deleted)
Private_Dirty:         4 kB
Anonymous:             4 kB
7f0000200000-7f0000201000 rw-p 00000000 00:00 0
Private_Dirty:         4 kB
VmFlags: rd wr mr";
        assert_eq!(private_kib(smaps, Path::new("/nowhere")), 4 + 8 + 24 + 4 + 4);
    }
}
