//! Giving memory back: hooks that fail, take long or never return, and the caches of real packages.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tempfile::TempDir;

use crate::devices::{dist, workspace};
use crate::support::live::Live;
use crate::support::{self, Alone, SAMPLE};

/// A launcher of a project with this `[package.metadata.pyrmware.memory]`; it looks often. They are built one
/// after the other in one workspace, whose own crates are compiled once.
fn supervised(project: &Path, memory: &str) -> Alone {
    static PLACE: Mutex<Option<(PathBuf, String)>> = Mutex::new(None);
    let mut place = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    let (folder, plain) = place.get_or_insert_with(|| {
        let folder = workspace("relief", "", "");
        let plain = fs::read_to_string(folder.join("app/Cargo.toml")).expect("it is read");
        (folder, plain)
    });
    let table = "[package.metadata.pyrmware.memory]\ninterval = \"20 ms\"\npressure = \"off\"";
    let manifest = format!("{plain}\n{table}\n{memory}\n");
    fs::write(folder.join("app/Cargo.toml"), manifest).expect("it is written");
    dist(folder, project, "host").alone()
}

/// The same of one module.
fn launcher(name: &str, module: &str, dependencies: &str, memory: &str) -> Alone {
    let project = tempfile::tempdir().expect("a folder can be made");
    let table = format!(
        "[project]\nname = \"{name}\"\nversion = \"1\"\nrequires-python = \">=3.10\"\n\
         dependencies = [{dependencies}]\n[tool.pyrmware]\nentry = \"app\"\n"
    );
    fs::write(project.path().join("pyproject.toml"), table).expect("it is written");
    fs::write(project.path().join("app.py"), module).expect("it is written");
    supervised(project.path(), memory)
}

/// The reports in this folder, the oldest first.
fn reports(folder: &TempDir) -> Vec<Value> {
    let entries = fs::read_dir(folder.path()).expect("it can be listed");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("it is listed").path()).collect();
    files.sort();
    let parse = |file: &Path| {
        serde_json::from_slice(&fs::read(file).expect("it is read")).expect("it is JSON")
    };
    files.iter().map(|file| parse(file)).collect()
}

/// What is asked of hooks is told on stdout. More than the soft limit is hoarded, and given back when all
/// is over; then the hard limit is passed, which has a report written.
const HOOKS: &str = r#"
import gc
import os
import signal
import sys
import threading
import time

import pyrmware

mode = sys.argv[1]
calls = []
hoard = []
stubborn = []
kept = {number: str(number) for number in range(20_000)}


def hook(function):
    def named(level):
        calls.append(function.__name__)
        function(level)

    named.__qualname__ = function.__qualname__
    return pyrmware.on_pressure(named)


def grow(mib):
    hoard.append(b"x" * (mib << 20))


@hook
def useless(level):
    pass


@hook
def raises(level):
    raise ValueError("of no use")


@hook
def slow(level):
    if mode == "budget":
        time.sleep(0.6)


@hook
def gives(level):
    if not stubborn:
        hoard.clear()
        kept.clear()


@hook
def last(level):
    if mode == "ends":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    while mode == "never":
        time.sleep(0.01)


def wait(what):
    while not what():
        time.sleep(0.01)


if mode in ("hooks", "budget"):
    for turn in range(5):
        grow(90)
        wait(lambda: calls.count("last") > turn)
    # What came of them is asked for: how often they are called before the hard limit's report is a matter of time.
    os.kill(os.getpid(), signal.SIGUSR1)
    wait(lambda: any("signal" in name for name in os.listdir(sys.argv[2])))
    # The hard limit writes another report.
    stubborn.append(True)
    grow(160)
    wait(lambda: any("hard" in name for name in os.listdir(sys.argv[2])))
    print(*calls[:10])
elif mode == "cycles":
    # As objects that refer to themselves; blocks of this size come from and go back to the kernel.
    gc.disable()

    class Session:
        def __init__(self):
            self.itself = self
            self.data = b"x" * (1 << 20)

    for number in range(90):
        Session()
    wait(lambda: os.listdir(sys.argv[2]))
    print(*calls, "none")
elif mode == "never":
    threading.Thread(target=lambda: [(grow(1), time.sleep(0.005)) for _ in range(500)]).start()
    wait(lambda: False)
elif mode == "ends":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    grow(90)
    wait(lambda: False)
"#;

#[test]
fn hooks_are_timed_scored_and_told_of_when_they_fail() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let memory = format!(
        "soft = \"70 MiB\"\nhard = \"150 MiB\"\non-hard = \"report\"\ncaches = \"off\"\n\
         relief-time = \"500 ms\"\nreport-dir = {:?}",
        folder.path().display()
    );
    let alone = launcher("relief-hooks", HOOKS, "", &memory);
    let run = |mode: &str| {
        for entry in fs::read_dir(folder.path()).expect("it can be listed") {
            fs::remove_file(entry.expect("it is listed").path()).expect("it can be removed");
        }
        alone.task().arg(mode).arg(folder.path()).run().success()
    };

    let ended = run("hooks");
    let all = "useless raises slow gives last";
    assert_eq!(ended.out(), format!("{all} {all}\n"), "{ended}");
    assert!(ended.err().contains("ValueError: of no use"), "{ended}");
    let reports = reports(&folder);
    assert!(reports.iter().any(|it| it["reason"] == "hard"), "{reports:#?}");
    let asked = reports.iter().find(|it| it["reason"] == "signal").expect("there is one");
    let score = |name: &str| {
        let hooks = asked["hooks"].as_array().expect("a list").iter();
        hooks.clone().find(|hook| hook["name"] == name).unwrap_or_else(|| panic!("{asked:#}"))
    };
    let number = |name: &str, key: &str| score(name)[key].as_i64().expect("a number");
    assert!(number("__main__.gives", "bytes") > 5 * (64 << 20), "{asked:#}");
    assert!(number("__main__.gives", "freed") > 5 * (64 << 20), "{asked:#}");
    assert!(
        number("__main__.raises", "failed") >= 5 && number("__main__.gives", "failed") == 0,
        "{asked:#}"
    );
    assert_eq!(number("__main__.raises", "calls"), number("__main__.raises", "failed"));
    assert!(number("collect", "calls") >= 5 && number("trim", "calls") >= 5, "{asked:#}");
    assert!(score("__main__.gives")["milliseconds"].as_f64() > Some(0.0), "{asked:#}");
    // What they gave counts, and not what was given when they were called.
    let useless = ["useless", "raises", "gives"]
        .map(|name| score(&format!("__main__.{name}"))["useless"].as_bool().expect("yes or no"));
    assert_eq!(useless, [true, true, false], "{asked:#}");

    // What there was no time for comes first the next time.
    let ended = run("budget");
    let first = "useless raises slow";
    let wanted = format!("{first} gives last {first} useless raises\n");
    assert_eq!(ended.out(), wanted, "{ended}");
    assert!(ended.err().contains("; no time was left for 2 more"), "{ended}");

    // Garbage is collected though the application has disabled that, and it is enough.
    let ended = run("cycles");
    assert_eq!(ended.out(), "none\n", "{ended}");
    assert!(ended.err().contains("; collecting alone was enough: cycles, not a leak"), "{ended}");
    assert_eq!(self::reports(&folder)[0]["relief"]["cycles"], true);
}

#[test]
fn a_hook_that_never_returns_is_named_and_the_hard_limit_holds() {
    let limits = "soft = \"70 MiB\"\nhard = \"150 MiB\"\non-hard = \"exit\"\ngrace = \"300 ms\"";
    let alone = launcher("relief-never", HOOKS, "", limits);
    let ended = alone.task().arg("never").run().exits(75);
    let told = "__main__.last was to give memory back and has not returned within 0.3 s";
    assert!(ended.err().contains(told), "{ended}");
    assert!(ended.err().contains("is over the hard limit of 150.0 MiB: ends"), "{ended}");
    assert!(ended.err().contains("the application has not ended in time"), "{ended}");

    // An exception that ends programs does so in a hook, too.
    let ended = alone.task().arg("ends").run().exits(3);
    assert!(!ended.err().contains("has not ended in time"), "{ended}");
}

/// Bytes.
const SOFT: u64 = 60 << 20;

/// Sessions of prompt_toolkit that come, say a line and go, held by a filter of a module; and one that stays.
const SESSIONS: &str = r#"
import asyncio
import sys
import weakref

from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session
from prompt_toolkit.filters import Condition, has_focus, has_selection
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.output import DummyOutput

alive = weakref.WeakSet()


class Client:
    def __init__(self):
        self.asked = 0
        bindings = KeyBindings()
        mine = has_selection & Condition(self.may_copy) | ~has_selection & Condition(self.may_copy)
        bindings.add("c-t", filter=mine & ~has_focus("no such buffer"))(self.copy)
        self.session = PromptSession(key_bindings=bindings)
        alive.add(self)

    def may_copy(self):
        self.asked += 1
        return True

    def copy(self, event):
        event.current_buffer.insert_text("copied")

    async def line(self, typed, line):
        typed.send_text(line)
        return await self.session.prompt_async("> ")


async def main():
    most = 0
    with create_pipe_input() as typed, create_app_session(input=typed, output=DummyOutput()):
        stays = Client()
        for number in range(int(sys.argv[1])):
            assert await Client().line(typed, f"{number}\n") == str(number)
            most = max(most, len(alive))
            if number % 50 == 0:
                # Its filters are asked, and say the same as ever.
                before = stays.asked
                assert await stays.line(typed, "\x14\n") == "copied"
                assert stays.asked > before
    print(most)


asyncio.run(main())
"#;

#[test]
fn sessions_of_prompt_toolkit_stay_few() {
    // Filters remember in three ways.
    for (version, cycles) in [("3.0.36", 300), ("3.0.43", 300), ("3.0.53", 300)] {
        let name = format!("relief-sessions-{}", version.replace('.', "-"));
        let dependency = format!("\"prompt_toolkit=={version}\"");
        // Well above what it has when it has started.
        let memory = "soft = \"60 MiB\"\nhard = \"400 MiB\"\non-hard = \"report\"";
        let alone = launcher(&name, SESSIONS, &dependency, memory);
        let ended = alone.task().arg(cycles.to_string()).run().success();
        let most: u32 = ended.out().trim().parse().expect("a number");
        // A session is most of a megabyte: without relief all are there in the end.
        assert!(most < cycles / 2, "{version}: {most} of {cycles} sessions at once: {ended}");
        assert!(ended.err().contains("memory: soft limit: "), "{version}: {ended}");
        assert!(!ended.err().contains("hard limit"), "{version}: {ended}");
    }
}

/// The sample with `--leak`, whose sessions prompt_toolkit's filters hold when their clients have left.
struct Console {
    live: Live,
    port: u16,
    reports: TempDir,
}

impl Console {
    fn start(caches: &str) -> Console {
        let reports = tempfile::tempdir().expect("a folder can be made");
        let memory = format!(
            "soft = \"{SOFT}\"\nhard = \"1 GiB\"\non-hard = \"report\"\ncaches = \"{caches}\"\n\
             track = [\"device_console.session.Session\"]\nreport-dir = {:?}",
            reports.path().display()
        );
        let alone = supervised(&support::project(SAMPLE), &memory);
        let mut live = Live::start(&alone, &["--port", "0", "--leak"], &[]);
        let line = live.line("listening on 127.0.0.1 port ");
        let port = line.rsplit(' ').next().and_then(|port| port.parse().ok()).expect("a port");
        Console { live, port, reports }
    }

    /// So many clients, one after the other, each until it is asked for a command; the most memory of its own
    /// between them.
    fn clients(&self, count: usize) -> u64 {
        let visits = (0..count).map(|_| {
            visit(self.port).expect("it is served");
            self.anonymous()
        });
        visits.max().expect("there are some")
    }

    /// What a snapshot's child shares while it walks is the application's all the same.
    fn anonymous(&self) -> u64 {
        let path = format!("/proc/{}/status", self.live.pid());
        let text = fs::read_to_string(path).expect("it runs");
        let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("it is told");
        let kib = line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok());
        kib.expect("a number") * 1024
    }

    /// How many sessions there are, as it says itself when it is asked.
    fn sessions(mut self) -> u64 {
        self.live.signal(libc::SIGUSR1);
        self.live.line(" objects: ");
        // The report follows that line.
        let file = support::until("the report", || {
            let entries = fs::read_dir(self.reports.path()).expect("it can be listed");
            let mut files = entries.map(|entry| entry.expect("it is listed").path());
            files.find(|file| file.to_string_lossy().ends_with("-signal.json"))
        });
        self.live.signal(libc::SIGTERM);
        assert_eq!(self.live.end().0, 0);
        let report: Value =
            serde_json::from_slice(&fs::read(file).expect("it is read")).expect("it is JSON");
        let sessions = report["tracked"][0]["count"].as_u64();
        sessions.unwrap_or_else(|| panic!("{report:#}"))
    }
}

/// Connects as a terminal does, waits for the prompt, and leaves.
fn visit(port: u16) -> std::io::Result<()> {
    const TYPE_IS_XTERM: &[u8] = b"\xff\xfa\x18\x00xterm\xff\xf0";
    let mut client = TcpStream::connect(("127.0.0.1", port))?;
    client.set_read_timeout(Some(support::task::LIMIT))?;
    client.write_all(TYPE_IS_XTERM)?;
    let (mut said, mut some) = (Vec::<u8>::new(), [0; 4096]);
    while !said.windows(8).any(|part| part == b"gateway>") {
        match client.read(&mut some)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => said.extend(&some[..read]),
        }
    }
    Ok(())
}

#[test]
fn the_console_stays_flat_over_a_thousand_clients() {
    const QUARTER: usize = 250;
    let console = Console::start("auto");
    let [_, second, _, last] = [(); 4].map(|()| console.clients(QUARTER));
    // How far it gets before the next relief is chance, the more so on a busy machine. What leaks in these
    // two quarters is several times the limit.
    assert!(last <= second + SOFT / 2, "{second} bytes at most, and later {last}");
    let sessions = console.sessions();

    // A session is most of a megabyte.
    let leaks = Console::start("off");
    let [first, second] = [(); 2].map(|()| leaks.clients(QUARTER / 2));
    assert!(second > first + SOFT / 2, "{first} bytes at most, and later {second}");
    let all = leaks.sessions();
    assert!(all >= 2 * (QUARTER as u64 / 2 - 1), "{all} sessions are not all");
    assert!(sessions < all / 2, "{sessions} sessions after {} clients", 4 * QUARTER);
}

/// Fills caches, has memory given back, and says what is left in them.
const CACHES: &str = r#"
import fnmatch
import functools
import linecache
import re
import sys
import time
import warnings

import pyrmware


@functools.lru_cache(None)
def remembered(number):
    return str(number)


class Lookup:
    @functools.lru_cache(None)
    def find(self, number):
        return number

    @classmethod
    @functools.lru_cache(None)
    def known(cls, number):
        return number


def fill():
    for number in range(100):
        re.compile(f"a{number}[bc]*")
        fnmatch.fnmatch("name", f"*.{number}")
        warnings.warn(f"number {number}")
        remembered(number)
        Lookup().find(number)
        Lookup.known(number)
    with open("text", "w") as file:
        file.write("a line\n")
    linecache.getline("text", 1)


def sizes():
    return {
        "re": len(re._cache) > 50,
        "fnmatch": fnmatch._compile_pattern.cache_info().currsize > 50,
        "warnings": len(globals().get("__warningregistry__", ())) > 50,
        "linecache": "text" in linecache.cache,
        "function": remembered.cache_info().currsize > 0,
        "method": Lookup.find.cache_info().currsize > 0,
        "class": Lookup.known.cache_info().currsize > 0,
    }


levels = []
pyrmware.on_pressure(levels.append)
warnings.simplefilter("default")
fill()
assert all(sizes().values()), sizes()
modules = set(sys.modules)
hoard = b"x" * (90 << 20)
while not levels:
    time.sleep(0.01)
print(*[name for name, is_full in sizes().items() if is_full])
new = set(sys.modules) - modules - {"_pyrmware_runtime", "_pyrmware_runtime.caches"}
assert not new, new
# They are of use as ever.
fill()
assert linecache.getline("text", 1) == "a line\n"
assert remembered(3) == "3" and Lookup.known(4) == 4
"#;

#[test]
fn caches_are_cleared_that_the_configuration_names() {
    let all = "function method class";
    for (name, caches, full) in [
        ("auto", "\"auto\"", all.to_owned()),
        ("off", "\"off\"", format!("re fnmatch warnings linecache {all}")),
        ("one", "[\"re\"]", format!("fnmatch warnings linecache {all}")),
        ("function", "[\"auto\", \"functools:__main__.Lookup.known\"]", "function method".into()),
        ("functions", "[\"functools:*\"]", "re warnings linecache".into()),
    ] {
        // What the bytecode has of compiled patterns is not in the cache that is looked at.
        let memory = format!("soft = \"70 MiB\"\ncaches = {caches}");
        let alone = launcher(&format!("relief-caches-{name}"), CACHES, "", &memory);
        let ended = alone.task().run().success();
        assert_eq!(ended.out().trim_end(), full, "{name}: {ended}");
        assert!(!ended.err().contains("Exception ignored"), "{name}: {ended}");
    }
}

/// Statements of SQLAlchemy, compiled and kept by an engine that is a name of the module.
const STATEMENTS: &str = r#"
import time

import pyrmware
from sqlalchemy import column, create_engine, select, text

engine = create_engine("sqlite://")
levels = []
pyrmware.on_pressure(levels.append)


def use():
    with engine.connect() as connection:
        for number in range(50):
            names = [column(f"c{number}"), column("d")]
            wanted = select(*names).select_from(text(f"(select 1 as c{number}, 2 as d)"))
            assert connection.execute(wanted).one() == (1, 2)


def hoard(mib, level):
    kept = b"x" * (mib << 20)
    while level not in levels:
        time.sleep(0.01)
    return len(kept), len(engine._compiled_cache)


use()
print(len(engine._compiled_cache) >= 50, hoard(100, pyrmware.SOFT)[1] >= 50)
print(hoard(200, pyrmware.HARD)[1])
use()
print(len(engine._compiled_cache) >= 50)
"#;

#[test]
fn statements_are_forgotten_at_the_hard_limit_only() {
    let memory = "soft = \"100 MiB\"\nhard = \"190 MiB\"\non-hard = \"report\"";
    let dependency = "\"sqlalchemy==2.0.36\"";
    let alone = launcher("relief-statements", STATEMENTS, dependency, memory);
    let ended = alone.task().run().success();
    assert_eq!(ended.out(), "True True\n0\nTrue\n", "{ended}");
}
