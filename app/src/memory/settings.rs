//! What the payload says of memory.

use std::path::PathBuf;
use std::time::Duration;

use pyrmware_payload::{Payload, keys};

use super::limits::Amount;
use super::relief::Plan;

/// What is configured; made by xtask, which has checked it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where memory is given back.
    pub soft: Option<Amount>,
    /// Where the application ends.
    pub hard: Option<Amount>,
    /// What is done there.
    pub on_hard: OnHard,
    /// Where reports are kept.
    pub report_dir: Option<PathBuf>,
    /// Between two looks.
    pub interval: Duration,
    /// How far ahead a limit is of interest.
    pub horizon: Duration,
    /// What the application has to end.
    pub grace: Duration,
    /// How long an object may live that the application has declared dead.
    pub dead_after: Duration,
    /// Classes whose instances are counted, by full name.
    pub track: Vec<String>,
    /// SIGUSR1 asks for a report.
    pub signal: bool,
    /// How memory is given back.
    pub relief: Plan,
    /// Whether memory is given back where the kernel tells that tasks wait for it.
    pub pressure: bool,
    /// Whether the first garbage collection comes late.
    pub late_collector: bool,
    /// As they appear in reports.
    pub app: String,
    /// As they appear in reports.
    pub version: String,
    /// As they appear in reports.
    pub build: String,
    /// As they appear in reports.
    pub python: String,
}

/// What is done at the hard limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnHard {
    /// The application ends, and its parent has the zygote fork another process for it.
    Zygote,
    /// The application ends, and this process becomes a new launcher.
    Exec,
    /// The application ends with the exit code that asks whoever started it to start it again.
    Exit,
    /// It is told, and no more.
    Report,
}

impl Settings {
    /// None where nothing is configured: then memory is not supervised. The error is the key of a setting
    /// that cannot be understood, and its value.
    ///
    /// # Errors
    /// A value that xtask does not write.
    pub fn of(payload: &Payload<'_>) -> Result<Option<Settings>, (&'static str, String)> {
        let text = |key| payload.setting(key).ok();
        let wrong = |key: &'static str| move || (key, text(key).unwrap_or_default().to_owned());
        let limit = |key| match text(key) {
            None => Ok(None),
            Some(value) => Amount::parse(value).ok_or_else(wrong(key)).map(Some),
        };
        let time = |key| {
            let milliseconds = text(key).and_then(|text| text.parse().ok());
            milliseconds.map(Duration::from_millis).ok_or_else(wrong(key))
        };
        if text(keys::MEMORY_INTERVAL).is_none() {
            return Ok(None);
        }
        let (soft, hard) = (limit(keys::MEMORY_SOFT)?, limit(keys::MEMORY_HARD)?);
        let signal = match text(keys::MEMORY_SIGNAL) {
            Some("SIGUSR1") => true,
            Some("off") => false,
            _ => return Err(wrong(keys::MEMORY_SIGNAL)()),
        };
        let track = text(keys::MEMORY_TRACK).unwrap_or_default();
        let on_hard = match (text(keys::MEMORY_ON_HARD), text(keys::MEMORY_RESTART)) {
            (Some("restart"), Some("zygote")) => OnHard::Zygote,
            (Some("restart"), Some("exec")) => OnHard::Exec,
            (Some("restart"), Some("init")) | (Some("exit"), _) => OnHard::Exit,
            (Some("report"), _) => OnHard::Report,
            (Some("restart"), _) => return Err(wrong(keys::MEMORY_RESTART)()),
            _ => return Err(wrong(keys::MEMORY_ON_HARD)()),
        };
        let caches = text(keys::MEMORY_CACHES).unwrap_or_default();
        Ok(Some(Settings {
            soft,
            hard,
            on_hard,
            report_dir: text(keys::MEMORY_REPORT_DIR).map(PathBuf::from),
            interval: time(keys::MEMORY_INTERVAL)?,
            horizon: time(keys::MEMORY_HORIZON)?,
            grace: time(keys::MEMORY_GRACE)?,
            dead_after: time(keys::MEMORY_DEAD_AFTER)?,
            track: track.split_whitespace().map(str::to_owned).collect(),
            signal,
            python: text(keys::PYTHON).unwrap_or_default().to_owned(),
            relief: Plan {
                time: time(keys::MEMORY_RELIEF_TIME)?,
                caches: caches.split_whitespace().map(str::to_owned).collect(),
            },
            pressure: match text(keys::MEMORY_PRESSURE) {
                Some("relief") => true,
                Some("off") => false,
                _ => return Err(wrong(keys::MEMORY_PRESSURE)()),
            },
            late_collector: match text(keys::MEMORY_GC) {
                Some("late") => true,
                Some("stock") => false,
                _ => return Err(wrong(keys::MEMORY_GC)()),
            },
            app: text(keys::APP).unwrap_or_default().to_owned(),
            version: text(keys::VERSION).unwrap_or_default().to_owned(),
            build: text(keys::BUILD).unwrap_or_default().to_owned(),
        }))
    }
}
