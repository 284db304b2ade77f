//! How many asyncio tasks there are, read without the interpreter's lock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicIsize, Ordering};

use pyo3_ffi as ffi;

use super::walk::roots;
use crate::object::Obj;

/// The sets of all tasks, kept for ever.
static SETS: OnceLock<Vec<Obj>> = OnceLock::new();

/// Looks for the sets until asyncio has been imported. Called with the GIL held; imports nothing.
pub fn find() {
    if SETS.get().is_none()
        && let Some(sets) = roots::task_sets().filter(|sets| !sets.is_empty())
    {
        // Set once: another thread had the same ones.
        let _ = SETS.set(sets);
    }
}

/// Tasks that there are, done ones too as long as something refers to them. None without asyncio.
pub fn count() -> Option<u32> {
    let sets = SETS.get()?;
    // SAFETY: a set's count is a word in the object itself, which `SETS` keeps; another thread may be
    // changing it, so that it is read as an atomic value.
    let count = |set: &Obj| unsafe {
        let used = &raw mut (*set.as_ptr().cast::<ffi::PySetObject>()).used;
        AtomicIsize::from_ptr(used).load(Ordering::Relaxed)
    };
    Some(sets.iter().map(|set| count(set).max(0) as u32).sum())
}
