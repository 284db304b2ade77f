//! What supervising memory costs: the launcher of one application with and without it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::app::copy_tree;
use super::table::median;
use super::{folder, publish};
use crate::config::{Config, Flags, Memory};
use crate::dist;
use crate::ui::Ui;

/// The application.
const MODULE: &str = include_str!("memory/supervised.py");
const PROJECT: &str = include_str!("memory/pyproject.toml");
/// A second main of the sample.
const CONSOLE: &str = include_str!("memory/supervised_console.py");

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
        ui.status("Measuring", format_args!("{} starts and restarts of the sample", self.runs));
        let [plain, forked] = self.consoles(&work, ui)?;
        let [mut cold, mut again, mut fork] = [const { Vec::new() }; 3];
        for _ in 0..self.runs {
            let [first, next] = console(&plain)?;
            cold.push(first);
            again.push(next);
            let [_, next] = console(&forked)?;
            fork.push(next);
        }
        let of = |starts: &[Start], what: fn(&Start) -> u64| {
            median(starts.iter().map(what)).unwrap_or(0.0) / 1e3
        };
        let main = |starts: &[Start]| {
            format!("{:.1} ms", of(starts, |start| start.main.as_micros() as u64))
        };
        let asked = |starts: &[Start]| {
            format!("{:.1} ms", of(starts, |start| start.since_asked.as_micros() as u64))
        };
        let private = |starts: &[Start]| {
            format!("{:.1} MiB", of(starts, |start| start.private * 1000) / 1024.0)
        };
        row("the sample, from nothing to the first line of `main`", main(&cold), "–");
        let what =
            "its restart by `exec`, from the request to end to the first line of the next `main`";
        row(what, asked(&again), "–");
        row("the same from a zygote", asked(&fork), "25 ms");
        let what = "by `exec`, from the look that found it over the limit, with a last snapshot";
        row(what, main(&again), "–");
        row("the same from a zygote", main(&fork), "–");
        let what = "private memory of its next worker when it listens; the goal is a fresh start's";
        row(what, private(&fork), &private(&cold));
        text += &format!(
            "\nCPython {}. The rate of looks is the default, of {} seconds; pauses and starts are \
             medians. The application serves while the last snapshot is taken.\n",
            self.python()?,
            self.seconds
        );
        publish("memory", &text, None, self.readme, ui)
    }

    /// Launchers of the sample, which start again by `exec` and from a zygote.
    fn consoles(&self, work: &Path, ui: &Ui) -> Result<[PathBuf; 2]> {
        let sample = crate::config::workspace()?.paths.root.join("python-app");
        let project = work.join("console");
        if project.exists() {
            fs::remove_dir_all(&project)
                .with_context(|| format!("cannot remove {}", project.display()))?;
        }
        copy_tree(&sample, &project)?;
        let file = project.join("pyproject.toml");
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let text =
            text.replace("entry = \"device_console\"", "entry = \"supervised_console:main\"");
        for (file, text) in
            [(file, text.as_str()), (project.join("supervised_console.py"), CONSOLE)]
        {
            fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        }
        let bound = Memory::within(90 * MIB, 120 * MIB, Some(Duration::from_millis(20)));
        let build = |name: &str, memory: Memory| -> Result<PathBuf> {
            let flags = Flags {
                project: Some(project.clone()),
                out: Some(work.join(name)),
                ..self.flags.clone()
            };
            let mut config = Config::load(&flags)?;
            config.device.memory = Some(memory);
            // What its `main` imports when it serves.
            config.device.service.preload = Some(vec!["device_console.server".to_owned()]);
            Ok(dist::run(config, ui)?.launcher)
        };
        let forked = build("console-forked", bound.clone().restarted_by("zygote"))?;
        Ok([build("console-bound", bound)?, forked])
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

/// A start of the sample.
struct Start {
    /// Until the first line of `main`: from its cause on, and since the application before was asked to end.
    main: Duration,
    since_asked: Duration,
    /// What the process that listens has for itself alone, in KiB.
    private: u64,
}

/// A start of the sample from nothing, and the one after it.
fn console(launcher: &Path) -> Result<[Start; 2]> {
    let mut live = Live::start(launcher, &["--port", "0"])?;
    let first = live.start_since(live.began, live.began)?;
    live.signal(Signal::USR2)?;
    let found = live.when(FOUND)?.0;
    let asked = live.when(ASKED)?.0;
    let next = live.start_since(found, asked)?;
    live.signal(Signal::TERM)?;
    live.wait()?;
    Ok([first, next])
}

/// What the launcher says when a look finds it too large.
const FOUND: &str = "over the hard limit";
/// What it tells the service manager when it then asks the application to end. Until then that serves.
const ASKED: &str = "STATUS=ends because of its memory";
/// For whatever is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A launcher that runs, with what it says; ended with all that belongs to it when it is dropped.
struct Live {
    child: Child,
    began: Instant,
    lines: mpsc::Receiver<(Instant, String)>,
    /// What has come and was not asked for yet.
    seen: Vec<(Instant, String)>,
}

impl Live {
    fn start(launcher: &Path, words: &[&str]) -> Result<Live> {
        let began = Instant::now();
        let mut command = command(launcher, words);
        static STARTS: AtomicU32 = AtomicU32::new(0);
        let number = STARTS.fetch_add(1, Ordering::Relaxed);
        let name = format!("pyrmware-bench-{}-{number}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name)?;
        let manager = UnixDatagram::bind_addr(&address).context("cannot bind a socket")?;
        command.env("NOTIFY_SOCKET", format!("@{name}"));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("cannot start {}", launcher.display()))?;
        let (tell, lines) = mpsc::channel();
        read(child.stdout.take(), tell.clone());
        read(child.stderr.take(), tell.clone());
        thread::spawn(move || {
            let mut message = [0; 4096];
            while let Ok(length) = manager.recv(&mut message) {
                let text = String::from_utf8_lossy(&message[..length]).into_owned();
                if tell.send((Instant::now(), text)).is_err() {
                    break;
                }
            }
        });
        Ok(Live { child, began, lines, seen: Vec::new() })
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal).context("cannot signal the launcher")
    }

    /// Waits for its end, so that this falls on nothing else that is measured.
    fn wait(&mut self) -> Result<()> {
        self.child.wait().map(drop).context("cannot wait for the launcher")
    }

    /// When it has said a line with this in it, which is waited for, and the line.
    fn when(&mut self, part: &str) -> Result<(Instant, String)> {
        loop {
            if let Some(at) = self.seen.iter().position(|(_, line)| line.contains(part)) {
                return Ok(self.seen.remove(at));
            }
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.seen.push(line),
                Err(_) => bail!("the launcher does not say {part:?}, but {:?}", self.seen),
            }
        }
    }

    /// When its `main` began, and in which process.
    fn main(&mut self) -> Result<(Instant, u64)> {
        let (at, line) = self.when("\"main\"")?;
        let said: Value = serde_json::from_str(&line).context("no JSON")?;
        Ok((at, said["main"].as_u64().context("it does not say its process")?))
    }

    /// A start of the sample, which is waited for.
    fn start_since(&mut self, since: Instant, asked: Instant) -> Result<Start> {
        let (main, process) = self.main()?;
        self.when("INFO listening on ")?;
        let file = format!("/proc/{process}/smaps_rollup");
        let rollup = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
        let private = rollup.lines().filter(|line| line.starts_with("Private_"));
        let kib = private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        Ok(Start { main: main - since, since_asked: main - asked, private: kib.sum() })
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // One that has ended needs no more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(pipe: Option<impl std::io::Read + Send + 'static>, tell: mpsc::Sender<(Instant, String)>) {
    let lines = pipe.into_iter().flat_map(|pipe| BufReader::new(pipe).lines());
    thread::spawn(move || {
        // Whoever listened may be gone.
        lines.map_while(Result::ok).try_for_each(|line| tell.send((Instant::now(), line)))
    });
}
