//! `cargo xtask symbolicate`: what a launcher says in the field, with the symbols of its build.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::devices::{dist, workspace};
use crate::memory::reports;
use crate::support::task::{Ended, Task};
use crate::support::{self, Image, ROOT, golden};

const MAIN: &str = r#"
import sys

import pyrmware
from fleet import rooms

if not pyrmware.last_exit():
    print("build", pyrmware.build(), file=sys.stderr, flush=True)
    getattr(rooms, sys.argv[1])()
"#;

const ROOMS: &str = r#"
import faulthandler
import json
import os
import resource
import signal
import time

import pyrmware


class Session:
    """Kept by mistake."""

    def enter(self, text):
        return json.loads(
            text,
        )


rooms = {}


def fail():
    try:
        [Session().enter(text) for text in ("1", "nonsense")]
    except ValueError as error:
        raise LookupError("no room") from error


def abort():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.enable()
    os.abort()


def keep():
    rooms["one"] = Session()
    pyrmware.expect_dead(rooms["one"], "it has left")
    while not any("dead" in name for name in os.listdir("reports")):
        time.sleep(0.01)
"#;

/// That application, and a launcher of it that starts again after a crash.
struct Fleet {
    project: TempDir,
    image: Image,
}

static FLEET: LazyLock<Fleet> = LazyLock::new(|| {
    let project = tempfile::tempdir().expect("a folder can be made");
    let table = "[project]\nname = \"fleet\"\nversion = \"1.2\"\nrequires-python = \">=3.10\"\n\
                 [tool.pyrmware]\nentry = \"fleet\"\n";
    let package = project.path().join("fleet");
    fs::create_dir(&package).expect("a folder is made");
    fs::write(project.path().join("pyproject.toml"), table).expect("it is written");
    for (name, text) in [("__init__.py", ""), ("__main__.py", MAIN), ("rooms.py", ROOMS)] {
        fs::write(package.join(name), text).expect("it is written");
    }
    let memory = "[package.metadata.pyrmware.memory]\ninterval = \"10 ms\"\ndead-after = \"100 ms\"\n\
                  restart = \"zygote\"\nreport-dir = \"/proc/self/cwd/reports\"\n";
    let image = dist(&workspace("symbolicate", "", memory), project.path(), "host");
    Fleet { project, image }
});

impl Fleet {
    /// Runs it on a device, which has no symbols, in a folder in which its reports are.
    fn run(&self, mode: &str) -> (Ended, Vec<Value>) {
        let own = tempfile::tempdir().expect("a folder can be made");
        fs::create_dir(own.path().join("reports")).expect("a folder is made");
        let ended = self.image.alone().task().cwd(own.path()).arg(mode).run();
        (ended, reports(&own.path().join("reports")))
    }

    /// What stock Python says, where it too knows nothing but lines.
    fn stock(&self, mode: &str) -> String {
        let plan = support::plan("hello");
        let program = plan["interpreter"]["program"].as_str().expect("a program");
        let path = format!("{}:{}", self.folder().display(), ROOT.join("app/python").display());
        let words = ["-X", "no_debug_ranges", "-m", "fleet", mode];
        Task::new(program).clean_env().env("PYTHONPATH", path).args(words).run().err()
    }

    /// The sources' folder.
    fn folder(&self) -> PathBuf {
        self.project.path().canonicalize().expect("it is there")
    }

    fn symbols(&self) -> PathBuf {
        self.image.folder.join("symbols")
    }

    fn build(&self) -> String {
        self.image.report["build"].as_str().expect("a text").to_owned()
    }
}

/// `cargo xtask symbolicate` of this log with these symbols.
fn symbolicate(log: &str, symbols: &Path) -> Task {
    support::xtask().args(["symbolicate", "-", "--symbols"]).arg(symbols).stdin(log)
}

/// Without the frames that run a module for stock Python.
fn without_runpy(text: &str) -> String {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        inside = match line.strip_prefix("  File ") {
            Some(frame) => frame.contains("runpy"),
            None => inside && line.starts_with("    "),
        };
        if !inside && !line.starts_with("build ") {
            lines.push(line);
        }
    }
    lines.join("\n")
}

#[test]
fn a_traceback_becomes_what_stock_python_shows() {
    let (ended, _) = FLEET.run("fail");
    assert_eq!(ended.code, 1, "{ended}");
    let log = ended.err();
    assert!(log.contains(&format!("build {}\n", FLEET.build())), "{log}");
    assert!(!log.contains("raise LookupError"), "{log}");

    let read = symbolicate(&log, &FLEET.symbols()).run().success();
    assert!(!read.err().contains("note:"), "{read}");
    let (ours, theirs) = (read.out(), FLEET.stock("fail"));
    assert_eq!(without_runpy(&ours), without_runpy(&theirs));
    for text in
        ["in enter\n    return json.loads(\n", "json/decoder.py\", line ", "    raise LookupError"]
    {
        assert!(ours.contains(text), "{text}:\n{ours}");
    }
    // What has been read can be read again.
    assert_eq!(symbolicate(&ours, &FLEET.symbols()).run().success().out(), ours);
}

#[test]
fn a_dump_gets_its_paths_and_its_sources() {
    let (ended, _) = FLEET.run("abort");
    let log = ended.err();
    let dump = log.find("Fatal Python error").unwrap_or_else(|| panic!("no dump: {ended}"));
    // The launcher's own line has the id; the application's may be gone.
    let read = symbolicate(&log[dump..], &FLEET.symbols()).run().success();
    assert!(!read.err().contains("note:"), "{read}");
    assert!(
        read.out().contains(&format!("(signal 6), build {}; starts again", FLEET.build())),
        "{read}"
    );
    let of_fleet = format!("  File \"{}/fleet/", FLEET.folder().display());
    let frames = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with(&of_fleet)).map(str::to_owned).collect()
    };
    assert_eq!(frames(&read.out()), frames(&FLEET.stock("abort")), "{read}");
    let text = " in abort\n    os.abort()\n";
    assert!(read.out().contains(text), "{read}");
    assert!(read.out().contains(" in <module>\n    getattr(rooms, sys.argv[1])()\n"), "{read}");
}

#[test]
fn what_is_said_of_memory_leads_to_the_sources() {
    let (ended, reports) = FLEET.run("keep");
    let rooms = FLEET.folder().join("fleet/rooms.py").display().to_string();
    let line = |text: &str| ROOMS.lines().position(|line| line == text).expect("it is there") + 1;
    let (class, held) = (line("class Session:"), line("rooms = {}"));
    let read = symbolicate(&ended.err(), &FLEET.symbols()).run().success();
    let text = format!(
        "is held by fleet.rooms.rooms{{'one'}}\n  File \"{rooms}\", line {class}\n    class Session:\n  \
         File \"{rooms}\", line {held}\n    rooms = {{}}\n"
    );
    assert!(read.out().contains(&text), "{text}:\n{read}");

    let report = reports.iter().find(|report| report["reason"] == "dead").expect("a report");
    assert_eq!(report["build"], FLEET.build());
    let task =
        symbolicate(&report.to_string(), &FLEET.symbols()).args(["--message-format", "json"]);
    let event = support::event(&task.run().success(), "symbolicate");
    let read: Value = serde_json::from_str(event["text"].as_str().expect("a text")).expect("JSON");
    let source = json!([
        {"file": rooms, "line": class, "text": "class Session:"},
        {"file": rooms, "line": held, "text": "rooms = {}"},
    ]);
    assert_eq!(read["dead"][0]["source"], source, "{read:#}");
    assert_eq!((&event["app"], &event["build_in_log"]), (&"fleet".into(), &true.into()), "{event}");
}

#[test]
fn a_log_without_a_build_id_is_read_with_a_note() {
    let image = support::image("hello");
    let ended = image.alone().task().arg("--raise").run().exits(1);
    let words = ["symbolicate", "-", "--project", "tests/apps/hello", "--out"];
    let task = support::xtask().args(words).arg(&image.folder).stdin(ended.err());
    let read = task.run().success();
    assert!(read.err().contains("note: the log names no build; "), "{read}");
    assert!(read.out().contains("    return table[address]\nKeyError: 2\n"), "{read}");
    let nothing = symbolicate("nothing\n", &image.folder).run().success();
    assert_eq!(nothing.out(), "nothing\n");
}

#[test]
fn what_cannot_be_read_is_told_with_the_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, two) = ("1".repeat(32), "2".repeat(32));
    let write = |path: &str, text: &str| {
        let file = folder.path().join(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("it is made");
        fs::write(&file, text).expect("it is written");
    };
    let index = |build: &str| {
        let empty = json!({});
        json!({"format": 1, "build": build, "app": "a", "version": "1", "python": "3.11.2", "entry": "a",
               "sources": empty})
        .to_string()
    };
    write("releases/1.0/symbols/symbols.json", &index(&one));
    write("releases/1.1/symbols/symbols.json", &index(&two));
    write("damaged/symbols.json", "{\"format\": 1");
    write("later/symbols.json", "{\"format\": 2}");
    write("empty/readme.txt", "");
    let known = format!("build {one}\n");
    let other = format!("build {}\n", "3".repeat(32));
    let both = format!("build {one}\nbuild {two}\n");

    let symbols = |name: &str| folder.path().join(name);
    // Of several builds it is the log's.
    let read = symbolicate(&known, &symbols("releases")).run().success();
    assert!(read.err().contains(&format!("build {one}")) && !read.err().contains(&two), "{read}");

    let default = support::xtask().args(["symbolicate", "-", "--out"]).arg(symbols("never"));
    let absent = support::xtask().arg("symbolicate").arg(symbols("absent.log"));
    let mut text = String::new();
    for task in [
        absent,
        default.stdin(known.as_str()),
        symbolicate(&known, &symbols("empty")),
        symbolicate(&known, &symbols("damaged")),
        symbolicate(&known, &symbols("later")),
        symbolicate(&known, &symbols("releases/1.1/symbols")),
        symbolicate(&other, &symbols("releases")),
        symbolicate("no build\n", &symbols("releases")),
        symbolicate(&both, &symbols("releases")),
    ] {
        let ended = task.run().exits(1);
        assert_eq!(ended.out(), "", "{ended}");
        text += &ended.err().replace(&folder.path().display().to_string(), "[folder]");
    }
    golden::check("symbolicate/errors.txt", &text);
}
