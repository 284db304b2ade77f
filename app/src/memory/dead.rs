//! Objects that the application says should be dead, and what holds those that live.
//!
//! `expect_dead` keeps a weak reference. When the grace is over and the object lives, a full collection
//! takes what is garbage; it runs in the main thread, where the application's own finalizers expect to run.
//! A main thread that runs no Python code, as one that waits for clients, does not keep the answer back: the
//! walk knows what is held from what is garbage, and only the latter waits on. What lives then is looked for
//! in a snapshot, and told by who holds it: once, and again whenever it has become twice as many.

mod way;

use std::ffi::{c_int, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3_ffi as ffi;

use super::json::Object;
use super::snapshot::Snapshot;
use super::{attach, guard, heap, walk};
use crate::object::{Obj, Py, without_exception};
use way::{Path, Way};

/// Objects that are followed. More are counted only: this many say what there is to say.
const MOST: usize = 1000;
/// Ways to hold objects that are told apart.
const MOST_WAYS: usize = 50;
/// Characters of a reason that are kept.
const LONGEST_WHY: usize = 200;
/// Collections take this part of the time at most,
const COLLECTIONS: u32 = 100;
/// and snapshots this one.
const SNAPSHOTS: u32 = 200;
/// A snapshot that failed is tried again after this time, and twice as long after each further one.
const AGAIN: Duration = Duration::from_secs(60);

/// An object that should be dead.
struct Expected {
    number: u64,
    reference: Obj,
    /// The address of its type, to tell new ones.
    kind: usize,
    why: String,
    since: Instant,
    /// When it is looked at, and how long after the last time that is.
    due: Instant,
    wait: Duration,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It may be garbage.
    Declared,
    /// It has survived a full collection.
    Survived,
    /// It lives, and no collection could be had.
    Unchecked,
    /// It is held in this way.
    Held(usize),
}

/// An object that a snapshot looks for.
pub struct Sought {
    number: u64,
    kind: String,
    /// Where it is.
    pub address: usize,
}

struct State {
    grace: Duration,
    expected: Vec<Expected>,
    ways: Vec<Way>,
    next: u64,
    /// Types that a snapshot was taken for.
    known: Vec<usize>,
    /// The main thread was asked to collect.
    asked: Option<Instant>,
    may_collect: Instant,
    may_look: Instant,
    failures: u32,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);

/// The state, while supervision runs. Nothing may be done with it that can run the application's code, or
/// wait for the interpreter's lock.
fn state() -> MutexGuard<'static, Option<State>> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Follows what is declared from now on.
pub fn start(grace: Duration) {
    let now = Instant::now();
    *state() = Some(State {
        grace,
        expected: Vec::new(),
        ways: Vec::new(),
        next: 0,
        known: Vec::new(),
        asked: None,
        may_collect: now,
        may_look: now,
        failures: 0,
    });
}

/// `expect_dead(object, why)`, whose arguments the package has checked.
///
/// # Errors
/// An exception is set.
pub fn declare(args: &[Obj]) -> Py {
    let [object, why, ..] = args else { return Ok(Obj::none()) };
    // A forked child has a copy of all, and nobody who looks at it.
    if !guard::is_here() {
        return Ok(Obj::none());
    }
    let why: String = why.to_str()?.chars().take(LONGEST_WHY).collect();
    // SAFETY: a new reference. It may collect garbage, and so run code of the application: before the lock.
    let reference =
        unsafe { Obj::owned(ffi::PyWeakref_NewRef(object.as_ptr(), std::ptr::null_mut()))? };
    // SAFETY: the object is live.
    let kind = unsafe { ffi::Py_TYPE(object.as_ptr()) } as usize;
    let mut gone = Vec::new();
    if let Some(state) = &mut *state() {
        state.add(reference, kind, why, &mut gone);
    }
    drop(gone);
    Ok(Obj::none())
}

/// What the guard asks at every look: whether a snapshot is wanted. Asks the main thread for a collection.
pub fn is_wanted(now: Instant) -> bool {
    let mut state = state();
    let Some(state) = &mut *state else { return false };
    let waiting = state.expected.iter().any(|expected| expected.waits(now));
    if waiting && now >= state.may_collect {
        match state.asked {
            None => {
                // SAFETY: may be called from any thread, as long as there is an interpreter. What is refused,
                // because the queue is full, is asked again at the next look.
                let add = || unsafe { ffi::Py_AddPendingCall(Some(check), std::ptr::null_mut()) };
                if attach::while_open(add) == Some(0) {
                    state.asked = Some(now);
                }
            }
            Some(asked) if now.duration_since(asked) >= state.grace => {
                for expected in state.expected.iter_mut().filter(|expected| expected.waits(now)) {
                    expected.stage = Stage::Unchecked;
                }
            }
            Some(_) => {}
        }
    }
    now >= state.may_look && state.wants_a_look()
}

/// In the main thread, when it next runs Python code.
extern "C" fn check(_: *mut c_void) -> c_int {
    let began = Instant::now();
    let waits = {
        let mut gone = Vec::new();
        let mut state = state();
        let waits = state.as_mut().is_some_and(|state| {
            state.sweep(&mut gone);
            state.asked = None;
            state.expected.iter().any(|expected| expected.waits(began))
        });
        drop(state);
        drop(gone);
        waits
    };
    if waits {
        without_exception(heap::collect_here);
        collected();
        if let Some(state) = &mut *state() {
            let now = Instant::now();
            state.may_collect = now + (now - began) * COLLECTIONS;
        }
    }
    0
}

/// After a full collection, whoever wanted it. Called with the GIL held.
pub fn collected() {
    let mut gone = Vec::new();
    let now = Instant::now();
    if let Some(state) = &mut *state() {
        state.sweep(&mut gone);
        for expected in &mut state.expected {
            if expected.waits(now) || expected.stage == Stage::Unchecked {
                expected.stage = Stage::Survived;
            }
        }
    }
    drop(gone);
}

/// The objects that a snapshot is to look for. Called with the GIL held, which is kept until the fork: until
/// then they stay where they are.
pub fn sought() -> Vec<Sought> {
    let (mut gone, mut sought) = (Vec::new(), Vec::new());
    if let Some(state) = &mut *state() {
        state.sweep(&mut gone);
        for expected in state.expected.iter().filter(|expected| expected.is_looked_for()) {
            let (number, reference) = (expected.number, &expected.reference);
            if let (Some(address), Some(kind)) =
                (walk::referent(reference), walk::kind_of_referent(reference))
            {
                sought.push(Sought { number, kind, address });
            }
        }
    }
    drop(gone);
    sought
}

/// Takes in what a snapshot has found; gives the lines that are news.
pub fn found(snapshot: &Snapshot, sought: &[Sought]) -> Vec<String> {
    let mut state = state();
    let Some(state) = &mut *state else { return Vec::new() };
    if sought.is_empty() {
        return Vec::new();
    }
    state.failures = 0;
    state.may_look = Instant::now() + snapshot.took * SNAPSHOTS;
    let unreached = if snapshot.complete && snapshot.paths { Path::Unseen } else { Path::Unknown };
    for sought in sought {
        let mut groups = snapshot.holders.groups();
        let path = match groups.find(|group| group.objects.contains(&sought.address)) {
            Some(group) => Path::of(group),
            None => unreached.clone(),
        };
        state.place(sought, path);
    }
    state.news()
}

/// A snapshot could not be taken.
pub fn failed() {
    if let Some(state) = &mut *state() {
        state.may_look = Instant::now() + AGAIN * 2u32.pow(state.failures.min(6));
        state.failures += 1;
    }
}

/// What is held now, for reports: at most so many ways, those of the most objects first.
pub fn json(most: usize) -> Vec<Object> {
    let state = state();
    let Some(state) = &*state else { return Vec::new() };
    let mut ways: Vec<&Way> = state.ways.iter().filter(|way| way.count > 0).collect();
    ways.sort_by_key(|way| std::cmp::Reverse(way.count));
    ways.into_iter().take(most).map(Way::json).collect()
}

impl Expected {
    /// Whether its grace is over and nothing is known yet.
    fn waits(&self, now: Instant) -> bool {
        self.stage == Stage::Declared && self.due <= now
    }

    fn is_looked_for(&self) -> bool {
        matches!(self.stage, Stage::Survived | Stage::Unchecked)
    }
}

impl State {
    fn add(&mut self, reference: Obj, kind: usize, why: String, gone: &mut Vec<Obj>) {
        // One object has one such reference, for as long as it lives.
        if self.expected.iter().any(|known| known.reference.is(&reference)) {
            gone.push(reference);
            return;
        }
        if self.expected.len() >= MOST {
            self.sweep(gone);
        }
        if self.expected.len() >= MOST {
            // One that is told of is followed no longer, but counted.
            let told = |known: &Expected| matches!(known.stage, Stage::Held(_));
            match self.expected.iter().position(told) {
                Some(at) => gone.push(self.expected.remove(at).reference),
                None => {
                    gone.push(reference);
                    return;
                }
            }
        }
        let (number, since) = (self.next, Instant::now());
        self.next += 1;
        let (due, wait, stage) = (since + self.grace, self.grace, Stage::Declared);
        self.expected.push(Expected { number, reference, kind, why, since, due, wait, stage });
    }

    /// Lets go of what is dead; its references go into `gone`, to be dropped without the lock.
    fn sweep(&mut self, gone: &mut Vec<Obj>) {
        let mut at = 0;
        while at < self.expected.len() {
            if walk::referent(&self.expected[at].reference).is_some() {
                at += 1;
                continue;
            }
            let dead = self.expected.swap_remove(at);
            if let Stage::Held(way) = dead.stage {
                self.ways[way].count = self.ways[way].count.saturating_sub(1);
            }
            gone.push(dead.reference);
        }
    }

    /// For types that nobody has looked for at once, else when there may be twice as many.
    fn wants_a_look(&self) -> bool {
        let mut live = self.expected.iter().filter(|expected| expected.is_looked_for());
        let count = live.clone().count() as u64;
        let held: u64 = self.ways.iter().map(|way| way.count).sum();
        count > 0 && (count >= held || live.any(|live| !self.known.contains(&live.kind)))
    }

    fn place(&mut self, sought: &Sought, path: Path) {
        let numbered = |expected: &&mut Expected| expected.number == sought.number;
        let Some(expected) = self.expected.iter_mut().find(numbered) else { return };
        if expected.stage == Stage::Unchecked && path == Path::Unseen {
            // Garbage that nobody collects, perhaps: it is looked at again, and ever more seldom.
            expected.wait *= 2;
            expected.due = Instant::now() + expected.wait;
            expected.stage = Stage::Declared;
            return;
        }
        if !self.known.contains(&expected.kind) && self.known.len() < MOST {
            self.known.push(expected.kind);
        }
        let same = |way: &Way| way.kind == sought.kind && way.path.is_like(&path);
        let way = match self.ways.iter().position(same) {
            Some(way) => way,
            None if self.ways.len() < MOST_WAYS => {
                let (kind, why, since) =
                    (sought.kind.clone(), expected.why.clone(), expected.since);
                self.ways.push(Way { kind, why, path: path.clone(), count: 0, told: 0, since });
                self.ways.len() - 1
            }
            // Held in so many ways that one more says nothing.
            None => MOST_WAYS - 1,
        };
        expected.stage = Stage::Held(way);
        self.ways[way].count += 1;
        self.ways[way].path.merge(path);
    }

    fn news(&mut self) -> Vec<String> {
        self.ways.iter_mut().filter(|way| way.is_news()).map(Way::tell).collect()
    }
}
