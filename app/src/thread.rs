//! Threads of the launcher's own.

use std::io;
use std::thread::{Builder, Thread};

use crate::supervisor::sys;

/// Starts one with this name and size of stack. Signals are for Python's threads: it gets none.
///
/// # Errors
/// There cannot be any more.
pub fn spawn(name: &str, stack: usize, work: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    // The new thread begins with what is blocked in this one.
    let before = sys::block_all();
    let thread = Builder::new().name(name.to_owned()).stack_size(stack);
    let spawned = thread.spawn(work);
    sys::set_mask(&before);
    spawned.map(|handle| handle.thread().clone())
}
