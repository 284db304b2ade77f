//! Giving memory back, in the main thread and with the interpreter's lock.
//!
//! Collecting garbage and trimming come first. If memory is below the soft limit again by that, it is all
//! that is done: what grew were cycles, or free pages that the C library held, and no leak. Else caches are
//! cleared, hooks are called, and what they let go of is collected. Each is timed and scored
//! ([`super::scores`]). When the time is used up, those that are left come first the next time.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use pyo3_ffi as ffi;

use super::scores::{self, Level, NOTHING};
use super::{api, caches, heap, look, mib};
use crate::object::{Exception, Obj, Py, Raised, without_exception};

/// As `pyrmware.SOFT`.
pub const SOFT: i64 = 10;
/// As `pyrmware.HARD`.
pub const HARD: i64 = 20;

/// Below the limit by this part of it, there is no need to go on.
const BELOW: u64 = 16;

/// The level that is asked for; 0: none.
static WANTED: AtomicI64 = AtomicI64::new(0);
/// A relief is asked for, or going on.
static ASKED: AtomicBool = AtomicBool::new(false);
/// Bytes below which collecting alone is enough; 0: it never is.
static TARGET: AtomicU64 = AtomicU64::new(0);
static DONE: Mutex<Option<Relief>> = Mutex::new(None);
/// Which of the caches and hooks comes first the next time.
static NEXT: Mutex<String> = Mutex::new(String::new());
/// Milliseconds from [`EPOCH`] to when what runs now has begun; 0: nothing runs.
static RUNNING: AtomicU64 = AtomicU64::new(0);
static RUNS: Mutex<String> = Mutex::new(String::new());
static EPOCH: OnceLock<Instant> = OnceLock::new();
static PLAN: OnceLock<Plan> = OnceLock::new();

/// How memory is given back.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Nothing more is begun after so long.
    pub time: Duration,
    /// Caches, as the configuration names them.
    pub caches: Vec<String>,
}

/// What was done and what it gave.
#[derive(Clone, Debug)]
pub struct Relief {
    /// [`SOFT`] or [`HARD`].
    pub level: i64,
    /// What gave memory back -> bytes; what took some has less than none.
    pub given: Vec<(String, i64)>,
    /// Bytes in blocks that were freed, in all. Pages that hold other blocks, too, stay resident, and the
    /// application uses them again.
    pub freed: i64,
    /// How long the application stood still.
    pub took: Duration,
    /// How long of that it took a processor.
    pub cost: Duration,
    /// Memory was below the limit again when nothing but garbage was collected: cycles, and no leak.
    pub cycles: bool,
    /// It was asked for because tasks waited for memory, below the limits.
    pub pressed: bool,
    /// Caches and hooks for which there was no time.
    pub waiting: usize,
}

impl Relief {
    /// Bytes in all.
    pub fn total(&self) -> i64 {
        self.given.iter().map(|(_, bytes)| bytes).sum()
    }

    /// As it is logged, without the reason.
    pub fn text(&self) -> String {
        let given = self.given.iter().filter(|(_, bytes)| bytes.abs() >= NOTHING);
        let given: Vec<String> =
            given.map(|(what, bytes)| format!("{what} {}", mib(*bytes))).collect();
        let (total, took) = (mib(self.total()), self.took.as_millis());
        let mut text = format!("{total} given back in {took} ms");
        if !given.is_empty() {
            text += &format!(": {}", given.join(", "));
        }
        if self.freed - self.total() >= NOTHING {
            text += &format!("; {} more can be used again", mib(self.freed - self.total()));
        }
        if self.cycles {
            text += "; collecting alone was enough: cycles, not a leak";
        }
        if self.waiting > 0 {
            text += &format!("; no time was left for {} more", self.waiting);
        }
        text
    }
}

/// Says how memory is given back; once, before it is asked for.
pub fn plan(plan: Plan) {
    let _ = PLAN.set(plan);
    let _ = EPOCH.set(Instant::now());
}

/// Has the main thread give memory back when it next runs Python code: all that the level allows, or, given a
/// limit, until memory is below it.
pub fn request(level: i64, limit: Option<u64>) {
    // What is asked for or done already is not asked for again; more is.
    if ASKED.swap(true, Ordering::AcqRel) && level < HARD {
        return;
    }
    TARGET.store(limit.map_or(0, |limit| limit - limit / BELOW), Ordering::Release);
    if WANTED.swap(level, Ordering::AcqRel) == 0 {
        // SAFETY: may be called from any thread, also without the interpreter's lock. A full queue is
        // refused, and asked again at the next look.
        let refused = unsafe { ffi::Py_AddPendingCall(Some(relieve), std::ptr::null_mut()) } < 0;
        if refused {
            WANTED.store(0, Ordering::Release);
            ASKED.store(false, Ordering::Release);
        }
    }
}

/// What has not begun yet is not done any more: the application is to end, and that gives all back.
pub fn withdraw() {
    WANTED.store(0, Ordering::Release);
}

/// What was done since this was asked for the last time.
pub fn done() -> Option<Relief> {
    DONE.try_lock().ok()?.take()
}

/// What is giving memory back now, and for how long it has been.
pub fn running() -> Option<(String, Duration)> {
    let since = RUNNING.load(Ordering::Acquire);
    let name = RUNS.try_lock().ok()?.clone();
    let now = EPOCH.get()?.elapsed();
    (since > 0).then(|| (name, now.saturating_sub(Duration::from_millis(since))))
}

/// Nobody waits: in a process that was forked while the guard had the lock, it would be for ever.
fn put<T>(place: &Mutex<T>, value: T) {
    if let Ok(mut place) = place.try_lock() {
        *place = value;
    }
}

extern "C" fn relieve(_: *mut c_void) -> c_int {
    let level = WANTED.swap(0, Ordering::AcqRel);
    if level == 0 {
        return 0;
    }
    let mut raised = None;
    without_exception(|| {
        raised = Pass::new(level).run().err().map(|Raised| Exception::take());
        Ok(())
    });
    RUNNING.store(0, Ordering::Release);
    ASKED.store(false, Ordering::Release);
    // `sys.exit()` in a signal handler, or Ctrl-C, while a hook was running.
    raised.map_or(0, |exception| if exception.put_back() { -1 } else { 0 })
}

/// One relief.
struct Pass {
    since: Instant,
    /// The thread's processor time by then.
    spent: Duration,
    before: Level,
    relief: Relief,
}

impl Pass {
    fn new(level: i64) -> Pass {
        let (given, took, cost) = (Vec::new(), Duration::ZERO, Duration::ZERO);
        let pressed = level < HARD && TARGET.load(Ordering::Acquire) == 0;
        let (freed, cycles, waiting) = (0, false, 0);
        let relief = Relief { level, given, freed, took, cost, cycles, pressed, waiting };
        let spent = look::processor_time();
        Pass { since: Instant::now(), spent, before: Level::now(), relief }
    }

    /// The error is an exception that ends the application, or what runs in it.
    fn run(mut self) -> Py<()> {
        let collected = self.step("collect", heap::collect_here)?;
        self.step("trim", trim)?;
        let given = self.relief.total();
        // What is free but stays resident is as good as given back: the application uses it first.
        let in_use = self.before.rss - (self.relief.freed - given).max(0);
        let target = TARGET.swap(0, Ordering::AcqRel) as i64;
        let mut result = Ok(());
        if in_use < target {
            self.relief.cycles = collected.rss.max(collected.used) >= given / 2;
        } else {
            result = self.release();
        }
        self.relief.took = self.since.elapsed();
        self.relief.cost = look::processor_time().saturating_sub(self.spent);
        put(&DONE, Some(self.relief));
        result
    }

    /// Clears caches and calls hooks, while there is time.
    fn release(&mut self) -> Py<()> {
        let plan = PLAN.get();
        let level = self.relief.level;
        let caches = plan.map_or(&[][..], |plan| &plan.caches);
        let caches = caches::catalogue(caches, level).unwrap_or_else(|Raised| {
            told("the catalogue of caches");
            Vec::new()
        });
        let hooks = api::hooks();
        let hooks = hooks.into_iter().map(|hook| (name_of(&hook), hook));
        let argument = Obj::int(level)?;
        let (nothing, level) = (&[][..], &[&argument][..]);
        let mut all: Vec<(String, Obj, &[&Obj])> = Vec::new();
        all.extend(caches.into_iter().map(|(name, clear)| (name, clear, nothing)));
        all.extend(hooks.map(|(name, hook)| (name, hook, level)));
        let next = NEXT.try_lock().map(|mut next| std::mem::take(&mut *next)).unwrap_or_default();
        let first = all.iter().position(|(name, ..)| *name == next).unwrap_or(0);
        all.rotate_left(first);
        let time = plan.map_or(Duration::MAX, |plan| plan.time);
        let mut called: Vec<(String, Level)> = Vec::new();
        for (at, (name, hook, arguments)) in all.iter().enumerate() {
            if at > 0 && self.since.elapsed() >= time {
                self.relief.waiting = all.len() - at;
                put(&NEXT, name.clone());
                break;
            }
            let gave = self.step(name, || hook.call(arguments).map(drop))?;
            called.push((name.clone(), gave));
        }
        if called.is_empty() {
            return Ok(());
        }
        // What was let go of is often in cycles: a session and what belongs to it.
        let again = self.step("collect again", heap::collect_here)?;
        let trimmed = self.step("trim", trim)?;
        for (name, gave) in called {
            let worth = gave.is_worth() || again.is_worth() || trimmed.is_worth();
            scores::judged(&name, worth);
        }
        Ok(())
    }

    /// Does one thing, and counts what it gave. An exception is told, unless it is one that ends programs.
    fn step(&mut self, name: &str, work: impl FnOnce() -> Py<()>) -> Py<Level> {
        let since = Instant::now();
        put(&RUNS, name.to_owned());
        let epoch = EPOCH.get().map_or(Duration::ZERO, Instant::elapsed).as_millis() as u64;
        RUNNING.store(epoch.max(1), Ordering::Release);
        scores::called(name);
        let failed = work().is_err();
        RUNNING.store(0, Ordering::Release);
        let ends = failed && !told(name);
        let exception = ends.then(Exception::take);
        let now = Level::now();
        let gave = now.since(self.before);
        self.before = now;
        scores::returned(name, gave, since.elapsed(), failed);
        self.relief.freed += gave.used;
        match self.relief.given.iter_mut().find(|(known, _)| known == name) {
            Some((_, bytes)) => *bytes += gave.rss,
            None => self.relief.given.push((name.to_owned(), gave.rss)),
        }
        match exception {
            Some(exception) => {
                exception.put_back();
                Err(Raised)
            }
            None => Ok(gave),
        }
    }
}

/// Tells of an exception as of one in `__del__`, unless it is one that ends programs.
fn told(name: &str) -> bool {
    // SAFETY: an exception is set; it is told and taken away. The class is a live static.
    unsafe {
        let is_plain = ffi::PyErr_ExceptionMatches(ffi::PyExc_Exception) != 0;
        if is_plain {
            let exception = Exception::take();
            let name = Obj::str(name).map_err(Raised::forget).ok();
            exception.put_back();
            let object = name.as_ref().map_or(std::ptr::null_mut(), Obj::as_ptr);
            ffi::PyErr_WriteUnraisable(object);
        }
        is_plain
    }
}

fn name_of(hook: &Obj) -> String {
    let part = |name: &str| {
        let text = hook.attr(name).and_then(|text| Ok(text.to_str()?.to_owned()));
        text.map_err(|raised| raised.forget()).ok()
    };
    match (part("__module__"), part("__qualname__")) {
        (Some(module), Some(name)) => format!("{module}.{name}"),
        (None, Some(name)) => name,
        _ => "hook".to_owned(),
    }
}

/// What the C library holds and nobody uses.
fn trim() -> Py<()> {
    #[cfg(target_env = "gnu")]
    // SAFETY: gives free pages back; takes no lock that Python holds.
    unsafe {
        libc::malloc_trim(0);
    }
    Ok(())
}
