//! A clock that is set, forth and back by years, while the application is supervised.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::TempDir;

use crate::notify::message;
use crate::support;
use crate::support::live::Live;
use crate::support::task::LIMIT;
use crate::support::workspace::{dist, workspace};

const APPLICATION: &str = r#"
import os
import signal
import sys
import time

import pyrmware

grows = False


def grow(*_):
    global grows
    grows = True


signal.signal(signal.SIGUSR2, grow)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("main", os.getpid(), pyrmware.last_exit(), flush=True)
hoard = []
while True:
    pyrmware.heartbeat()
    if grows:
        hoard.append(b"x" * 1_000_000)
    time.sleep(0.02)
"#;

/// The machine's clock is not ours to set: what a program asks the C library for is. How far the clock is off
/// stands in a file, which all processes map.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *off;

__attribute__((constructor)) static void map(void) {
    int file = open(getenv("CLOCK_OFF"), O_RDONLY | O_CLOEXEC);
    void *page = mmap(NULL, sizeof *off, PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED)
        abort();
    off = page;
    close(file);
}

int clock_gettime(clockid_t id, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, id, now);
    if (result == 0 && off && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        now->tv_sec += *off;
    return result;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec time;
    int result = clock_gettime(CLOCK_REALTIME, &time);
    now->tv_sec = time.tv_sec;
    now->tv_usec = time.tv_nsec / 1000;
    return result;
}

time_t time(time_t *place) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (place)
        *place = now.tv_sec;
    return now.tv_sec;
}
"#;

const YEAR: i64 = 365 * 24 * 60 * 60;

/// The clock of whoever is started with its variables.
struct Clock {
    folder: TempDir,
    off: File,
}

impl Clock {
    fn new() -> Clock {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let off = File::create(folder.path().join("off")).expect("it can be made");
        let clock = Clock { folder, off };
        clock.set(0);
        fs::write(clock.path("shim.c"), SHIM).expect("it is written");
        // Without a C compiler there would be no linker, and no launcher.
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"])
            .args(["shim.so", "shim.c"].map(|it| clock.path(it)));
        assert!(cc.status().expect("there is cc").success());
        clock
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// So many years ahead of the machine's, or behind.
    fn set(&self, years: i64) {
        self.off.write_all_at(&(years * YEAR).to_ne_bytes(), 0).expect("it is written");
    }
}

#[test]
fn a_clock_that_jumps_ends_nobody_and_reports_stay_in_order() {
    const HEARTBEAT: Duration = Duration::from_secs(2);
    const FED_EVERY: Duration = Duration::from_secs(1);
    let clock = Clock::new();
    let folder = tempfile::tempdir().expect("a folder can be made");
    let project = folder.path().join("project");
    fs::create_dir(&project).expect("it can be made");
    let table = "[project]\nname = \"clock\"\nversion = \"1\"\nrequires-python = \">=3.10\"\n\
                 [tool.pyrmware]\nentry = \"clock\"\n";
    fs::write(project.join("pyproject.toml"), table).expect("it is written");
    fs::write(project.join("clock.py"), APPLICATION).expect("it is written");
    let reports = folder.path().join("reports");
    let tables = format!(
        "[package.metadata.pyrmware.memory]\nhard = \"120 MiB\"\ninterval = \"100 ms\"\ngrace = \"1 s\"\npressure = \"off\"\n\
         restart = \"zygote\"\nreport-dir = {:?}\n\
         [package.metadata.pyrmware.service]\nheartbeat = \"{} s\"\n",
        reports.display(),
        HEARTBEAT.as_secs()
    );
    let alone = dist(&workspace("clock", "", &tables), &project, "host").alone();

    // When it starts, the clock is behind what there is.
    clock.set(-30);
    fs::create_dir(&reports).expect("it can be made");
    for number in 1..=8 {
        fs::write(file(&reports, number, "signal"), "{}\n").expect("it is written");
    }
    let manager = UnixDatagram::bind(folder.path().join("manager")).expect("it can be bound");
    manager.set_read_timeout(Some(LIMIT)).expect("it can be set");
    let (socket, shim, off) = (
        folder.path().join("manager").display().to_string(),
        clock.path("shim.so"),
        clock.path("off"),
    );
    // Watchdogs are fed three times in their time.
    let watchdog = (3 * FED_EVERY).as_micros().to_string();
    let variables = [
        ("LD_PRELOAD", shim.as_str()),
        ("CLOCK_OFF", &off),
        ("NOTIFY_SOCKET", &socket),
        ("WATCHDOG_USEC", &watchdog),
    ];
    let mut live = Live::start(&alone, &[], &variables);
    let first = live.line("main ");
    for (number, years) in (9..).zip([-30, 10, -10, 10]) {
        clock.set(years);
        manager.set_nonblocking(true).expect("it can be set");
        while manager.recv(&mut [0; 64]).is_ok() {}
        manager.set_nonblocking(false).expect("it can be set");
        // For longer than an application that hangs lives.
        for _ in 0..=HEARTBEAT.as_secs() / FED_EVERY.as_secs() {
            assert_eq!(message(&manager), "WATCHDOG=1");
        }
        live.signal(libc::SIGUSR1);
        live.line(" objects: ");
        // The report follows that line.
        let file = file(&reports, number, "signal");
        support::until("the report", || file.exists().then_some(()));
        let report: Value =
            serde_json::from_slice(&fs::read(file).expect("it is read")).expect("it is JSON");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later");
        let off = report["time"].as_i64().expect("a number") - now.as_secs().cast_signed();
        assert_eq!((off + YEAR / 2).div_euclid(YEAR), years, "{report:#}");
        assert!(report["uptime"].as_i64() < Some(YEAR), "{report:#}");
    }
    // An hour has not passed.
    live.signal(libc::SIGUSR1);
    live.line("no report is written: there were enough in the last hour");
    live.signal(libc::SIGUSR2);
    let second = live.line("main ");
    assert!(second.ends_with(" memory") && second != first, "{second}");
    live.signal(libc::SIGTERM);
    let (code, lines) = live.end();
    assert_eq!(code, 0, "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("no heartbeat")), "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("main ")).count(), 2, "{lines:?}");

    let entries = fs::read_dir(&reports).expect("it can be listed");
    let mut found: Vec<_> = entries.map(|entry| entry.expect("it is listed").path()).collect();
    found.retain(|path| path.extension().is_some_and(|kind| kind == "json"));
    found.sort();
    assert_eq!(found.len(), 10, "{found:?}");
    for number in 9..=12 {
        assert!(found.contains(&file(&reports, number, "signal")), "{found:?}");
    }
    let last = found.pop().expect("ten").display().to_string();
    assert!(last.ends_with("-hard.json"), "{last}");
}

fn file(folder: &Path, number: usize, reason: &str) -> PathBuf {
    folder.join(format!("memory-{number:06}-{reason}.json"))
}
