//! When Python's collector runs for the first time.
//!
//! Imports make objects that stay: collecting while they run finds nothing. So the first collection comes
//! after [`FIRST`] objects instead of 700, and then all is as ever. Of the sample's instructions that takes 1.2 %
//! to the first line of `main` (66.7 to 66.0 million), and 2.3 % to the end of its self-test (791 to 773).
//!
//! Other tuning was tried and stays out. `gc.freeze` after the imports takes 2.6 ms from a full collection of
//! the sample, and hides what it froze from everybody who looks for leaks. `mallopt`: one arena for all
//! threads instead of some took one program from 18 to 31 MiB, though it is known to save others as much; a
//! lower threshold for `mmap` took one from 42 to 14 and another one from 18 to 24. What such settings give is
//! given back at the soft limit, too.

use std::sync::Mutex;

use crate::object::{Obj, Py, import};

/// Objects before the first collection: more than most applications have when they have started.
const FIRST: i64 = 50_000;

/// The thresholds that are put back at the first collection.
static BEFORE: Mutex<Option<Obj>> = Mutex::new(None);

/// Has the first collection come late.
///
/// # Errors
/// An exception is set.
pub fn delay() -> Py<()> {
    let gc = import("gc")?;
    let before = gc.attr("get_threshold")?.call(&[])?;
    if let [_, rest @ ..] = before.items()?.as_slice() {
        let first = Obj::int(FIRST)?;
        let all: Vec<&Obj> = [&first].into_iter().chain(rest).collect();
        gc.attr("set_threshold")?.call(&all)?;
    }
    *BEFORE.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(before);
    Ok(())
}

/// Every collection begins with this: the first one puts the thresholds back, unless the application has set
/// others meanwhile.
///
/// # Errors
/// An exception is set.
pub fn began() -> Py<()> {
    let before = BEFORE.try_lock().ok().and_then(|mut before| before.take());
    let Some(before) = before else { return Ok(()) };
    let gc = import("gc")?;
    let now = gc.attr("get_threshold")?.call(&[])?.items()?;
    if now.first().map_or(Ok(0), Obj::to_int)? == FIRST {
        gc.attr("set_threshold")?.call(&before.items()?.iter().collect::<Vec<_>>())?;
    }
    Ok(())
}
