//! When a snapshot is taken, and for whom: for reports that wait for one, for objects that should be dead,
//! for classes that are counted, and once after the start, to compare the later ones with.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::before::Before;
use super::job::{Job, Taken, Wish};
use super::snapshot::Snapshot;
use super::track::{self, Tracked};
use super::{dead, room};

/// The first one, after so many looks: most applications have what they need by then.
const WARM: u64 = 150;
/// Where classes are counted, one each so many looks.
const SELDOM: u64 = 900;
/// Seconds that a child may take, which stands back behind everything else that runs.
const SECONDS: u32 = 120;
/// A report does not wait longer for one: the application may keep the interpreter's lock.
const PATIENCE: Duration = Duration::from_secs(180);
/// Growing classes that are told.
const TOLD: usize = 3;

/// A report that waits for a snapshot.
pub struct Open {
    /// A word.
    pub reason: &'static str,
    /// What was logged; empty: nothing was so far.
    pub text: String,
    since: Instant,
}

/// What came of a snapshot.
pub struct Answer {
    /// Reports that are to be written with it.
    pub open: Vec<Open>,
    /// It, or why there is none.
    pub snapshot: Result<Snapshot, String>,
    /// What it says that is news: reason and line.
    pub news: Vec<(&'static str, String)>,
}

/// What is asked, and what is known.
pub struct Inquiry {
    /// Classes that are counted.
    pub tracked: Vec<Tracked>,
    /// What later snapshots are compared with.
    pub before: Option<Arc<Before>>,
    open: Vec<Open>,
    job: Option<Job>,
    /// The look at which one is due that nobody asked for.
    next: u64,
}

impl Inquiry {
    /// Counts these classes.
    pub fn new(tracked: &[String]) -> Inquiry {
        let tracked = tracked.iter().map(|kind| Tracked::new(kind)).collect();
        Inquiry { tracked, before: None, open: Vec::new(), job: None, next: WARM }
    }

    /// Has a report wait for the next snapshot.
    pub fn ask(&mut self, reason: &'static str, text: String) {
        self.open.retain(|open| open.reason != reason);
        self.open.push(Open { reason, text, since: Instant::now() });
    }

    /// Begins what is due, and gives what has come.
    pub fn step(&mut self, looks: u64) -> Option<Answer> {
        let now = Instant::now();
        let dead = dead::is_wanted(now);
        if let Some(job) = &self.job {
            if let Some(taken) = job.done() {
                let began = job.began;
                self.job = None;
                return Some(self.answer(taken, began));
            }
            let late = |open: &Open| now.duration_since(open.since) >= PATIENCE;
            return self.open.iter().any(late).then(|| {
                let why = "the application has kept the interpreter's lock".to_owned();
                Answer {
                    open: std::mem::take(&mut self.open),
                    snapshot: Err(why),
                    news: Vec::new(),
                }
            });
        }
        let due = looks >= self.next;
        if !due && !dead && self.open.is_empty() {
            return None;
        }
        if due {
            self.next = if self.tracked.is_empty() { u64::MAX } else { looks + SELDOM };
            if self.before.is_none() {
                // Again, unless this one comes to something.
                self.next = looks + WARM;
            }
        }
        let begun = room::budget().and_then(|budget| self.begin(budget, SECONDS));
        match begun {
            Ok(job) => {
                self.job = Some(job);
                None
            }
            Err(why) => Some(self.answer(Err(why), Instant::now())),
        }
    }

    /// One that must be there within so many seconds and as long as there is time to wait, or is not waited for.
    pub fn now(&mut self, seconds: u32, may_wait: impl Fn() -> bool) -> Answer {
        let job = self
            .job
            .take()
            .map_or_else(|| room::budget().and_then(|budget| self.begin(budget, seconds)), Ok);
        let taken = job.and_then(|job| job.wait(Duration::from_secs(seconds.into()), may_wait));
        self.answer(taken, Instant::now())
    }

    fn begin(&self, budget: usize, seconds: u32) -> Result<Job, String> {
        let wish = Wish {
            before: self.before.clone().filter(|_| !self.open.is_empty()),
            tracked: self.tracked.iter().map(Tracked::wish).collect(),
            budget,
            seconds,
        };
        Job::start(wish, std::thread::current())
            .map_err(|error| format!("no thread to look through memory can be started: {error}"))
    }

    /// What was asked until then is answered; the rest waits for the next one, which sees what there is now.
    fn answer(&mut self, taken: Result<Taken, String>, until: Instant) -> Answer {
        let (open, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.open).into_iter().partition(|open| open.since <= until);
        self.open = later;
        let mut news = Vec::new();
        let snapshot = taken.map(|Taken { snapshot, expected }| {
            let lines = dead::found(&snapshot, &expected).into_iter();
            news.extend(lines.map(|line| ("dead", line)));
            let before = self.before.as_deref();
            let grown = self.tracked.iter_mut().filter_map(|class| class.count(&snapshot, before));
            news.extend(grown.map(|line| ("track", line)));
            if !open.is_empty() {
                let grown = before.map(|before| growth(&snapshot, before)).unwrap_or_default();
                news.extend(grown.into_iter().map(|line| ("", line)));
            }
            snapshot
        });
        match &snapshot {
            Ok(snapshot) if self.before.is_none() => {
                self.before = Some(Arc::new(Before::of(snapshot)));
                self.next = if self.tracked.is_empty() { u64::MAX } else { self.next + SELDOM };
            }
            Ok(_) => {}
            Err(_) => dead::failed(),
        }
        Answer { open, snapshot, news }
    }
}

/// What has grown most, and who holds it.
fn growth(snapshot: &Snapshot, before: &Before) -> Vec<String> {
    let minutes = snapshot.taken.duration_since(before.taken).as_secs() / 60;
    let growth = before.growth(&snapshot.census).into_iter();
    let classes = growth.filter(|growth| growth.kind.contains('.')).take(TOLD);
    let line = |growth: super::census::Growth| {
        let group = snapshot.holders.groups().find(|group| group.kind == growth.kind);
        let held = group.map_or_else(String::new, track::held);
        format!("memory: {:+} {} in {minutes} min{held}", growth.count, growth.kind)
    };
    classes.map(line).collect()
}
