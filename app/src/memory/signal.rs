//! SIGUSR1 asks for a report. An application that handles it itself takes the launcher's place, as it would
//! take that of the default, which ends the process.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;

use super::guard;

static ASKED: AtomicBool = AtomicBool::new(false);
static GUARD: OnceLock<Thread> = OnceLock::new();

/// Listens from now on, and wakes this thread.
pub fn listen(guard: Thread) {
    // Set once: there is one guard.
    let _ = GUARD.set(guard);
    // SAFETY: the handler does what one may. Where the signal is ignored, whoever started this wants it so.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGUSR1, std::ptr::null(), &mut action);
        if action.sa_sigaction == libc::SIG_DFL {
            action.sa_sigaction = on_signal as extern "C" fn(i32) as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut());
        }
    }
}

/// Whether it came, once.
pub fn asked() -> bool {
    ASKED.swap(false, Ordering::AcqRel)
}

extern "C" fn on_signal(signal: i32) {
    if !guard::is_here() {
        // A forked child has no guard: it is ended, as it would be without one.
        // SAFETY: system calls that a handler may make; the signal comes when this returns.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
        return;
    }
    ASKED.store(true, Ordering::Release);
    if let Some(guard) = GUARD.get() {
        // SAFETY: the thread's own `errno`. To unpark is to exchange an atomic value and to wake a futex.
        unsafe {
            let errno = *libc::__errno_location();
            guard.unpark();
            *libc::__errno_location() = errno;
        }
    }
}
