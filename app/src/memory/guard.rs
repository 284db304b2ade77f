//! The thread that looks at the process, and what it does about what it sees.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::limits::{self, Ceiling};
use super::relief::{self, HARD, Relief, SOFT};
use super::report::{self, Facts};
use super::settings::{OnHard, Settings};
use super::trend::{Headroom, Judge, Kind, Sample, Scale};
use super::{look, restart};
use crate::log::{self, Priority};

/// So many looks in a row make a limit passed: a peak is none.
const LOOKS: u32 = 3;
/// So many looks the application is taken to be starting, and is not yet as large as it will be.
const FIRST: u64 = 5;
/// Private memory is looked at, which costs milliseconds, from this part of the lowest limit on,
const NEAR: (u64, u64) = (9, 10);
/// and every so many looks.
const SELDOM: u64 = 30;
/// Giving memory back stops the application: not more often than this,
const PAUSE: Duration = Duration::from_secs(30);
/// and when it gave less than this part of the limit, twice as seldom each time.
const WORTH: u64 = 50;
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(3600);
/// Flash wears out: of reliefs, which may be many, not more are reported.
const BETWEEN_REPORTS: Duration = Duration::from_secs(600);
/// The thread reads small files and formats lines.
const STACK: usize = 128 << 10;

static LIMITS: OnceLock<(Option<u64>, Option<u64>)> = OnceLock::new();

/// The limits in bytes.
pub fn limits() -> (Option<u64>, Option<u64>) {
    LIMITS.get().copied().unwrap_or_default()
}

/// Starts to look. Without `/proc` there is nothing to see, which is told.
pub fn start(settings: Settings) {
    let ceiling = limits::ceiling();
    let bytes = |amount: limits::Amount| ceiling.map(|ceiling| amount.of(ceiling.bytes));
    let found = (settings.soft.and_then(bytes), settings.hard.and_then(bytes));
    if ceiling.is_none() || look::rss().is_none() {
        log::line(Priority::Warning, "memory: not supervised: /proc is not mounted");
        return;
    }
    // Set once: there is one start.
    let _ = LIMITS.set(found);
    let guard = Guard::new(settings, ceiling, found);
    if let Err(error) = spawn(guard) {
        let text = format!("memory: not supervised: no thread can be started: {error}");
        log::line(Priority::Warning, &text);
    }
}

/// Signals are for Python's threads.
fn spawn(mut guard: Guard) -> std::io::Result<()> {
    // SAFETY: blocks all signals in this thread, so that the new one begins that way, and puts back what was.
    let mut before = unsafe {
        let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        before
    };
    let thread = std::thread::Builder::new().name("memory".to_owned()).stack_size(STACK);
    let spawned = thread.spawn(move || {
        loop {
            std::thread::sleep(guard.settings.interval);
            guard.look();
        }
    });
    // SAFETY: as above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, &mut before) };
    spawned.map(drop)
}

struct Guard {
    settings: Settings,
    ceiling: Option<Ceiling>,
    soft: Option<u64>,
    hard: Option<u64>,
    since: Instant,
    judge: Judge,
    looks: u64,
    /// Looks in a row over a limit.
    over_soft: u32,
    over_hard: u32,
    /// It has been below the hard limit: only then can starting again help.
    has_fitted: bool,
    /// The last relief, and how long nothing is asked of the application after it.
    relieved: Option<Instant>,
    pause: Duration,
    last_relief: Option<Relief>,
    /// The last report of a relief.
    reported: Option<Instant>,
    /// What was told of the trend.
    told: Vec<Kind>,
    told_hard: bool,
}

impl Guard {
    fn new(
        settings: Settings,
        ceiling: Option<Ceiling>,
        (soft, hard): (Option<u64>, Option<u64>),
    ) -> Guard {
        Guard {
            settings,
            ceiling,
            soft,
            hard,
            since: Instant::now(),
            judge: Judge::new(Scale::default()),
            looks: 0,
            over_soft: 0,
            over_hard: 0,
            has_fitted: false,
            relieved: None,
            pause: PAUSE,
            last_relief: None,
            reported: None,
            told: Vec::new(),
            told_hard: false,
        }
    }

    fn look(&mut self) {
        let Some(rss) = look::rss() else { return };
        let lowest = [self.soft, self.hard].into_iter().flatten().min().unwrap_or(u64::MAX);
        let near = rss >= lowest / NEAR.1 * NEAR.0;
        let seldom = self.looks.is_multiple_of(SELDOM);
        self.looks += 1;
        let private = (near || seldom).then(look::private).flatten();
        let (fds, threads) = if seldom { (look::fds(), look::threads()) } else { (None, None) };
        // What other processes share would not come back.
        let used = private.unwrap_or(rss);
        if let Some(relief) = relief::done() {
            self.after_relief(relief, rss, private);
        }
        let over = |limit: Option<u64>| limit.is_some_and(|limit| used >= limit);
        self.over_soft = if over(self.soft) { self.over_soft + 1 } else { 0 };
        self.over_hard = if over(self.hard) { self.over_hard + 1 } else { 0 };
        if !over(self.hard) {
            self.has_fitted |= self.looks > FIRST;
            self.told_hard = false;
        }
        if self.over_hard >= LOOKS {
            self.at_hard(rss, private);
        } else if self.over_hard > 0 {
            relief::request(HARD);
        } else if self.over_soft >= LOOKS && self.may_relieve() {
            self.relieved = Some(Instant::now());
            relief::request(SOFT);
        }
        let at = self.since.elapsed();
        let heap = relief::heap();
        let sample = Sample { at, rss, uss: private, heap, fds, tasks: None, threads };
        if self.judge.add(&sample) {
            self.tell_verdicts(used, rss, private);
        }
    }

    fn may_relieve(&self) -> bool {
        self.relieved.is_none_or(|last| last.elapsed() >= self.pause)
    }

    fn after_relief(&mut self, relief: Relief, rss: u64, private: Option<u64>) {
        let worth = self.soft.or(self.hard).unwrap_or(0) / WORTH;
        let helped = relief.total() >= worth as i64;
        self.pause = if helped { PAUSE } else { (self.pause * 2).min(LONGEST) };
        let given: Vec<String> = relief
            .given
            .iter()
            .filter(|(_, bytes)| bytes.unsigned_abs() >= 1 << 16)
            .map(|(what, bytes)| format!("{what} {}", mib(*bytes)))
            .collect();
        let level = if relief.level >= HARD { "hard" } else { "soft" };
        let detail =
            if given.is_empty() { String::new() } else { format!(": {}", given.join(", ")) };
        let (total, took) = (mib(relief.total()), relief.took.as_millis());
        let text = format!("memory: {level} limit: {total} given back in {took} ms{detail}");
        log::line(Priority::Notice, &text);
        if self.reported.is_none_or(|last| last.elapsed() >= BETWEEN_REPORTS) {
            self.reported = Some(Instant::now());
            self.report("soft", &text, rss, private, Some(&relief));
        }
        self.last_relief = Some(relief);
    }

    fn at_hard(&mut self, rss: u64, private: Option<u64>) {
        if self.told_hard {
            return;
        }
        self.told_hard = true;
        let used = private.unwrap_or(rss) as i64;
        let hard = mib(self.hard.unwrap_or(0) as i64);
        let what = match (self.settings.on_hard, self.has_fitted) {
            (OnHard::Report, _) => "goes on, as configured",
            (_, false) => {
                "it has been above it since the start, so that starting again cannot help: goes on"
            }
            (OnHard::Exec, true) => "starts again",
            (OnHard::Exit, true) => "ends",
        };
        let text = format!("memory: {} is over the hard limit of {hard}: {what}", mib(used));
        log::line(Priority::Error, &text);
        let relief = self.last_relief.take();
        self.report("hard", &text, rss, private, relief.as_ref());
        if self.settings.on_hard != OnHard::Report && self.has_fitted {
            restart::ask();
            std::thread::sleep(self.settings.grace);
            restart::insist();
        }
    }

    fn tell_verdicts(&mut self, used: u64, rss: u64, private: Option<u64>) {
        let limit = self.hard.or(self.soft).unwrap_or(u64::MAX);
        let headroom = Headroom {
            memory: limit.saturating_sub(used),
            fds: fd_limit().map(|most| most.saturating_sub(look::fds().unwrap_or(0).into())),
            threads: None,
        };
        let verdicts: Vec<_> = self.judge.verdicts(&headroom).collect();
        // What is said again every two minutes is not read.
        self.told.retain(|kind| verdicts.iter().any(|verdict| verdict.kind == *kind));
        for verdict in verdicts {
            if self.told.contains(&verdict.kind) {
                continue;
            }
            self.told.push(verdict.kind);
            let alarm = verdict.kind.is_alarm();
            let text = format!("memory: {verdict}");
            log::line(if alarm { Priority::Warning } else { Priority::Notice }, &text);
            if alarm {
                self.report("verdict", &text, rss, private, None);
            }
        }
    }

    fn report(
        &self,
        reason: &str,
        text: &str,
        rss: u64,
        private: Option<u64>,
        relief: Option<&Relief>,
    ) {
        let Some(folder) = &self.settings.report_dir else { return };
        let facts = Facts {
            reason,
            text,
            seconds: self.since.elapsed().as_secs(),
            rss,
            private,
            ceiling: self.ceiling,
            limits: (self.soft, self.hard),
            counts: (look::fds(), look::threads()),
            relief,
        };
        if let Err(error) = report::write(folder, &self.settings, &facts) {
            let text = format!("memory: no report can be written to {}: {error}", folder.display());
            log::line(Priority::Warning, &text);
        }
    }
}

fn fd_limit() -> Option<u64> {
    // SAFETY: fills a structure of numbers.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        (libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0).then_some(limit.rlim_cur)
    }
}

fn mib(bytes: i64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
