//! What supervising memory costs: the launcher of one application with and without it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::table::median;
use super::{folder, publish};
use crate::config::{Config, Flags, Memory};
use crate::dist;
use crate::ui::Ui;

/// The application.
const MODULE: &str = include_str!("memory/supervised.py");
const PROJECT: &str = include_str!("memory/pyproject.toml");

const MIB: u64 = 1 << 20;

/// Processor time and memory of supervision; pauses of relief and snapshot; restart beside a cold start
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How long the thread that looks is watched, at the default rate
    #[arg(long, default_value_t = 120)]
    seconds: u32,
    /// Starts and restarts
    #[arg(long, default_value_t = 7)]
    runs: usize,
    /// Put the table into README.md, between its marks
    #[arg(long)]
    readme: bool,
    #[command(flatten)]
    flags: Flags,
}

impl Args {
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let config = Config::load(&self.flags)?;
        let work = folder(&config.paths).join("memory");
        let project = work.join("project");
        fs::create_dir_all(&project)
            .with_context(|| format!("cannot create {}", project.display()))?;
        for (name, text) in [("pyproject.toml", PROJECT), ("supervised.py", MODULE)] {
            let file = project.join(name);
            fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        }
        let build = |name: &str, memory: Option<Memory>| -> Result<PathBuf> {
            let flags = Flags {
                project: Some(project.clone()),
                out: Some(work.join(name)),
                ..self.flags.clone()
            };
            let mut config = Config::load(&flags)?;
            config.device.memory = memory;
            Ok(dist::run(config, ui)?.launcher)
        };
        let often = Some(Duration::from_millis(20));
        let plain = build("plain", None)?;
        // Far from the limit, and so near that private memory is looked at as often as may be.
        let far = build("far", Some(Memory::within(1024 * MIB, 2048 * MIB, None)))?;
        let near = build("near", Some(Memory::within(220 * MIB, 2048 * MIB, None)))?;
        let tight = build("tight", Some(Memory::within(300 * MIB, 2048 * MIB, often)))?;
        let bound = Memory::within(90 * MIB, 120 * MIB, often);
        let forked = build("forked", Some(bound.clone().restarted_by("zygote")))?;
        let bound = build("bound", Some(bound))?;

        ui.status("Measuring", format_args!("looks, for {} seconds", self.seconds));
        let mut text = String::from("| what | measured | goal |\n|---|---:|---:|\n");
        let mut row = |what: &str, measured: String, goal: &str| {
            text += &format!("| {what} | {measured} | {goal} |\n");
        };
        let [without, far, near] = self.idle([&plain, &far, &near])?;
        let (share_far, share_near) = (far.share()?, near.share()?);
        row("the thread that looks, part of one core", percent(share_far), "0.1 %");
        row("the same near a limit, at 210 MiB", percent(share_near), "0.1 %");
        let added = far.private as i64 - without.private as i64;
        row("private memory that supervision adds", format!("{added} KiB"), "1024 KiB");
        ui.status("Measuring", "reliefs");
        for objects in [100_000, 1_000_000] {
            let took = relief(&tight, objects)?;
            let what = format!("a relief that collects twice, {objects} objects");
            row(&what, format!("{took:.0} ms"), "–");
        }
        ui.status("Measuring", "snapshots");
        let found = json(&run(&plain, &["snapshots", "1000000"])?)?;
        let number = |key: &str| found[key].as_u64().context("a snapshot does not say its cost");
        let (pause, longest, memory) = (number("pause")?, number("longest")?, number("memory")?);
        let pause = format!("{:.1} ms (longest of 9: {:.1})", ms(pause), ms(longest));
        row("a snapshot of 1,000,000 objects stops the application for", pause, "20 ms");
        row("memory for it", format!("{:.1} MiB", memory as f64 / MIB as f64), "16 MB");
        ui.status("Measuring", format_args!("{} starts and restarts", self.runs));
        let [mut cold, mut again, mut fork] = [const { Vec::new() }; 3];
        for _ in 0..self.runs {
            let (start, by_exec) = restart(&bound)?;
            cold.push(start.as_micros() as u64);
            again.push(by_exec.as_micros() as u64);
            fork.push(restart(&forked)?.1.as_micros() as u64);
        }
        let of =
            |times: Vec<u64>| format!("{:.1} ms", median(times.into_iter()).unwrap_or(0.0) / 1e3);
        row("restart by `exec`, from the request to the first line of `main`", of(again), "–");
        row("the same from a zygote", of(fork), "25 ms");
        row("cold start to the first line of `main`", of(cold), "–");
        text += &format!(
            "\nCPython {}. The rate of looks is the default, of {} seconds; pauses and starts are \
             medians.\n",
            self.python()?,
            self.seconds
        );
        publish("memory", &text, self.readme, ui)
    }

    fn python(&self) -> Result<String> {
        let plan = dist::resolve::run(Config::load(&self.flags)?)?;
        Ok(plan.interpreter.full_version)
    }

    /// All at the same time: they do nothing.
    fn idle(&self, launchers: [&Path; 3]) -> Result<[Idle; 3]> {
        let seconds = self.seconds.to_string();
        let words = ["idle", &seconds, "200"];
        let one = |launcher: &Path| -> Result<Idle> {
            let said = json(&run(launcher, &words)?)?;
            let private = said["private"].as_u64().context("it does not say its memory")?;
            let lasted = said["lasted"].as_f64().unwrap_or(0.0);
            Ok(Idle { private, ran: said["ran"].as_u64(), lasted })
        };
        thread::scope(|scope| {
            let all = launchers.map(|launcher| scope.spawn(move || one(launcher)));
            let all = all.map(|run| run.join().expect("a run does not panic"));
            let [a, b, c] = all;
            Ok([a?, b?, c?])
        })
    }
}

/// An application that did nothing.
struct Idle {
    /// KiB.
    private: u64,
    /// Nanoseconds of the launcher's thread.
    ran: Option<u64>,
    /// Seconds.
    lasted: f64,
}

impl Idle {
    fn share(&self) -> Result<f64> {
        let ran = self.ran.context("the launcher has no thread that looks")?;
        Ok(ran as f64 / 1e9 / self.lasted)
    }
}

fn percent(share: f64) -> String {
    format!("{:.3} %", share * 100.0)
}

fn ms(microseconds: u64) -> f64 {
    microseconds as f64 / 1e3
}

fn command(launcher: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(launcher);
    command.args(words).env_clear().stdin(Stdio::null());
    command
}

/// What it says on stdout and stderr.
fn run(launcher: &Path, words: &[&str]) -> Result<(String, String)> {
    let output = command(launcher, words).output();
    let output = output.with_context(|| format!("cannot start {}", launcher.display()))?;
    let [out, err] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    ensure!(output.status.success(), "{} {words:?}: {}: {err}", launcher.display(), output.status);
    Ok((out, err))
}

fn json((out, _): &(String, String)) -> Result<Value> {
    serde_json::from_str(out.lines().last().unwrap_or_default())
        .context("the application does not say what it measured")
}

/// Milliseconds that a relief stops the application for: the median of three.
fn relief(launcher: &Path, objects: u64) -> Result<f64> {
    let (_, said) = run(launcher, &["relief", &objects.to_string(), "320"])?;
    // "… given back in 12 ms …"
    let times = said
        .lines()
        .filter_map(|line| line.split_once(" given back in ")?.1.split_once(" ms")?.0.parse().ok());
    median(times).context("the launcher does not say how long a relief took")
}

/// How long a start takes to the first line of `main`, and from the launcher's word that it starts again to that
/// line.
fn restart(launcher: &Path) -> Result<(Duration, Duration)> {
    let began = Instant::now();
    let mut command = command(launcher, &["restart", "0"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (send, receive) = mpsc::channel();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let told = send.clone();
        // The receiver outlives both.
        let tell = |to: &mpsc::Sender<_>, what| to.send((what, Instant::now())).is_ok();
        scope.spawn(move || lines(out, |_| _ = tell(&send, "main")));
        scope.spawn(move || {
            lines(err, |line| _ = line.contains("over the hard limit") && tell(&told, "request"));
        });
    });
    let status = child.wait().context("cannot wait for the launcher")?;
    let mut events: Vec<_> = receive.iter().collect();
    // Two threads have told.
    events.sort_by_key(|(_, at)| *at);
    match events.as_slice() {
        [("main", first), ("request", asked), ("main", second)] => {
            Ok((*first - began, *second - *asked))
        }
        _ => bail!("the launcher was not started again; it ended with {status}"),
    }
}

fn lines(pipe: Option<impl std::io::Read>, mut each: impl FnMut(String)) {
    let lines = pipe.into_iter().flat_map(|pipe| BufReader::new(pipe).lines());
    lines.map_while(Result::ok).for_each(&mut each);
}
