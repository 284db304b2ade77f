//! Programs that leak, and programs that only look as if they did, under supervision: every leak is told,
//! and nothing else is.
//!
//! A look each 10 ms makes a window of two hours one of 36 seconds. The programs go by the clock, make up for
//! what they are late with, and take hardly any processor time, so that a busy machine changes little of what
//! there is to see. One that leaks runs until that is told, however long it takes; one that does not runs for
//! a whole short window and two thirds of another.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::devices::{dist, workspace};
use crate::support::task::{Ended, Process};
use crate::support::{self, Alone, SAMPLE};

/// Each process has a folder of its own for its reports, below the one that it is started in.
const MEMORY: &str = "[package.metadata.pyrmware.memory]\n\
    hard = \"64 MiB\"\non-hard = \"report\"\ninterval = \"10 ms\"\nhorizon = \"432 s\"\npressure = \"off\"\n\
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

/// The server of `prompt_toolkit.contrib.telnet` waits for the type of the client's terminal. From one that has
/// left before it said so it waits for ever: with a connection, a task and a file for each.
#[test]
fn clients_that_leave_without_a_word_are_a_leak_of_files_and_tasks() {
    let alone =
        dist(&workspace("port-scan", "", MEMORY), &support::project(SAMPLE), "host").alone();
    let folder = tempfile::tempdir().expect("a folder");
    let reports = folder.path().join("reports");
    let (place, kinds) = (reports.clone(), ["fd leak", "task leak"]);
    let scan = move |line: &str, process: &Process| {
        let Some((_, port)) = line.split_once("listening on 127.0.0.1 port ") else { return };
        let port = port.parse().expect("a number");
        // Until the process has been ended, for it took too long, at the latest.
        while report(&place, "verdict", &kinds).is_none() && leave_without_a_word(port).is_ok() {
            std::thread::sleep(Duration::from_millis(40));
        }
        process.kill_all();
    };
    let task = alone.task().cwd(folder.path()).limit(LIMIT).args(["--port", "0"]);
    let ended = task.on_stderr(scan).run();
    let report = report(&reports, "verdict", &kinds).unwrap_or_else(|| panic!("{ended}"));
    for kind in kinds {
        assert!(ended.err().contains(&format!("memory: {kind}: ")), "{ended}");
    }
    let holders = report["snapshot"]["holders"].as_array().expect("a list");
    let held = |kind: &str, signature: &str| {
        holders.iter().any(|group| {
            group["type"] == kind
                && group["signature"] == signature
                && group["count"].as_u64() > Some(50)
        })
    };
    let task = "task TelnetServer._accept.<locals>.run()";
    assert!(held("_asyncio.Task", task), "{holders:#?}");
    let connection = format!("{task}.connection<TelnetConnection>.conn");
    assert!(held("socket.socket", &connection), "{holders:#?}");
}

/// Connects, hears out what the server has to say, and leaves.
fn leave_without_a_word(port: u16) -> std::io::Result<()> {
    /// The last of it: what is your terminal's type?
    const ASKS_TYPE: &[u8] = b"\xff\xfa\x18\x01\xff\xf0";
    let mut client = TcpStream::connect(("127.0.0.1", port))?;
    client.set_read_timeout(Some(LIMIT))?;
    let (mut said, mut some) = (Vec::new(), [0; 256]);
    while !said.ends_with(ASKS_TYPE) {
        match client.read(&mut some)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => said.extend(&some[..read]),
        }
    }
    Ok(())
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
                        while process.runs()
                            && verdict != "garbage cycles"
                            && report(&place, "verdict", &[&verdict]).is_none()
                        {
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
        if ended.code != 0 || !alarms.is_empty() || report(reports, "verdict", &[]).is_some() {
            return Err(format!("{}: {alarms:?}: {ended}", self.name));
        }
        // It was looked at for as many blocks as a window must have.
        let last = report(reports, "signal", &[]).ok_or(format!("{}: no report", self.name))?;
        match last["timeline"].as_array().map_or(0, Vec::len) {
            45.. => Ok(()),
            few => Err(format!("{}: seen in {few} blocks: {ended}", self.name)),
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
        let report =
            report(reports, "verdict", &[verdict]).ok_or(format!("{}: no report", self.name))?;
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

/// The report that has this reason and all these verdicts, once it is there.
fn report(folder: &Path, reason: &str, kinds: &[&str]) -> Option<Value> {
    let files = fs::read_dir(folder).ok()?.map(|entry| entry.expect("it is listed").path());
    let of_reason = |path: &PathBuf| path.to_string_lossy().ends_with(&format!("-{reason}.json"));
    let parse = |path: PathBuf| -> Value {
        serde_json::from_slice(&fs::read(path).expect("it is read")).expect("it is JSON")
    };
    files.filter(of_reason).map(parse).find(|report| {
        let verdicts = report["verdicts"].as_array().expect("a list");
        kinds.iter().all(|kind| verdicts.iter().any(|verdict| verdict["kind"] == *kind))
    })
}
