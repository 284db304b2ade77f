//! Programs that leak, and programs that only look as if they did, under supervision: every leak is told,
//! and nothing else is.
//!
//! A look each 10 ms makes a window of two hours one of 36 seconds. The programs go by the clock, make up for
//! what they are late with, and take hardly any processor time, so that a busy machine changes little of what
//! there is to see. One that leaks runs until that is told, however long it takes; one that does not runs for
//! a whole short window and two thirds of another.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::devices::{dist, workspace};
use crate::support::task::{Ended, Process};
use crate::support::{self, Alone};

/// Each process has a folder of its own for its reports, below the one that it is started in.
const MEMORY: &str = "[package.metadata.pyrmware.memory]\n\
    hard = \"64 MiB\"\non-hard = \"report\"\ninterval = \"10 ms\"\nhorizon = \"432 s\"\n\
    report-dir = \"/proc/self/cwd/reports\"\n";

/// For one that does not leak: 100 blocks.
const SECONDS: &str = "60";

/// For a leak to be told on a machine that has hardly time for it.
const LIMIT: Duration = Duration::from_secs(300);

/// `programs.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Programs {
    program: Vec<Program>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Program {
    name: String,
    verdict: Option<String>,
    holder: Option<String>,
    nobody: Option<String>,
}

#[test]
fn every_leak_is_told_and_nothing_else_is() {
    let project = support::project("corpus");
    let text = fs::read_to_string(project.join("programs.toml")).expect("it is there");
    let programs: Programs = toml::from_str(&text).expect("it is as it says itself");
    let alone = dist(&workspace("corpus", "", MEMORY), &project, "host").alone();
    is_whole(&programs.program, &alone);
    let problems: Vec<String> = std::thread::scope(|scope| {
        let alone = &alone;
        let mut threads = Vec::new();
        for program in &programs.program {
            threads.push(scope.spawn(move || program.check(alone).err()));
        }
        threads.into_iter().filter_map(|thread| thread.join().expect("it ends")).collect()
    });
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

/// The table has all programs, and enough of both sorts.
fn is_whole(programs: &[Program], alone: &Alone) {
    let listed = alone.task().arg("--list").run().success().out();
    let listed = listed.lines().filter(|line| !line.starts_with(' '));
    let listed: Vec<&str> = listed.map(|line| line.split(':').next().expect("a name")).collect();
    let known: Vec<&str> = programs.iter().map(|program| program.name.as_str()).collect();
    assert_eq!(listed, known, "programs.toml has every program");
    let leaks = programs.iter().filter(|program| program.verdict.is_some()).count();
    assert!(leaks >= 12 && programs.len() - leaks >= 12, "{leaks} of {}", programs.len());
    for Program { name, verdict, holder, nobody } in programs {
        let answers = [holder, nobody].iter().filter(|answer| answer.is_some()).count();
        assert_eq!(answers, usize::from(verdict.is_some()), "{name}: who holds it?");
    }
}

impl Program {
    fn check(&self, alone: &Alone) -> Result<(), String> {
        let folder = tempfile::tempdir().expect("a folder");
        let reports = folder.path().join("reports");
        let task = alone.task().cwd(folder.path()).limit(LIMIT).arg(&self.name);
        match self.verdict.clone() {
            None => self.is_quiet(&task.arg(SECONDS).run(), &reports),
            Some(verdict) => {
                let (told, place) = (format!("memory: {verdict}: "), reports.clone());
                let until_told = move |line: &str, process: &Process| {
                    if line.contains(&told) {
                        // Of what is no alarm there is no report.
                        while verdict != "garbage cycles" && report(&place, &verdict).is_none() {
                            std::thread::sleep(Duration::from_millis(20));
                        }
                        process.kill_all();
                    }
                };
                self.is_told(&task.on_stderr(until_told).run(), &reports)
            }
        }
    }

    fn is_quiet(&self, ended: &Ended, reports: &Path) -> Result<(), String> {
        let alarms = alarms(ended);
        match (ended.code, alarms.as_slice(), reports.exists()) {
            (0, [], false) => Ok(()),
            _ => Err(format!("{}: {alarms:?}: {ended}", self.name)),
        }
    }

    fn is_told(&self, ended: &Ended, reports: &Path) -> Result<(), String> {
        let verdict = self.verdict.as_deref().unwrap_or_default();
        let other = |line: &String| !line.contains(&format!("memory: {verdict}: "));
        let others: Vec<String> = alarms(ended).into_iter().filter(other).collect();
        if ended.code != -libc::SIGKILL || !others.is_empty() {
            return Err(format!("{}: not {verdict} alone: {ended}", self.name));
        }
        let Some(holder) = &self.holder else { return Ok(()) };
        let report = report(reports, verdict).ok_or(format!("{}: no report", self.name))?;
        let snapshot = &report["snapshot"];
        let named = |list: &str, key: &str| {
            let items = snapshot[list].as_array();
            items
                .into_iter()
                .flatten()
                .any(|item| item[key].as_str().is_some_and(|text| text.contains(holder.as_str())))
        };
        if named("holders", "signature") || named("containers", "path") {
            return Ok(());
        }
        Err(format!("{}: {holder} is not named: {snapshot:#}", self.name))
    }
}

/// What was told as a warning or an error.
fn alarms(ended: &Ended) -> Vec<String> {
    let text = ended.err();
    let is_alarm = |line: &&str| !line.starts_with("<5>") && !line.starts_with("<6>");
    text.lines().filter(is_alarm).map(str::to_owned).collect()
}

/// The report of a verdict, once it is there.
fn report(folder: &Path, verdict: &str) -> Option<Value> {
    let files = fs::read_dir(folder).ok()?.map(|entry| entry.expect("it is listed").path());
    let of_verdicts = |path: &PathBuf| path.to_string_lossy().ends_with("-verdict.json");
    let parse = |path: PathBuf| -> Value {
        serde_json::from_slice(&fs::read(path).expect("it is read")).expect("it is JSON")
    };
    files.filter(of_verdicts).map(parse).find(|report| {
        report["text"].as_str().is_some_and(|text| text.contains(&format!("memory: {verdict}: ")))
    })
}
