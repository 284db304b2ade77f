//! The one output seam: progress and messages to stderr, data to stdout.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::builder::styling::{AnsiColor, Effects, Style};
use serde_json::{Value, json};

/// How to talk.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Output {
    /// Say more
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
    /// Errors only
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Output")]
    pub quiet: bool,
    /// Colours; auto obeys the terminal, NO_COLOR and CARGO_TERM_COLOR
    #[arg(long, global = true, value_name = "WHEN", help_heading = "Output")]
    pub color: Option<Color>,
    /// What goes to stdout
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "human",
        help_heading = "Output"
    )]
    pub message_format: Format,
}

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[expect(missing_docs, reason = "clap would show them as help; the names say it")]
pub enum Color {
    Auto,
    Always,
    Never,
}

/// `--message-format`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The result only, for people and `$(…)`
    #[default]
    Human,
    /// One JSON object per line: stages, messages, results
    Json,
}

const VERB: Style = AnsiColor::Green.on_default().effects(Effects::BOLD);
const LIVE: Style = AnsiColor::Cyan.on_default().effects(Effects::BOLD);
const NOTE: Style = AnsiColor::Cyan.on_default().effects(Effects::BOLD);
const WARNING: Style = AnsiColor::Yellow.on_default().effects(Effects::BOLD);
const ERROR: Style = AnsiColor::Red.on_default().effects(Effects::BOLD);
const DIM: Style = Style::new().effects(Effects::DIMMED);

/// Back to the line's start, wipe it, and cut what is too long for the terminal instead of wrapping.
const LIVE_START: &str = "\r\x1b[2K\x1b[?7l";
const LIVE_END: &str = "\x1b[?7h";
const LIVE_WIPE: &str = "\r\x1b[2K";
const TICK: Duration = Duration::from_millis(100);

/// Where a command says what it does. Shared by reference; safe from several threads.
pub struct Ui {
    screen: Arc<Mutex<Screen>>,
    verbosity: Verbosity,
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verbosity {
    Quiet,
    Normal,
    Verbose,
}

struct Screen {
    err: Box<dyn Write + Send>,
    out: Box<dyn Write + Send>,
    color: bool,
    /// Whether stderr is a terminal on which a line can be updated in place.
    live: bool,
    /// The last is the line that is being updated; work may go on behind it.
    current: Vec<Current>,
}

/// A piece of work that is being done.
struct Current {
    /// Which stage's.
    id: u64,
    verb: String,
    text: String,
    since: Instant,
}

impl Ui {
    /// Talks to the process's stdout and stderr.
    pub fn new(output: &Output) -> Ui {
        let stderr = io::stderr();
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let ci = std::env::var_os("CI").is_some();
        Ui::with(
            output,
            use_color(output.color, std::env::var("CARGO_TERM_COLOR").ok().as_deref()),
            stderr.is_terminal() && !dumb && !ci && !output.quiet,
            Box::new(io::stdout()),
            Box::new(stderr),
        )
    }

    fn with(
        output: &Output,
        color: bool,
        live: bool,
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
    ) -> Ui {
        let verbosity = match (output.quiet, output.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, _) => Verbosity::Verbose,
        };
        let screen = Screen { err, out, color, live, current: Vec::new() };
        Ui { screen: Arc::new(Mutex::new(screen)), verbosity, format: output.message_format }
    }

    /// Whether `--message-format json` was asked for.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether `-v` was given.
    pub fn is_verbose(&self) -> bool {
        self.verbosity == Verbosity::Verbose
    }

    /// A line as cargo writes them: the verb right-aligned in 12 columns.
    pub fn status(&self, verb: &str, text: impl Display) {
        if self.verbosity >= Verbosity::Normal {
            let mut screen = lock(&self.screen);
            let line = screen.verb_line(VERB, verb, &text.to_string());
            screen.line(&line);
        }
    }

    /// As [`Ui::status`], with `-v` only.
    pub fn detail(&self, verb: &str, text: impl Display) {
        if self.is_verbose() {
            self.status(verb, text);
        }
    }

    /// Something that the user should know and need not act on.
    pub fn note(&self, text: impl Display) {
        self.message(NOTE, "note", Verbosity::Normal, &text.to_string(), &[]);
    }

    /// Something that the user should look at.
    pub fn warning(&self, text: impl Display) {
        self.message(WARNING, "warning", Verbosity::Normal, &text.to_string(), &[]);
    }

    /// Why the command failed: the whole chain.
    pub fn error(&self, error: &anyhow::Error) {
        let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
        self.message(ERROR, "error", Verbosity::Quiet, &error.to_string(), &causes);
    }

    fn message(&self, style: Style, level: &str, from: Verbosity, text: &str, causes: &[String]) {
        if self.verbosity >= from {
            let mut screen = lock(&self.screen);
            let mut lines = format!("{}: {}", screen.paint(style, level), text.trim_end());
            for cause in causes {
                let cause = cause.trim_end().replace('\n', "\n    ");
                lines.push_str(&format!("\n  caused by: {cause}"));
            }
            screen.line(&lines);
        }
        self.event(json!({"reason": "message", "level": level, "message": text, "causes": causes}));
    }

    /// The result of a command: one text for people, one object for machines, to stdout.
    ///
    /// # Errors
    /// Stdout is gone.
    pub fn result(&self, human: impl Display, machine: Value) -> anyhow::Result<()> {
        let text = if self.is_json() { machine.to_string() } else { human.to_string() };
        let mut screen = lock(&self.screen);
        screen.wipe();
        let out = &mut screen.out;
        writeln!(out, "{text}").and_then(|()| out.flush()).context("cannot write to stdout")
    }

    /// As [`Ui::result`], where people get these bytes and nothing else.
    ///
    /// # Errors
    /// Stdout is gone.
    pub fn bytes(&self, human: &[u8], machine: Value) -> anyhow::Result<()> {
        if self.is_json() {
            return self.result("", machine);
        }
        let mut screen = lock(&self.screen);
        screen.wipe();
        let out = &mut screen.out;
        out.write_all(human).and_then(|()| out.flush()).context("cannot write to stdout")
    }

    /// A line for machines: an object with a `reason`, to stdout; nothing for people.
    pub fn event(&self, event: Value) {
        if self.is_json() {
            // Who does not read the events still gets the exit code.
            let _ = writeln!(lock(&self.screen).out, "{event}");
        }
    }

    /// Begins a piece of work that takes time; on a terminal its line shows the time until it is dropped.
    pub fn stage(&self, name: &'static str, verb: &str, text: impl Display) -> Stage<'_> {
        let text = text.to_string();
        self.event(json!({"reason": "stage-started", "stage": name, "message": text}));
        let since = Instant::now();
        static STAGES: AtomicU64 = AtomicU64::new(0);
        let id = STAGES.fetch_add(1, Ordering::Relaxed);
        let mut ticker = None;
        if self.verbosity >= Verbosity::Normal {
            let mut screen = lock(&self.screen);
            if screen.live {
                screen.current.push(Current { id, verb: verb.into(), text, since });
                screen.draw();
                ticker = Some(Ticker::start(Arc::clone(&self.screen)));
            } else {
                let line = screen.verb_line(VERB, verb, &text);
                screen.line(&line);
            }
        }
        Stage { ui: self, id, name, since, ticker }
    }
}

/// Work in progress.
pub struct Stage<'a> {
    ui: &'a Ui,
    id: u64,
    name: &'static str,
    since: Instant,
    ticker: Option<Ticker>,
}

impl Stage<'_> {
    /// The work succeeded. Gives the time that it took.
    pub fn finish(mut self) -> Duration {
        let took = self.since.elapsed();
        self.settle();
        let seconds = (took.as_secs_f64() * 1000.0).round() / 1000.0;
        self.ui.event(json!({"reason": "stage-finished", "stage": self.name, "seconds": seconds}));
        took
    }

    /// The updated line becomes one that stays.
    fn settle(&mut self) {
        self.ticker = None;
        let mut screen = lock(&self.ui.screen);
        screen.wipe();
        if let Some(at) = screen.current.iter().position(|current| current.id == self.id) {
            let current = screen.current.remove(at);
            let mut line = screen.verb_line(VERB, &current.verb, &current.text);
            let took = current.since.elapsed();
            if took >= Duration::from_secs(1) || self.ui.is_verbose() {
                line.push_str(&screen.paint(DIM, &format!(" ({})", seconds(took))));
            }
            screen.line(&line);
        }
    }
}

impl Drop for Stage<'_> {
    /// Also on failure: the line stays, so that the error below it has its place.
    fn drop(&mut self) {
        self.settle();
    }
}

/// Redraws the current line until it is dropped.
struct Ticker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(screen: Arc<Mutex<Screen>>) -> Ticker {
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                lock(&screen).draw();
            }
        });
        Ticker { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It cannot panic: it draws and waits.
            let _ = thread.join();
        }
    }
}

impl Screen {
    fn paint(&self, style: Style, text: &str) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    fn verb_line(&self, style: Style, verb: &str, text: &str) -> String {
        let pad = " ".repeat(12usize.saturating_sub(verb.chars().count()));
        format!("{pad}{} {text}", self.paint(style, verb))
    }

    /// Writes lines above the current one. A closed stderr is nobody's error.
    fn line(&mut self, line: &str) {
        self.wipe();
        let _ = writeln!(self.err, "{line}");
        self.draw();
    }

    fn wipe(&mut self) {
        if !self.current.is_empty() {
            let _ = self.err.write_all(LIVE_WIPE.as_bytes()).and_then(|()| self.err.flush());
        }
    }

    fn draw(&mut self) {
        if let Some(current) = self.current.last() {
            let took = seconds(current.since.elapsed());
            let line = self.verb_line(LIVE, &current.verb, &format!("{} {took}", current.text));
            let _ =
                write!(self.err, "{LIVE_START}{line}{LIVE_END}").and_then(|()| self.err.flush());
        }
    }
}

fn lock(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn use_color(flag: Option<Color>, cargo: Option<&str>) -> bool {
    match (flag, cargo) {
        (Some(Color::Always), _) | (None, Some("always")) => true,
        (Some(Color::Never), _) | (None, Some("never")) => false,
        _ => anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never,
    }
}

/// The last lines of what a program said, without empty ones: there the reason is.
pub fn last_lines(said: &str, most: usize) -> String {
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(most)..].join("\n")
}

/// A size for people: `512 bytes`, `11.2 MiB`.
pub fn bytes(bytes: u64) -> String {
    let scaled = |unit: f64| (bytes as f64 / unit * 10.0).round() / 10.0;
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_524 => format!("{:.1} KiB", scaled(1024.0)),
        1_048_524..1_073_689_396 => format!("{:.1} MiB", scaled(1_048_576.0)),
        _ => format!("{:.2} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

/// A difference of sizes for people: `-1.1 MiB`.
pub fn change(bytes: i64) -> String {
    let sign = if bytes < 0 { '-' } else { '+' };
    format!("{sign}{}", self::bytes(bytes.unsigned_abs()))
}

/// A short duration for people: `80.0 ms`.
pub fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

/// A duration for people: `0.3s`, `2m 05s`.
pub fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => format!("{:.1}s", duration.as_secs_f64()),
        s => format!("{}m {:02}s", s / 60, s % 60),
    }
}

#[cfg(test)]
mod tests;
