//! Every application under `tests/apps`, and the sample: the launcher behaves as stock Python does, and
//! asks for no module that was pruned.
//!
//! `PYRMWARE_APPS=all` runs all of them, and `PYRMWARE_APPS=aiohttp,loops` these too; without it, those that test nothing that another one does not
//! test too are left to whoever changes what ships.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use serde_json::Value;

use crate::support::task::{Ended, Task};
use crate::support::{self, Image, ROOT, SAMPLE, shape};

/// One application, one test: they fail and run by themselves.
macro_rules! applications {
    ($($test:ident: $folder:literal, $when:ident),* $(,)?) => {
        $(#[test] fn $test() { $when($folder, check); })*

        /// All of them.
        const FOLDERS: &[&str] = &[$($folder),*];

        #[test]
        fn no_application_is_forgotten() {
            let folders = ROOT.join("tests/apps").read_dir().expect("the folder is there");
            let mut found: Vec<String> = folders
                .map(|entry| entry.expect("it can be read").path())
                .filter(|path| path.join("pyproject.toml").is_file())
                .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
                .collect();
            found.sort();
            assert_eq!(found, FOLDERS, "the list in apps.rs has every folder of tests/apps");
        }
    };
}

applications! {
    aiohttp: "aiohttp", with_all,
    corpus: "corpus", always,
    db: "db", always,
    fastapi: "fastapi", always,
    hello: "hello", always,
    layout: "layout", always,
    lazy: "lazy", always,
    leaks: "leaks", always,
    loops: "loops", with_all,
    modbus: "modbus", with_all,
    mqtt: "mqtt", always,
    native: "native", always,
    procs: "procs", always,
    script_entry: "script-entry", always,
    serial: "serial", always,
    stdlib: "stdlib", always,
    web: "web", always,
}

fn always(folder: &str, check: fn(&str)) {
    check(folder);
}

fn with_all(folder: &str, check: fn(&str)) {
    match chosen(&[]).contains(&folder) {
        true => check(folder),
        false => println!("{folder} is tested with PYRMWARE_APPS=all"),
    }
}

/// The applications that `PYRMWARE_APPS` names, without it these.
pub fn chosen(by_default: &[&'static str]) -> Vec<&'static str> {
    let Ok(names) = std::env::var("PYRMWARE_APPS") else { return by_default.to_vec() };
    let known = || FOLDERS.iter().copied().chain([SAMPLE]);
    if names == "all" {
        return known().collect();
    }
    let find = |name| known().find(|known| *known == name);
    let named = names.split(',').map(|name| {
        find(name)
            .unwrap_or_else(|| panic!("PYRMWARE_APPS={names}: there is no application {name}"))
    });
    named.collect()
}

/// `cases.toml`; tests/apps/README.md says what the keys mean.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Case {
    name: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    stdin: String,
    #[serde(default)]
    exit: i32,
    ready: Option<String>,
    signal: Option<String>,
    #[serde(default)]
    python: String,
    #[serde(default)]
    expect: Vec<String>,
    #[serde(default)]
    stdout: Compare,
    #[serde(default)]
    stderr: Compare,
    differs: Option<String>,
    #[serde(default)]
    pruned: Vec<String>,
    #[serde(default)]
    pyrmware_only: bool,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Compare {
    #[default]
    Same,
    Any,
}

/// Runs every case of an application on both sides and tells all differences at once.
fn check(folder: &str) {
    behaves(folder, &support::image(folder), true, |_| true);
}

/// The same for some cases of an application, with this image of it; without `frames`, what tracebacks say of
/// functions is not compared.
pub fn behaves(folder: &str, image: &Image, frames: bool, chosen: impl Fn(&str) -> bool) {
    let project = support::project(folder);
    let plan = support::plan(folder);
    let stock = Stock::of(&project, &plan);
    let alone = image.alone();
    let text = fs::read_to_string(project.join("cases.toml")).expect("cases.toml is there");
    let cases: Cases = toml::from_str(&text).expect("cases.toml is as its README says");
    let version = plan["interpreter"]["version"].as_str().expect("a version");
    let mut problems = Vec::new();
    let mut ran = 0;
    let cases = cases.case.iter().filter(|case| wanted(&case.python, version));
    for case in cases.filter(|case| chosen(&case.name)) {
        let mut ours = case.run(alone.task().env(REPORT_PRUNED, "1"), &stock.path);
        let asked = take_asked(&mut ours);
        let unexpected = asked.iter().filter(|name| !case.pruned.contains(name));
        problems.extend(
            unexpected.map(|name| {
                format!("{folder}/{}: the pruned module {name} is asked for", case.name)
            }),
        );
        let theirs = (!case.pyrmware_only).then(|| case.run(stock.task(), &stock.path));
        let found = case.compare(&ours, theirs.as_ref(), frames);
        problems.extend(found.map(|problem| format!("{folder}/{}: {problem}", case.name)));
        ran += 1;
    }
    assert!(ran > 0, "{folder} has no case for Python {version}");
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

/// Has the launcher tell of every module that was pruned and is asked for, even when nobody minds.
const REPORT_PRUNED: &str = "PYRMWARE_REPORT_PRUNED";

/// Takes what [`REPORT_PRUNED`] had the launcher say out of its stderr: the modules' names.
fn take_asked(ended: &mut Ended) -> Vec<String> {
    let (text, mut asked) = (ended.err(), Vec::new());
    ended.stderr.clear();
    for line in text.split_inclusive('\n') {
        match line.split_once(": pruned module asked for: ") {
            Some((_, who)) => {
                let name = who.split(", by ").next().unwrap_or(who);
                asked.push(name.trim_end().to_owned());
            }
            None => ended.stderr.extend(line.as_bytes()),
        }
    }
    asked
}

impl Case {
    fn run(&self, task: Task, path: &str) -> Ended {
        let mut task = task
            .env("PATH", path)
            .env("HOME", "/nonexistent")
            .env("LANG", "C.UTF-8")
            .args(&self.args)
            .stdin(self.stdin.as_bytes());
        for (name, value) in &self.env {
            task = task.env(name, value);
        }
        if let Some(ready) = self.ready.clone() {
            let name = self.signal.as_deref().expect("a case with `ready` has a `signal`");
            let number = signal(name);
            let mut sent = false;
            task = task.on_stdout(move |line, process| {
                if line == ready && !sent {
                    process.signal(number);
                    sent = true;
                }
            });
        }
        task.run()
    }

    fn compare(
        &self,
        ours: &Ended,
        theirs: Option<&Ended>,
        frames: bool,
    ) -> impl Iterator<Item = String> {
        let mut problems = Vec::new();
        for (side, ended) in [Some(("the launcher", ours)), theirs.map(|theirs| ("stock", theirs))]
            .into_iter()
            .flatten()
        {
            if ended.code != self.exit {
                problems.push(format!("{side} exits with {}: {ended}", ended.code));
            }
            for line in ended.out().lines().filter(|line| line.contains("!!")) {
                problems.push(format!("{side} caught an unexpected error: {line}"));
            }
        }
        for text in self.expect.iter().filter(|text| !ours.out().contains(text.as_str())) {
            problems.push(format!("stdout lacks {text:?}: {ours}"));
        }
        if let (Some(theirs), None) = (theirs, &self.differs) {
            if self.stdout == Compare::Same && ours.stdout != theirs.stdout {
                problems.push(format!("stdout differs\n{}", lines(&theirs.out(), &ours.out())));
            }
            let shape = |ended: &Ended| match frames {
                true => shape::of(&ended.err()),
                false => shape::without_frames(&ended.err()),
            };
            let (stock, own) = (shape(theirs), shape(ours));
            if self.stderr == Compare::Same && stock != own {
                problems.push(format!("stderr differs\n{}", lines(&stock, &own)));
            }
        }
        problems.into_iter()
    }
}

/// The lines that only one side has.
fn lines(stock: &str, launcher: &str) -> String {
    let only = |sign: &str, a: &str, b: &str| -> String {
        let other: Vec<&str> = b.lines().collect();
        let alone = a.lines().filter(|line| !other.contains(line)).take(20);
        alone.map(|line| format!("    {sign} {line}\n")).collect()
    };
    only("stock   ", stock, launcher) + &only("launcher", launcher, stock)
}

/// Stock Python with the application and its dependencies on the search path.
struct Stock {
    program: PathBuf,
    head: Vec<String>,
    python_path: String,
    path: String,
}

impl Stock {
    fn of(project: &Path, plan: &Value) -> Stock {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let source = project.join("src");
        let root = if source.is_dir() { source } else { project.to_owned() };
        // The `.dist-info` that an installed application would have.
        let stock = Some(project.join("stock")).filter(|stock| stock.is_dir());
        let site = plan["site"].as_str().map(PathBuf::from);
        let folders: Vec<PathBuf> = [Some(root), stock, site].into_iter().flatten().collect();
        let entry = text(&plan["entry"]);
        let head = match entry.split_once(':') {
            None => vec!["-m".to_owned(), entry],
            Some((module, function)) => {
                let code =
                    format!("import sys; from {module} import {function}; sys.exit({function}())");
                vec!["-c".to_owned(), code]
            }
        };
        Stock {
            program: environment(plan),
            head,
            python_path: std::env::join_paths(folders)
                .expect("no colon")
                .into_string()
                .expect("UTF-8"),
            path: std::env::var("PATH").unwrap_or_default(),
        }
    }

    fn task(&self) -> Task {
        Task::new(&self.program)
            .clean_env()
            .env("PYTHONPATH", &self.python_path)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .args(&self.head)
    }
}

/// The interpreter in an environment that has nothing installed: what this machine has in its
/// `site-packages` is no application's business. Made once, kept for the next run.
fn environment(plan: &Value) -> PathBuf {
    static MADE: Mutex<()> = Mutex::new(());
    let _alone = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let text = |key: &str| plan["interpreter"][key].as_str().expect("a text");
    let name =
        format!("{}-{}", text("version"), text("prefix").trim_matches('/').replace('/', "-"));
    let folder = support::scratch().join("stock").join(name);
    let python = folder.join("bin/python");
    if !python.exists() {
        let words = ["-I", "-m", "venv", "--without-pip", "--clear"];
        Task::new(text("program")).args(words).arg(&folder).run().success();
    }
    python
}

/// Whether `">=3.11,<3.13"` has this version.
fn wanted(clauses: &str, version: &str) -> bool {
    let numbers = |text: &str| -> Vec<u32> {
        text.trim().split('.').take(2).map(|part| part.parse().expect("a number")).collect()
    };
    let version = numbers(version);
    clauses.split(',').map(str::trim).filter(|clause| !clause.is_empty()).all(|clause| {
        match (clause.strip_prefix(">="), clause.strip_prefix('<')) {
            (Some(least), _) => version >= numbers(least),
            (_, Some(above)) => version < numbers(above),
            _ => panic!("{clause:?} is no clause"),
        }
    })
}

fn signal(name: &str) -> i32 {
    match name {
        "HUP" => libc::SIGHUP,
        "INT" => libc::SIGINT,
        "KILL" => libc::SIGKILL,
        "TERM" => libc::SIGTERM,
        "USR1" => libc::SIGUSR1,
        "USR2" => libc::SIGUSR2,
        other => panic!("{other} is no signal that cases know"),
    }
}

/// The sample has no cases: its self-test is one. Only the launcher has its metadata, and so its version.
#[test]
fn sample() {
    sample_behaves(&support::image(SAMPLE));
}

/// The same with this image of it.
pub fn sample_behaves(image: &Image) {
    let plan = support::plan(SAMPLE);
    let stock = Stock::of(&support::project(SAMPLE), &plan);
    let alone = image.alone();
    let theirs = stock.task().env("PATH", &stock.path).arg("--selftest").run().success();
    let mut ours = alone.task().env(REPORT_PRUNED, "1").arg("--selftest").run().success();
    assert_eq!(take_asked(&mut ours), Vec::<String>::new(), "pruned, and asked for");
    let report = |ended: &Ended| -> Value {
        let mut report: Value = serde_json::from_slice(&ended.stdout).expect("one line of JSON");
        report["version"].take();
        report
    };
    assert_eq!(report(&ours), report(&theirs));
    assert_eq!(ours.err(), theirs.err());
}
