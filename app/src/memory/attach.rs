//! Holding the interpreter's lock in a thread of the launcher's own, for as long as there is an interpreter.
//!
//! A thread that asks for the lock when Python is ending never gets it, and might be torn out of the middle
//! of whatever it does. So whoever asks holds [`GATE`] until it has given the lock back, and the end of
//! Python, which begins with the functions of `atexit`, waits for that and closes the gate.

use std::sync::{Mutex, PoisonError, TryLockError};

use pyo3_ffi as ffi;

use super::guard;
use crate::object::{Obj, Py, function, import, released};

/// Whether Python is ending.
static GATE: Mutex<bool> = Mutex::new(false);

/// Has the end of Python close the gate. Functions of `atexit` are called last in, first out: this one,
/// which is there before the application, comes after all of its own.
///
/// # Errors
/// An exception is set.
pub fn install(native: &Obj) -> Py<()> {
    let close = function!("close_gate", close, native)?;
    import("atexit")?.attr("register")?.call(&[&close]).map(drop)
}

fn close(_: &[Obj]) -> Py {
    // In a forked child no thread of the launcher is left, and one may have held the gate.
    if guard::is_here() {
        released(|| *GATE.lock().unwrap_or_else(PoisonError::into_inner) = true);
    }
    Ok(Obj::none())
}

/// Does something with the lock; waits for whoever has it. None: Python is ending.
pub fn attached<T>(work: impl FnOnce() -> T) -> Option<T> {
    let gate = GATE.lock().unwrap_or_else(PoisonError::into_inner);
    if *gate {
        return None;
    }
    // SAFETY: the interpreter is there and stays until the gate is given back. This thread has no state of
    // the interpreter before and none after; what `work` leaves no reference to is gone by then.
    unsafe {
        let state = ffi::PyGILState_Ensure();
        let result = work();
        ffi::PyGILState_Release(state);
        Some(result)
    }
}

/// Does something that needs the interpreter and not its lock. None: Python is ending, or another thread is
/// just asking; nobody waits.
pub fn while_open<T>(work: impl FnOnce() -> T) -> Option<T> {
    let gate = match GATE.try_lock() {
        Ok(gate) => gate,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return None,
    };
    (!*gate).then(work)
}
