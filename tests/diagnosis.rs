//! Who holds what: objects that should be dead, classes that are counted, reports on demand.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::devices::{dist, workspace};
use crate::memory::reports;
use crate::support::task::{Ended, LIMIT, Task};
use crate::support::{self, Alone, SAMPLE};

/// Waits in each mode for what the launcher does: the application sees it in the folder of reports.
const WATCHED: &str = r#"
import asyncio
import contextlib
import gc
import json
import os
import select
import signal
import sys
import threading
import time

import pyrmware

mode, folder = sys.argv[1:]
kept = {}


class Session:
    pass


class Parked(Exception):
    pass


def reports(reason):
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return [name for name in names if name.endswith(f"-{reason}.json")]


def wait(reason, count=1):
    while len(reports(reason)) < count:
        time.sleep(0.01)


def expect(name):
    kept[name] = Session()
    pyrmware.expect_dead(kept[name], "the test has left it")


def garbage():
    circle = Session()
    circle.self = circle
    pyrmware.expect_dead(circle, "it is garbage")


def dead():
    for _ in range(50):
        garbage()
    pyrmware.expect_dead(Session(), "it is gone")
    expect("one")
    wait("dead")


def idle():
    """The main thread runs no Python code."""
    gc.disable()
    garbage()
    expect("one")

    def watch():
        wait("dead")
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    select.select([], [], [])


def many():
    """More than are followed, all alive."""
    for number in range(3000):
        expect(f"number {number}")
    wait("dead")


def track():
    while not reports("track"):
        kept[len(kept)] = Session()
        time.sleep(0.01)


def asked():
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(60)
        os._exit(0)
    print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    os.kill(os.getpid(), signal.SIGUSR1)
    wait("signal")
    # Children of the launcher's own are none of the application's, and do not stay.
    try:
        os.waitpid(-1, 0)
    except ChildProcessError:
        print("no children")


def handled():
    seen = []
    signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    os.kill(os.getpid(), signal.SIGUSR1)
    expect("one")
    wait("dead")
    print(seen == [signal.SIGUSR1], reports("signal"))


def tasks():
    async def parked():
        await asyncio.Event().wait()

    async def serve():
        some = [asyncio.create_task(parked()) for _ in range(5)]
        await asyncio.sleep(0)
        gc.collect()
        os.kill(os.getpid(), signal.SIGUSR1)
        while not reports("signal"):
            await asyncio.sleep(0.01)
        for task in some:
            task.cancel()

    asyncio.run(serve())


def full():
    """No file can grow; what is there stays."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    for number in range(2):
        expect(number)
        os.kill(os.getpid(), signal.SIGUSR1)
        sys.stdin.readline()


def leave():
    """Python ends while a snapshot is taken, or begins to be."""
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(int(folder) / 1000)


def cut():
    """More objects than the child may remember."""
    gc.disable()
    kept["all"] = [[] for _ in range(1_800_000)]
    found = json.loads(pyrmware.snapshot())
    print(found["complete"], found["memory"] < 16 << 20, found["objects"] > 1_000_000)


def children():
    """Processes whose parent is this one."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as stat:
                state, parent = stat.read().rpartition(") ")[2].split()[:2]
                if int(parent) == os.getpid():
                    yield int(name), state


def ended():
    """The child is ended from outside."""
    kept["all"] = [[] for _ in range(300_000)]
    number = 0

    def hunt():
        while number >= 0:
            for child, _ in children():
                with contextlib.suppress(OSError):
                    os.kill(child, number)

    hunter = threading.Thread(target=hunt)
    hunter.start()
    for number in (signal.SIGKILL, signal.SIGALRM):
        while True:
            try:
                pyrmware.snapshot()
            except RuntimeError as error:
                print(error)
                break
    number = -1
    hunter.join()
    print([state for _, state in children()])


globals()[mode]()
print("done")
"#;

/// A launcher of that application, which looks every 10 ms and has no limit; and its folder of reports.
struct Watched {
    _project: TempDir,
    alone: Alone,
    folder: PathBuf,
}

static WATCHED_LAUNCHER: LazyLock<Watched> = LazyLock::new(|| {
    let project = tempfile::tempdir().expect("a folder can be made");
    let table = "[project]\nname = \"watched\"\nversion = \"1\"\nrequires-python = \">=3.10\"\n\
                 [tool.pyrmware]\nentry = \"watched\"\n";
    fs::write(project.path().join("pyproject.toml"), table).expect("it is written");
    fs::write(project.path().join("watched.py"), WATCHED).expect("it is written");
    let folder = PathBuf::from("reports");
    let memory = "[package.metadata.pyrmware.memory]\ninterval = \"10 ms\"\ndead-after = \"300 ms\"\n\
                  track = [\"__main__.Session\"]\nreport-dir = \"/proc/self/cwd/reports\"\n";
    let workspace = workspace("memory-watched", "", memory);
    let alone = dist(&workspace, project.path(), "host").alone();
    Watched { _project: project, alone, folder }
});

impl Watched {
    /// Runs it in a folder of its own, in which its reports are.
    fn run(&self, mode: &str) -> (Ended, Vec<Value>) {
        let own = tempfile::tempdir().expect("a folder can be made");
        let task = self.alone.task().cwd(own.path()).arg(mode).arg(&self.folder);
        let ended = task.run().success();
        (ended, reports(&own.path().join(&self.folder)))
    }
}

fn of<'a>(reports: &'a [Value], reason: &str) -> Vec<&'a Value> {
    reports.iter().filter(|report| report["reason"] == reason).collect()
}

#[test]
fn what_should_be_dead_is_named_with_its_holder_and_garbage_is_not() {
    let (ended, reports) = WATCHED_LAUNCHER.run("dead");
    let line = "memory: __main__.Session should be dead (the test has left it) and is held by \
                __main__.kept{'one'}";
    assert!(ended.err().contains(line), "{ended}");
    assert!(!ended.err().contains("garbage") && !ended.err().contains("it is gone"), "{ended}");
    let dead = of(&reports, "dead");
    assert_eq!(dead.len(), 1, "{reports:?}");
    assert_eq!(dead[0]["text"], line);
    let held = &dead[0]["dead"][0];
    assert_eq!((&held["type"], &held["count"]), (&"__main__.Session".into(), &1.into()), "{held}");
    assert_eq!(held["signature"], "__main__.kept{'one'}", "{held}");
    assert!(dead[0]["snapshot"]["complete"] == true && dead[0]["soft"].is_null(), "{}", dead[0]);
    assert!(dead[0]["snapshot"]["types"].as_array().is_some_and(|types| types.len() > 20));
}

#[test]
fn a_main_thread_that_waits_does_not_keep_the_answer_back() {
    let (ended, reports) = WATCHED_LAUNCHER.run("idle");
    assert!(ended.err().contains("is held by __main__.kept{'one'}"), "{ended}");
    // What nobody has collected is not accused.
    assert!(!ended.err().contains("it is garbage"), "{ended}");
    assert_eq!(of(&reports, "dead").len(), 1, "{reports:?}");
}

#[test]
fn many_that_are_held_in_one_way_are_one_line() {
    let (ended, reports) = WATCHED_LAUNCHER.run("many");
    let dead = of(&reports, "dead")[0];
    // How many there were when it first looked is a matter of time, and no more are followed.
    let count = dead["dead"][0]["count"].as_u64().expect("a number");
    assert!((2..=1000).contains(&count), "{dead}");
    let line = format!(
        "memory: {count} __main__.Session should be dead (the test has left it) and are held by \
         __main__.kept{{str}}"
    );
    assert_eq!(dead["text"], line);
    assert!(ended.err().contains(&line), "{ended}");
    let dead = dead["dead"].as_array().expect("a list");
    assert_eq!(dead.len(), 1, "{dead:?}");
}

#[test]
fn classes_that_are_tracked_are_counted_and_their_growth_is_told_with_its_holder() {
    let (ended, reports) = WATCHED_LAUNCHER.run("track");
    let tracked = of(&reports, "track");
    assert!(!tracked.is_empty(), "{reports:?}");
    let text = tracked[0]["text"].as_str().expect("a text");
    assert!(text.contains(" are held by __main__.kept{<int>}"), "{text}");
    assert!(text.contains("__main__.Session, up from ") && ended.err().contains(text), "{ended}");
    let class = &tracked[0]["tracked"][0];
    assert!(class["count"].as_u64() > class["before"].as_u64(), "{class}");
    let snapshot = &tracked[0]["snapshot"];
    let mut containers = snapshot["containers"].as_array().expect("a list").iter();
    let kept = containers.find(|container| container["path"] == "__main__.kept");
    assert!(kept.is_some_and(|kept| kept["grown"].as_i64() > Some(16)), "{snapshot}");
}

#[test]
fn a_signal_asks_for_a_report() {
    let (ended, reports) = WATCHED_LAUNCHER.run("asked");
    assert_eq!(ended.out(), "child -10\nno children\ndone\n", "{ended}");
    let asked = of(&reports, "signal");
    assert_eq!(asked.len(), 1, "{reports:?}");
    assert!(ended.err().contains(asked[0]["text"].as_str().expect("a text")), "{ended}");
    assert!(ended.err().contains(" objects: "), "{ended}");
    assert!(asked[0]["rss"].as_u64() > Some(1 << 20) && asked[0]["format"] == 1, "{asked:?}");
    // It is not compared with itself.
    assert_ne!(asked[0]["snapshot"]["since_seconds"], 0.0, "{asked:?}");
    assert_eq!((&asked[0]["app"], &asked[0]["tasks"]), (&"watched".into(), &0.into()));

    let (ended, _) = WATCHED_LAUNCHER.run("handled");
    assert_eq!(ended.out(), "True []\ndone\n", "{ended}");

    let (_, reports) = WATCHED_LAUNCHER.run("tasks");
    let asked = of(&reports, "signal");
    assert_eq!(asked[0]["tasks"], 6, "{reports:?}");
    // Coroutines among them, whose size their type does not tell.
    let types = asked[0]["snapshot"]["types"].as_array().expect("a list").iter();
    let bytes = types.map(|of| of["bytes"].as_u64().expect("a number"));
    assert!(Some(bytes.sum()) < asked[0]["rss"].as_u64(), "{asked:?}");
}

#[test]
fn a_folder_that_takes_nothing_is_told_once_and_all_else_goes_on() {
    let own = tempfile::tempdir().expect("a folder can be made");
    let folder = own.path().join("reports");
    fs::create_dir(&folder).expect("it can be made");
    fs::write(folder.join("memory-000001-soft.json"), "{}\n").expect("it is written");
    fs::write(folder.join("notes"), "mine").expect("it is written");
    let mut task = WATCHED_LAUNCHER.alone.task().cwd(own.path()).arg("full").arg("reports");
    let command = task.command().stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let mut said = Lines::of(&mut child);
    let mut input = child.stdin.take().expect("piped");
    said.until(|line| line.contains(" objects: "));
    said.until(|line| line.contains("no report can be written to "));
    input.write_all(b"\n").expect("it reads");
    said.until(|line| line.contains(" objects: "));
    input.write_all(b"\n").expect("it reads");
    drop(input);
    let status = child.wait().expect("it can be waited for");
    said.rest();
    assert!(status.success(), "{}", said.text);
    assert_eq!(said.text.matches("no report can be written").count(), 1, "{}", said.text);
    assert!(said.text.contains("; goes on without"), "{}", said.text);
    let mut names: Vec<_> = fs::read_dir(&folder)
        .expect("it is there")
        .map(|entry| entry.expect("it is listed").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    assert_eq!(names, ["memory-000001-soft.json", "notes"]);
    assert_eq!(fs::read(folder.join("notes")).expect("it is read"), b"mine");
}

#[test]
fn the_end_of_python_waits_for_nobody_who_looks_through_memory() {
    let alone = &WATCHED_LAUNCHER.alone;
    for milliseconds in (0..40).step_by(2) {
        let ended = alone.task().arg("leave").arg(milliseconds.to_string()).run().success();
        assert_eq!(ended.out(), "done\n", "after {milliseconds} ms: {ended}");
    }
}

#[test]
fn a_child_that_may_not_take_more_or_is_ended_costs_an_answer_and_nothing_else() {
    let alone = &WATCHED_LAUNCHER.alone;
    let ended = alone.task().args(["cut", ""]).run().success();
    assert_eq!(ended.out(), "False True True\ndone\n", "{ended}");

    let ended = alone.task().args(["ended", ""]).run().success();
    let why = "the process that looked through memory";
    let wanted = format!("{why} was killed; is memory short?\n{why} took too long\n[]\ndone\n");
    assert_eq!(ended.out(), wanted, "{ended}");

    // It ends by itself when it takes too long, whatever happens to the launcher.
    let traced = Task::new("strace")
        .args(["-f", "-e", "trace=alarm,setitimer"])
        .arg(&alone.launcher)
        .args(["leave", "5000"])
        .run()
        .success();
    let traced = traced.err();
    let sets = |line: &str| line.contains("alarm(1") || line.contains("setitimer(ITIMER_REAL");
    assert!(traced.lines().any(sets), "{traced}");
}

/// What a process says on stderr, line by line; the process is ended when that takes too long.
struct Lines {
    stderr: BufReader<std::process::ChildStderr>,
    text: String,
    _end: std::sync::mpsc::Sender<()>,
}

impl Lines {
    fn of(child: &mut Child) -> Lines {
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let process = child.id().cast_signed();
        std::thread::spawn(move || {
            let late = std::sync::mpsc::RecvTimeoutError::Timeout;
            if ended.recv_timeout(LIMIT) == Err(late) {
                // SAFETY: a system call; the process has not been waited for while its output is read.
                unsafe { libc::kill(process, libc::SIGKILL) };
            }
        });
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        Lines { stderr, text: String::new(), _end: end }
    }

    /// The first line from here on that is wanted.
    fn until(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let start = self.text.len();
            let count = self.stderr.read_line(&mut self.text).expect("it is text");
            assert!(count > 0, "it has ended without the line:\n{}", self.text);
            let line = self.text[start..].trim_end();
            if wanted(line) {
                return line.to_owned();
            }
        }
    }

    fn rest(&mut self) {
        self.stderr.read_to_string(&mut self.text).expect("it is text");
    }
}

/// Telnet's bytes.
const IAC: u8 = 255;
const NAMES_TERMINAL: [u8; 11] = [IAC, 250, 24, 0, b'x', b't', b'e', b'r', b'm', IAC, 240];

#[test]
fn a_session_that_leaks_is_named_when_its_client_has_left() {
    let own = tempfile::tempdir().expect("a folder can be made");
    let memory = "[package.metadata.pyrmware.memory]\ninterval = \"100 ms\"\ndead-after = \"500 ms\"\n\
                  report-dir = \"/proc/self/cwd/reports\"\n";
    let alone =
        dist(&workspace("memory-sample", "", memory), &support::project(SAMPLE), "host").alone();
    let mut task = alone.task().cwd(own.path()).args(["--port", "0", "--leak"]);
    let mut child = task.command().stderr(Stdio::piped()).spawn().expect("it starts");
    let mut said = Lines::of(&mut child);
    let line = said.until(|line| line.contains("listening on"));
    let port: u16 = line.rsplit(' ').next().and_then(|port| port.parse().ok()).expect("a port");
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    client.set_read_timeout(Some(Duration::from_secs(60))).expect("it can be set");
    client.write_all(&NAMES_TERMINAL).expect("it reads");
    client.write_all(b"uptime\r\0").expect("it reads");
    read_until(&mut client, "console  0");
    drop(client);
    let wanted = "device_console.session.Session should be dead (its client has left)";
    let line = said.until(|line| line.contains(wanted));
    for step in ["has_selection", "._and_cache", "<Condition>.func", ".__self__"] {
        assert!(line.contains(step), "{line}");
    }
    let folder = own.path().join("reports");
    let is_there = || folder.is_dir() && !of(&reports(&folder), "dead").is_empty();
    support::until("the report", || is_there().then_some(()));
    // SAFETY: a system call; the child has not been waited for.
    unsafe { libc::kill(child.id().cast_signed(), libc::SIGTERM) };
    assert!(child.wait().expect("it can be waited for").success());
    said.rest();
    let reports = reports(&folder);
    let dead = of(&reports, "dead")[0]["dead"].as_array().expect("a list");
    let session = dead.iter().find(|dead| dead["type"] == "device_console.session.Session");
    let signature = session.expect("it is there")["signature"].as_str().expect("a text");
    assert!(line.ends_with(signature), "{line}\n{signature}");
}

fn read_until(client: &mut TcpStream, wanted: &str) {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&all).contains(wanted) {
        let count = client.read(&mut buffer).expect("an answer");
        assert!(count > 0, "no {wanted:?} in {:?}", String::from_utf8_lossy(&all));
        all.extend(&buffer[..count]);
    }
}
