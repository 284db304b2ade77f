//! Memory supervision: an application that grows, on a device with little memory.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::devices::{dist, workspace};
use crate::support::{Alone, Ended};

/// Hoards a megabyte every 20 ms. `relieve`: until it was asked to give it back; `again`: until it was
/// started again; `stubborn`: it does not end by itself.
const HOARD: &str = r#"
import os
import signal
import sys
import time

import pyrmware

hoard = []
mode = sys.argv[1]
print("started", pyrmware.last_exit(), mode, flush=True)
asked = []


@pyrmware.on_pressure
def give_back(level):
    if mode == "relieve":
        asked.append(level)
        hoard.clear()


@pyrmware.on_pressure
def fails(level):
    raise ValueError("of no use")


if mode == "stubborn":
    signal.signal(signal.SIGTERM, lambda *_: print("asked to end", flush=True))
if mode == "handles":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
if mode == "early":
    hoard.extend(b"x" * 1_000_000 for _ in range(200))
if pyrmware.last_exit() == "memory":
    print("again", flush=True)
    sys.exit(0)
for _ in range(1000):
    hoard.append(b"x" * 1_000_000)
    time.sleep(0.02)
    if asked and os.listdir(sys.argv[2]):
        print("relieved", asked[0], flush=True)
        break
    if mode == "early" and len(hoard) > 260:
        print("went on", flush=True)
        break
"#;

/// A launcher of the hoarder with this `[package.metadata.pyrmware.memory]`.
fn hoarder(name: &str, memory: &str) -> (TempDir, Alone) {
    let project = tempfile::tempdir().expect("a folder can be made");
    let table = "[project]\nname = \"hoard\"\nversion = \"1\"\nrequires-python = \">=3.10\"\n\
                 [tool.pyrmware]\nentry = \"hoard\"\n";
    fs::write(project.path().join("pyproject.toml"), table).expect("it is written");
    fs::write(project.path().join("hoard.py"), HOARD).expect("it is written");
    // Others may use up the machine's memory meanwhile.
    let memory = format!(
        "[package.metadata.pyrmware.memory]\ninterval = \"100 ms\"\npressure = \"off\"\n{memory}"
    );
    let folder = workspace(name, "", &memory);
    let image = dist(&folder, project.path(), "host");
    (project, image.alone())
}

fn run(alone: &Alone, mode: &str) -> Ended {
    alone.task().arg(mode).run()
}

/// What a folder of reports holds, the oldest first.
pub fn reports(folder: &Path) -> Vec<Value> {
    let entries = fs::read_dir(folder).expect("the launcher has made it");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("it is listed").path()).collect();
    files.sort();
    let parse = |file| serde_json::from_slice(&fs::read(file).expect("it is read"));
    files.iter().map(|file| parse(file).expect("it is JSON")).collect()
}

#[test]
fn memory_is_given_back_at_the_soft_limit_and_the_application_starts_again_at_the_hard_one() {
    let reported = tempfile::tempdir().expect("a folder can be made");
    let folder = reported.path().join("memory");
    let limits = "soft = \"60 MiB\"\nhard = \"120 MiB\"\ngrace = \"1 s\"";
    let memory = format!("{limits}\nreport-dir = {:?}", folder.display());
    let (_project, alone) = hoarder("memory-restart", &memory);

    fs::create_dir(&folder).expect("it can be made");
    let ended = alone.task().arg("relieve").arg(&folder).run().success();
    assert_eq!(ended.out(), "started None relieve\nrelieved 10\n", "{ended}");
    let said = ended.err();
    assert!(said.contains("memory: soft limit: "), "{ended}");
    assert!(said.contains("__main__.give_back "), "{ended}");
    assert!(said.contains("ValueError: of no use"), "{ended}");

    let ended = run(&alone, "again").success();
    assert_eq!(ended.out(), "started None again\nstarted memory again\nagain\n", "{ended}");
    assert!(ended.err().contains("is over the hard limit of 120.0 MiB: starts again"), "{ended}");
    let ended = run(&alone, "handles").success();
    assert!(ended.out().ends_with("started memory handles\nagain\n"), "{ended}");
    let ended = run(&alone, "stubborn").success();
    assert!(ended.out().contains("asked to end\nstarted memory stubborn\n"), "{ended}");
    assert!(ended.err().contains("memory: the application has not ended in time"), "{ended}");

    let reports = reports(&folder);
    let hard: Vec<&Value> = reports.iter().filter(|report| report["reason"] == "hard").collect();
    assert_eq!(hard.len(), 3, "{reports:?}");
    assert!(hard[0]["rss"].as_u64() >= Some(120 << 20), "{hard:?}");
    let containers =
        hard[0]["snapshot"]["containers"].as_array().expect("before it ends, it looks");
    let hoard = containers.iter().find(|container| container["path"] == "__main__.hoard");
    assert!(hoard.is_some_and(|hoard| hoard["length"].as_u64() > Some(64)), "{containers:?}");
    assert_eq!((&hard[0]["app"], &hard[0]["soft"]), (&"hoard".into(), &(60 << 20).into()));
    let soft = reports.iter().find(|report| report["reason"] == "soft").expect("there is one");
    assert!(soft["relief"]["given"]["collect"].is_i64(), "{soft}");
}

#[test]
fn who_started_it_is_asked_to_start_it_again() {
    let limits = "hard = \"80 MiB\"\non-hard = \"restart\"\nrestart = \"init\"";
    let (_project, alone) = hoarder("memory-init", limits);
    let ended = run(&alone, "again").exits(75);
    assert_eq!(ended.out(), "started None again\n");
    // What does not fit from the start on would not fit the next time.
    let ended = run(&alone, "early").success();
    assert_eq!(ended.out(), "started None early\nwent on\n", "{ended}");
    assert!(ended.err().contains("starting again cannot help: goes on"), "{ended}");
}
