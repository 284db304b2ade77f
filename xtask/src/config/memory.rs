//! `[package.metadata.pyrmware.memory]`: how much memory the application may have, and what happens then.

use std::time::Duration;

use pyrmware_payload::{CACHES, keys};
use toml::{Spanned, Value};

use super::device_side::choose;
use super::python_side::{duration, size};
use super::raw;
use super::source::{Complaint, Source};

/// What the launcher does about memory; without the table, nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    soft: Option<Amount>,
    hard: Option<Amount>,
    on_hard: &'static str,
    restart: &'static str,
    report_dir: Option<String>,
    interval: Duration,
    horizon: Duration,
    relief_time: Duration,
    caches: Vec<String>,
    gc: &'static str,
    pressure: &'static str,
    grace: Duration,
    dead_after: Duration,
    track: Vec<String>,
    signal: &'static str,
}

/// How much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Amount {
    Bytes(u64),
    /// Of what the device or the cgroup has.
    Percent(u8),
}

/// Two looks at the memory are this far apart, unless it is said.
const INTERVAL: Duration = Duration::from_secs(2);
/// A limit is of interest so far ahead, unless it is said.
const HORIZON: Duration = Duration::from_secs(24 * 3600);
/// What giving memory back may take, unless it is said.
const RELIEF_TIME: Duration = Duration::from_secs(1);
/// What the application has to end, unless it is said.
const GRACE: Duration = Duration::from_secs(10);
/// When an object is looked for that the application has declared dead, unless it is said.
const DEAD_AFTER: Duration = Duration::from_secs(10);

pub(super) fn check(source: &Source, table: &Spanned<raw::Memory>) -> Result<Memory, Complaint> {
    let raw = table.get_ref();
    let limit = |value: &Option<Spanned<Value>>| {
        value.as_ref().map(|value| amount(source, value)).transpose()
    };
    let (soft, hard) = (limit(&raw.soft)?, limit(&raw.hard)?);
    let wrong = match (soft, hard) {
        (Some(Amount::Bytes(soft)), Some(Amount::Bytes(hard))) => soft >= hard,
        (Some(Amount::Percent(soft)), Some(Amount::Percent(hard))) => soft >= hard,
        _ => false,
    };
    if let (true, Some(value)) = (wrong, &raw.soft) {
        return Err(source
            .complain(value.span(), "the soft limit is not below the hard one")
            .help("at the soft limit memory is given back, at the hard one the application ends"));
    }
    let absolute = |path: &&Spanned<String>| !path.get_ref().starts_with('/');
    if let Some(path) = raw.report_dir.as_ref().filter(absolute) {
        return Err(source
            .complain(path.span(), "this is no absolute path")
            .help("it is a folder of the device, such as /var/lib/app/memory"));
    }
    let time = |value: &Option<Spanned<Value>>, default| match value {
        Some(value) => duration(source, value),
        None => Ok(default),
    };
    let words = ["restart", "exit", "report"].map(|word| (word, Word(word)));
    let on_hard = choose(source, raw.on_hard.as_ref(), &words)?.or("restart");
    let words = ["zygote", "exec", "init"].map(|word| (word, Word(word)));
    let restart = choose(source, raw.restart.as_ref(), &words)?.or("exec");
    let words = ["SIGUSR1", "off"].map(|word| (word, Word(word)));
    let signal = choose(source, raw.signal.as_ref(), &words)?.or("SIGUSR1");
    if let Some(name) = raw.track.iter().find(|name| !is_class(name.get_ref())) {
        return Err(source
            .complain(name.span(), "this is no full name of a class")
            .help("it has the module in front of it: \"package.module.Class\""));
    }
    let words = ["relief", "off"].map(|word| (word, Word(word)));
    let pressure = choose(source, raw.pressure.as_ref(), &words)?.or("relief");
    let words = ["late", "stock"].map(|word| (word, Word(word)));
    let gc = choose(source, raw.gc.as_ref(), &words)?.or("late");
    Ok(Memory {
        soft,
        hard,
        on_hard,
        restart,
        report_dir: raw.report_dir.as_ref().map(|path| path.get_ref().clone()),
        interval: time(&raw.interval, INTERVAL)?,
        horizon: time(&raw.horizon, HORIZON)?,
        gc,
        pressure,
        relief_time: time(&raw.relief_time, RELIEF_TIME)?,
        caches: raw.caches.as_ref().map_or(Ok(vec![AUTO.to_owned()]), |it| caches(source, it))?,
        grace: time(&raw.grace, GRACE)?,
        dead_after: time(&raw.dead_after, DEAD_AFTER)?,
        track: raw.track.iter().map(|name| name.get_ref().clone()).collect(),
        signal,
    })
}

/// Whether it is names with dots between, as classes and functions of modules have. One within a function has `<locals>` in its name.
fn is_class(name: &str) -> bool {
    let is_name = |part: &str| {
        let plain = |char: char| char == '_' || char.is_alphanumeric();
        part == "<locals>"
            || part.chars().all(plain) && part.starts_with(|char: char| !char.is_ascii_digit())
    };
    name.contains('.') && name.split('.').all(is_name)
}

/// All that can be cleared whatever it is used for.
const AUTO: &str = "auto";
/// What is remembered by functions of the application and of packages.
const FUNCTIONS: &str = "functools:";

/// `"auto"`, `"off"`, or a list of names.
fn caches(source: &Source, value: &Spanned<Value>) -> Result<Vec<String>, Complaint> {
    let names = match value.get_ref() {
        Value::String(word) if word == "off" => return Ok(Vec::new()),
        Value::String(word) if word == AUTO => return Ok(vec![word.clone()]),
        Value::Array(names) => names.iter().map(|name| name.as_str().unwrap_or_default()).collect(),
        _ => vec![""],
    };
    let known = |name: &&str| match name.strip_prefix(FUNCTIONS) {
        Some(function) => function == "*" || is_class(function),
        None => *name == AUTO || CACHES.contains(name),
    };
    match names.iter().find(|name| !known(name)) {
        None => Ok(names.into_iter().map(str::to_owned).collect()),
        Some(_) => Err(source.complain(value.span(), "there is no such cache").help(format!(
            "accepted: \"auto\", \"off\", or a list of \"auto\", {}, \
             \"functools:package.module.function\" and \"functools:*\"",
            CACHES.map(|name| format!("\"{name}\"")).join(", ")
        ))),
    }
}

/// A word that is accepted; empty: none was given.
#[derive(Clone, Copy, Default)]
pub(super) struct Word(pub &'static str);

impl Word {
    /// It, or this when none was given.
    pub fn or(self, default: &'static str) -> &'static str {
        if self.0.is_empty() { default } else { self.0 }
    }
}

/// `"70%"`, or what is a size elsewhere.
fn amount(source: &Source, value: &Spanned<Value>) -> Result<Amount, Complaint> {
    let text = value.get_ref().as_str().unwrap_or_default().trim();
    let Some(number) = text.strip_suffix('%') else {
        return size(source, value)
            .map(Amount::Bytes)
            .map_err(|complaint| complaint.help("or a part of what there is: \"70%\""));
    };
    match number.trim().parse() {
        Ok(percent @ 1..=100) => Ok(Amount::Percent(percent)),
        _ => Err(source
            .complain(value.span(), "this is no part of a whole")
            .help("accepted: \"1%\" to \"100%\", or a size as \"64 MiB\"")),
    }
}

impl Memory {
    /// Whether a zygote starts the application again.
    pub fn has_zygote(&self) -> bool {
        self.restart == "zygote"
    }

    /// The folder of reports, absolute.
    pub fn report_dir(&self) -> Option<&str> {
        self.report_dir.as_deref()
    }

    /// What the application has to end.
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// Started again in this way.
    pub fn restarted_by(self, restart: &'static str) -> Memory {
        Memory { restart, ..self }
    }

    /// Limits in bytes, all else by default but the interval where it is given; for measurements.
    pub fn within(soft: u64, hard: u64, interval: Option<Duration>) -> Memory {
        Memory {
            soft: Some(Amount::Bytes(soft)),
            hard: Some(Amount::Bytes(hard)),
            on_hard: "restart",
            restart: "exec",
            report_dir: None,
            interval: interval.unwrap_or(INTERVAL),
            horizon: HORIZON,
            dead_after: DEAD_AFTER,
            track: Vec::new(),
            signal: "SIGUSR1",
            gc: "late",
            pressure: "relief",
            relief_time: RELIEF_TIME,
            caches: vec![AUTO.to_owned()],
            grace: GRACE,
        }
    }

    /// As the launcher reads them in its payload.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let amount = |amount: Amount| match amount {
            Amount::Bytes(bytes) => bytes.to_string(),
            Amount::Percent(percent) => format!("{percent}%"),
        };
        let limits = [(keys::MEMORY_SOFT, self.soft), (keys::MEMORY_HARD, self.hard)];
        let limits = limits.into_iter().filter_map(|(key, limit)| Some((key, amount(limit?))));
        let reports = self.report_dir.iter().map(|dir| (keys::MEMORY_REPORT_DIR, dir.clone()));
        let milliseconds = |time: Duration| time.as_millis().max(1).to_string();
        let rest = [
            (keys::MEMORY_ON_HARD, self.on_hard.to_owned()),
            (keys::MEMORY_RESTART, self.restart.to_owned()),
            (keys::MEMORY_INTERVAL, milliseconds(self.interval)),
            (keys::MEMORY_HORIZON, milliseconds(self.horizon)),
            (keys::MEMORY_RELIEF_TIME, milliseconds(self.relief_time)),
            (keys::MEMORY_PRESSURE, self.pressure.to_owned()),
            (keys::MEMORY_GC, self.gc.to_owned()),
            (keys::MEMORY_CACHES, self.caches.join(" ")),
            (keys::MEMORY_GRACE, milliseconds(self.grace)),
            (keys::MEMORY_DEAD_AFTER, milliseconds(self.dead_after)),
            (keys::MEMORY_SIGNAL, self.signal.to_owned()),
        ];
        let track = Some(self.track.join(" ")).filter(|track| !track.is_empty());
        let track = track.into_iter().map(|track| (keys::MEMORY_TRACK, track));
        limits.chain(reports).chain(track).chain(rest).collect()
    }
}
