//! The thread that looks at the process, and what it does about what it sees.

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::folder::{Folder, Outcome};
use super::inquiry::{Answer, Inquiry};
use super::limits::{self, Amount, Ceiling, Source};
use super::pressure::Watch;
use super::relief::{self, HARD, Relief, SOFT};
use super::report::Facts;
use super::settings::{OnHard, Settings};
use super::snapshot::Snapshot;
use super::trend::{Headroom, Heap, Judge, Kind, Sample, Scale, Verdict};
use super::{dead, heap, look, mib, signal, tasks};
use crate::log::{self, Priority};
use crate::supervisor::{pulse, restart};

/// So many looks in a row make a limit passed: a peak is none.
const LOOKS: u32 = 3;
/// So many looks the application is taken to be starting, and is not yet as large as it will be.
const FIRST: u64 = 5;
/// Private memory is looked at from this part of the lowest limit on, as often as may be, and when the judge
/// wants it.
const NEAR: (u64, u64) = (9, 10);
/// What was told is told again when for so many looks there was no reason to.
const FORGOTTEN: u64 = 1000;
/// Giving memory back stops the application: for no more than this part of the time,
const SHARE: u32 = 50;
/// and not more often than this when it gave less than a part of the limit, twice as seldom each time,
const PAUSE: Duration = Duration::from_secs(30);
const WORTH: u64 = 50;
/// unless memory has grown by another part of the limit since then.
const GROWN: u64 = 8;
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(3600);
/// Seconds that a restart waits for a snapshot.
const LAST_LOOK: u32 = 5;
/// Whoever waits for the application's end sees so often whether memory lets it.
const STEP: Duration = Duration::from_millis(50);
/// Types that an answer to a signal tells.
const TOLD: usize = 3;
/// The thread reads small files and formats lines.
const STACK: usize = 128 << 10;

/// The limits in bytes; 0: there is none.
static LIMITS: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
/// The process that the guard is in; children that it forks have a copy of all but the thread.
static PROCESS: AtomicI32 = AtomicI32::new(0);

/// The limits in bytes.
pub fn limits() -> (Option<u64>, Option<u64>) {
    let [soft, hard] = [0, 1].map(|at| Some(LIMITS[at].load(Ordering::Relaxed)));
    (soft.filter(|bytes| *bytes > 0), hard.filter(|bytes| *bytes > 0))
}

/// Whether there is a guard in this process. A handler of signals may ask.
pub fn is_here() -> bool {
    // SAFETY: a system call.
    PROCESS.load(Ordering::Acquire) == unsafe { libc::getpid() }
}

/// Starts to look. Without `/proc` there is nothing to see, which is told.
pub fn start(settings: Settings) {
    relief::plan(settings.relief.clone());
    let Some(rss) = look::rss() else {
        log::line(Priority::Warning, "memory: not supervised: /proc is not mounted");
        return;
    };
    dead::start(settings.dead_after);
    // SAFETY: a system call.
    PROCESS.store(unsafe { libc::getpid() }, Ordering::Release);
    let listens = settings.signal;
    let guard = Guard::new(settings, rss);
    guard.tell_what_is_missing();
    match spawn(guard) {
        Ok(thread) if listens => signal::listen(thread),
        Ok(_) => {}
        Err(error) => {
            let text = format!("memory: not supervised: no thread can be started: {error}");
            log::line(Priority::Warning, &text);
        }
    }
}

fn spawn(mut guard: Guard) -> std::io::Result<std::thread::Thread> {
    crate::thread::spawn("memory", STACK, move || {
        guard.watch.listen(std::thread::current());
        loop {
            let next = Instant::now() + guard.settings.interval;
            while let Some(rest) = next.checked_duration_since(Instant::now())
                && !rest.is_zero()
            {
                std::thread::park_timeout(rest);
                guard.attend();
                if guard.watch.is_told() {
                    break;
                }
            }
            guard.look();
            guard.attend();
        }
    })
}

struct Guard {
    settings: Settings,
    ceiling: Option<Ceiling>,
    /// What the process can have of it beside others.
    left: u64,
    soft: Option<u64>,
    hard: Option<u64>,
    watch: Watch,
    since: Instant,
    judge: Judge,
    looks: u64,
    /// What was seen last; whether tasks wait for memory.
    rss: u64,
    private: look::Private,
    pressed: bool,
    heap: Option<Heap>,
    /// Looks in a row over a limit.
    over_soft: u32,
    over_hard: u32,
    /// It has been below the hard limit: only then can starting again help.
    has_fitted: bool,
    /// The last relief: when it was asked for and from how much memory on it has grown since; and how long nothing
    /// is asked of the application after it.
    relieved: Option<(Instant, u64)>,
    pause: Duration,
    last_relief: Option<Relief>,
    /// What was said of the trend last; and what was told of it, with the look at which it last was true.
    verdicts: Vec<Verdict>,
    told: Vec<(Kind, u64)>,
    /// Alarms whose report waits for a snapshot. It has them, whatever is said of the trend by then.
    reported: Vec<Verdict>,
    /// What is told when garbage has been collected, for it may be that.
    doubt: Option<Verdict>,
    told_hard: bool,
    /// The cache or hook of which was told that it does not return.
    told_running: Option<String>,
    folder: Option<Folder>,
    inquiry: Inquiry,
}

impl Guard {
    fn new(settings: Settings, rss: u64) -> Guard {
        let folder = settings.report_dir.clone().map(Folder::new);
        let inquiry = Inquiry::new(&settings.track);
        let judge = Judge::new(Scale::of(settings.interval, settings.horizon));
        let watch = if settings.pressure {
            Watch::new(limits::group().as_deref())
        } else {
            Watch::default()
        };
        let private = look::Private::new(settings.interval);
        let mut guard = Guard {
            settings,
            ceiling: None,
            left: u64::MAX,
            soft: None,
            hard: None,
            watch,
            since: Instant::now(),
            judge,
            looks: 0,
            rss,
            private,
            pressed: false,
            heap: None,
            over_soft: 0,
            over_hard: 0,
            has_fitted: false,
            relieved: None,
            pause: Duration::ZERO,
            last_relief: None,
            verdicts: Vec::new(),
            told: Vec::new(),
            reported: Vec::new(),
            doubt: None,
            told_hard: false,
            told_running: None,
            folder,
            inquiry,
        };
        guard.set_limits();
        guard
    }

    /// The limits in bytes, of what this process can have now.
    fn set_limits(&mut self) {
        let used = self.used();
        let left = |ceiling: &Ceiling| ceiling.left_beside_others(used);
        self.ceiling = limits::ceilings().into_iter().min_by_key(left).or(self.ceiling);
        self.left = self.ceiling.as_ref().map_or(self.left, left);
        self.soft = self.settings.soft.map(|amount| amount.of(self.left));
        self.hard = self.settings.hard.map(|amount| amount.of(self.left));
        for (place, limit) in LIMITS.iter().zip([self.soft, self.hard]) {
            place.store(limit.unwrap_or(0), Ordering::Relaxed);
        }
    }

    /// Where something else is taken for what there is not.
    fn tell_what_is_missing(&self) {
        let limits = [self.settings.soft, self.settings.hard];
        let in_parts = limits.iter().any(|limit| matches!(limit, Some(Amount::Percent(_))));
        let machine = self.ceiling.filter(|ceiling| ceiling.source == Source::Machine);
        if let Some(machine) = machine.filter(|_| in_parts) {
            let machine = mib(machine.bytes as i64);
            let text = format!(
                "memory: no control group has less: parts are of what is left of the machine's {machine}"
            );
            log::line(Priority::Notice, &text);
        }
        if self.settings.pressure && !self.watch.is_there() {
            let text = "memory: this kernel tells of no pressure (PSI): looks alone find it";
            log::line(Priority::Notice, text);
        }
    }

    fn look(&mut self) {
        let Some(rss) = look::rss() else { return };
        let lowest = [self.soft, self.hard].into_iter().flatten().min().unwrap_or(u64::MAX);
        let near = rss >= lowest / NEAR.1 * NEAR.0;
        let at = self.since.elapsed();
        let seldom = self.judge.is_due(at);
        self.looks += 1;
        // What was found by reckoning is not enough to end an application.
        let ends = self.over_hard + 1 >= LOOKS && !self.told_hard;
        let private = (near || seldom).then(|| self.private.look(rss, ends)).flatten();
        (self.rss, self.pressed) = (rss, self.watch.pressed());
        if seldom {
            self.set_limits();
        }
        self.watch_relief();
        let (fds, threads) = if seldom { (look::fds(), look::threads()) } else { (None, None) };
        let tasks = if seldom { tasks::count() } else { None };
        if let Some(relief) = relief::done() {
            self.after_relief(relief);
        }
        let used = self.used();
        let over = |limit: Option<u64>| limit.is_some_and(|limit| used >= limit);
        self.over_soft = if over(self.soft) { self.over_soft + 1 } else { 0 };
        self.over_hard = if over(self.hard) { self.over_hard + 1 } else { 0 };
        pulse::set_over_hard(self.over_hard > 0);
        if !over(self.hard) {
            self.has_fitted |= self.looks > FIRST;
            self.told_hard = false;
        }
        if self.over_hard >= LOOKS {
            self.at_hard();
        } else if self.over_hard > 0 {
            relief::request(HARD, None);
        } else if (self.over_soft >= LOOKS || self.pressed) && self.may_relieve(used) {
            self.relieved = Some((Instant::now(), used));
            relief::request(SOFT, if self.pressed { None } else { self.soft });
        }
        if seldom {
            heap::count();
        }
        let heap = heap::counted();
        if let Some(heap) = heap.filter(|heap| heap.garbage.is_some()) {
            self.heap = Some(heap);
            self.after_collection(heap.garbage.unwrap_or(0));
        }
        let sample = Sample { at, rss, uss: private, heap, fds, tasks, threads };
        if self.judge.add(&sample) {
            self.tell_verdicts();
        }
    }

    /// What other processes share would not come back.
    fn used(&self) -> u64 {
        self.private.reckon(self.rss)
    }

    /// A hook that never returns cannot be ended, but it can be named; the hard limit holds meanwhile.
    fn watch_relief(&mut self) {
        let stuck = relief::running().filter(|(_, since)| *since >= self.settings.grace);
        let stuck = stuck.map(|(name, _)| name);
        if let Some(name) = stuck.as_ref().filter(|name| self.told_running.as_ref() != Some(name)) {
            let grace = self.settings.grace.as_secs_f64();
            let text = format!(
                "memory: {name} was to give memory back and has not returned within {grace} s; \
                 the application stands still until it does"
            );
            log::line(Priority::Warning, &text);
        }
        self.told_running = stuck;
    }

    fn may_relieve(&self, used: u64) -> bool {
        let part = self.soft.or(self.hard).unwrap_or(u64::MAX) / GROWN;
        self.relieved.is_none_or(|(last, then)| last.elapsed() >= self.pause || used >= then + part)
    }

    fn after_relief(&mut self, relief: Relief) {
        let limit = self.soft.or(self.hard).unwrap_or(0);
        let helped = relief.total().max(relief.freed) >= (limit / WORTH) as i64;
        self.pause = if helped || relief.waiting > 0 {
            (relief.cost * SHARE).min(LONGEST)
        } else {
            (self.pause * 2).clamp(PAUSE, LONGEST)
        };
        // What was freed is used again before memory grows: when it does, as much can be freed once more. Counted
        // from before, each relief would come a part of the limit later than the last.
        if relief.freed >= (limit / GROWN) as i64
            && let Some((_, used)) = &mut self.relieved
        {
            *used = used.saturating_add_signed(-relief.total().max(0));
        }
        let why = match relief.level {
            HARD.. => "hard limit",
            _ if relief.pressed => "pressure",
            _ => "soft limit",
        };
        let text = format!("memory: {why}: {}", relief.text());
        log::line(Priority::Notice, &text);
        self.last_relief = Some(relief);
        if helped {
            self.report("soft", &text, None);
        } else {
            self.inquiry.ask("soft", text);
        }
    }

    fn at_hard(&mut self) {
        if self.told_hard {
            return;
        }
        self.told_hard = true;
        let hard = mib(self.hard.unwrap_or(0) as i64);
        let what = match (self.settings.on_hard, self.has_fitted) {
            (OnHard::Report, _) => "goes on, as configured",
            (_, false) => {
                "it has been above it since the start, so that starting again cannot help: goes on"
            }
            (OnHard::Exec | OnHard::Zygote, true) => "starts again",
            (OnHard::Exit, true) => "ends",
        };
        let used = mib(self.used() as i64);
        let text = format!("memory: {used} is over the hard limit of {hard}: {what}");
        log::line(Priority::Error, &text);
        self.inquiry.ask("hard", text);
        if self.settings.on_hard != OnHard::Report && self.has_fitted {
            // Who grows on meanwhile would be ended by the kernel, and nobody would know why.
            let (rss, part) = (self.rss, self.hard.unwrap_or(0) / GROWN);
            let fits = move |parts: u64| look::rss().is_none_or(|now| now <= rss + parts * part);
            let answer = self.inquiry.now(LAST_LOOK, || fits(1));
            self.take_in(answer);
            relief::withdraw();
            restart::ask();
            let asked = Instant::now();
            while asked.elapsed() < self.settings.grace && fits(2) {
                std::thread::sleep(STEP.min(self.settings.grace));
            }
            restart::insist();
        }
    }

    fn tell_verdicts(&mut self) {
        let limit = self.hard.or(self.soft).unwrap_or(u64::MAX);
        let headroom = Headroom {
            memory: limit.min(self.left).saturating_sub(self.used()),
            fds: fd_limit().map(|most| most.saturating_sub(look::fds().unwrap_or(0).into())),
            threads: None,
        };
        self.verdicts = self.judge.verdicts(&headroom).collect();
        let (verdicts, now) = (self.verdicts.clone(), self.looks);
        self.told.retain_mut(|(kind, last)| {
            if verdicts.iter().any(|verdict| verdict.kind == *kind) {
                *last = now;
            }
            now - *last < FORGOTTEN
        });
        for verdict in verdicts {
            // An answer that has not come until the next block does not come: the main thread is busy.
            if verdict.unsure && self.doubt.take().is_none() && !self.is_told(verdict.kind) {
                self.doubt = Some(verdict);
                heap::collect();
                continue;
            }
            self.tell(&verdict);
        }
    }

    /// What may have been garbage is told by now.
    fn after_collection(&mut self, garbage: u64) {
        let Some(doubt) = self.doubt.take() else { return };
        let sure = doubt.collected(garbage);
        for verdict in self.verdicts.iter_mut().filter(|verdict| **verdict == doubt) {
            *verdict = sure;
        }
        self.tell(&sure);
    }

    fn is_told(&self, kind: Kind) -> bool {
        self.told.iter().any(|(told, _)| *told == kind)
    }

    /// What is said again every two minutes is not read.
    fn tell(&mut self, verdict: &Verdict) {
        if self.is_told(verdict.kind) {
            return;
        }
        self.told.push((verdict.kind, self.looks));
        let alarm = verdict.kind.is_alarm();
        let text = format!("memory: {verdict}");
        log::line(if alarm { Priority::Warning } else { Priority::Notice }, &text);
        if alarm {
            self.reported.push(*verdict);
            self.inquiry.ask("verdict", text);
        }
    }

    /// Between two looks: whoever asks for a report, and snapshots that have come.
    fn attend(&mut self) {
        if signal::asked() {
            self.inquiry.ask("signal", String::new());
        }
        while let Some(answer) = self.inquiry.step(self.looks) {
            self.take_in(answer);
        }
    }

    fn take_in(&mut self, answer: Answer) {
        let Answer { open, snapshot, news } = answer;
        for (reason, line) in &news {
            let grown = reason.is_empty();
            log::line(if grown { Priority::Notice } else { Priority::Warning }, line);
        }
        let snapshot = snapshot.as_ref().map_err(|why| why.as_str());
        for open in open {
            let text = if open.text.is_empty() { self.summary(snapshot) } else { open.text };
            self.report(open.reason, &text, Some(snapshot));
        }
        for reason in ["dead", "track"] {
            let lines: Vec<&str> =
                news.iter().filter(|(of, _)| *of == reason).map(|(_, line)| &**line).collect();
            if !lines.is_empty() {
                self.report(reason, &lines.join("\n"), Some(snapshot));
            }
        }
    }

    /// What is told to whoever sends a signal.
    fn summary(&self, snapshot: Result<&Snapshot, &str>) -> String {
        let used = mib(self.used() as i64);
        let text = match snapshot {
            Ok(snapshot) => {
                let largest = snapshot.census.largest().into_iter().take(TOLD);
                let types: Vec<String> = largest
                    .map(|(kind, count)| {
                        format!("{} {kind} with {}", count.count, mib(count.bytes as i64))
                    })
                    .collect();
                let all: u64 = snapshot.census.types.values().map(|count| count.count).sum();
                format!("memory: {used}, {all} objects: {}", types.join(", "))
            }
            Err(why) => format!("memory: {used}; {why}"),
        };
        log::line(Priority::Notice, &text);
        text
    }

    fn report(&mut self, reason: &str, text: &str, snapshot: Option<Result<&Snapshot, &str>>) {
        let mut verdicts = self.verdicts.clone();
        if reason == "verdict" {
            let gone = |told: &Verdict| verdicts.iter().all(|now| now.kind != told.kind);
            let gone: Vec<Verdict> = self.reported.drain(..).filter(gone).collect();
            verdicts.extend(gone);
        }
        let Some(mut folder) = self.folder.take() else { return };
        let facts = Facts {
            settings: &self.settings,
            seconds: self.since.elapsed().as_secs(),
            rss: self.rss,
            private: self.private.known(self.rss),
            ceiling: self.ceiling,
            pressure: self.watch.now(),
            limits: (self.soft, self.hard),
            counts: (look::fds(), look::threads(), tasks::count()),
            heap: self.heap,
            timeline: self.judge.timeline(),
            verdicts: &verdicts,
            relief: self.last_relief.as_ref(),
            tracked: &self.inquiry.tracked,
            before: self.inquiry.before.as_deref(),
        };
        match folder.write(reason, &facts.report(reason, text, snapshot)) {
            Ok(Outcome::Enough) if reason == "signal" => {
                let text = "memory: no report is written: there were enough in the last hour";
                log::line(Priority::Notice, text);
            }
            Ok(_) => {}
            Err(text) => log::line(Priority::Warning, &text),
        }
        self.folder = Some(folder);
    }
}

#[allow(clippy::useless_conversion, reason = "machines of 32 bits have narrower limits")]
fn fd_limit() -> Option<u64> {
    // SAFETY: fills a structure of numbers.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        (libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0).then_some(limit.rlim_cur.into())
    }
}
