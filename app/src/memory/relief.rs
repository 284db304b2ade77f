//! Giving memory back, in the main thread and with the interpreter's lock.

use std::ffi::{c_int, c_void};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use pyo3_ffi as ffi;

use super::{api, heap, look};
use crate::object::{Obj, without_exception};

/// As `pyrmware.SOFT`.
pub const SOFT: i64 = 10;
/// As `pyrmware.HARD`.
pub const HARD: i64 = 20;

/// The level that is asked for; 0: none.
static WANTED: AtomicI64 = AtomicI64::new(0);
static DONE: Mutex<Option<Relief>> = Mutex::new(None);

/// What was done and what it gave.
#[derive(Clone, Debug)]
pub struct Relief {
    /// [`SOFT`] or [`HARD`].
    pub level: i64,
    /// What gave memory back -> bytes; what took some has less than none.
    pub given: Vec<(String, i64)>,
    /// How long the application stood still.
    pub took: Duration,
}

impl Relief {
    /// Bytes in all.
    pub fn total(&self) -> i64 {
        self.given.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// Has the main thread give memory back when it next runs Python code.
pub fn request(level: i64) {
    if WANTED.swap(level, Ordering::AcqRel) == 0 {
        // SAFETY: may be called from any thread, also without the interpreter's lock. A full queue is
        // refused, and asked again at the next look.
        let refused = unsafe { ffi::Py_AddPendingCall(Some(relieve), std::ptr::null_mut()) } < 0;
        if refused {
            WANTED.store(0, Ordering::Release);
        }
    }
}

/// What was done since this was asked for the last time.
pub fn done() -> Option<Relief> {
    DONE.try_lock().ok()?.take()
}

/// Nobody waits: in a process that was forked while the guard had the lock, it would be for ever.
fn put<T>(place: &Mutex<Option<T>>, value: T) {
    if let Ok(mut place) = place.try_lock() {
        *place = Some(value);
    }
}

extern "C" fn relieve(_: *mut c_void) -> c_int {
    let level = WANTED.swap(0, Ordering::AcqRel);
    without_exception(|| {
        give_back(level);
        Ok(())
    });
    0
}

fn give_back(level: i64) {
    let since = Instant::now();
    let mut given = Vec::new();
    let mut before = look::rss().unwrap_or(0) as i64;
    let mut count = |name: String| {
        let now = look::rss().unwrap_or(0) as i64;
        given.push((name, before - now));
        before = now;
    };
    if let Err(raised) = heap::collect_here() {
        raised.forget();
    }
    count("collect".to_owned());
    for hook in api::hooks() {
        let result = Obj::int(level).and_then(|level| hook.call(&[&level]));
        if result.is_err() {
            // SAFETY: an exception is set; it is told and taken away.
            unsafe { ffi::PyErr_WriteUnraisable(hook.as_ptr()) };
        }
        count(name_of(&hook));
    }
    trim();
    count("trim".to_owned());
    let relief = Relief { level, given, took: since.elapsed() };
    put(&DONE, relief);
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
fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: gives free pages back; takes no lock that Python holds.
    unsafe {
        libc::malloc_trim(0);
    }
}
