//! Ending the application and starting it anew.
//!
//! The new launcher is this process after `exec`: same number, parent, environment and folder. What it must
//! know of the run before is in its environment, where the application does not see it. Runs that end soon
//! are followed by longer and longer waits, and after [`MOST`] of them this process gives up: then whoever
//! has started it decides.

use std::ffi::{CString, OsString, c_char};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pyo3_ffi as ffi;

use super::settings::OnHard;
use crate::log::{self, EXIT_RESTART, Priority};

/// Count of short runs, a space, why the last one ended.
const VARIABLE: &str = "PYRMWARE_RESTARTED";
/// A run this long is followed by a restart at once.
const LONG: Duration = Duration::from_secs(600);
/// So many short runs in a row are no accident.
const MOST: u32 = 8;
/// Before the first restart after a short run; twice as long before each further one.
const WAIT: Duration = Duration::from_secs(1);

/// How this process was started, and how it is to end.
struct Start {
    executable: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    folder: Option<CString>,
    mask: libc::sigset_t,
    process: u32,
    at: Instant,
    short_runs: u32,
    last_exit: Option<String>,
    on_hard: OnHard,
}

static START: OnceLock<Start> = OnceLock::new();
/// The application is to end, or has ended, because of its memory.
static ENDING: AtomicBool = AtomicBool::new(false);
/// Python has ended, or is not waited for any longer.
static ENDED: AtomicBool = AtomicBool::new(false);

/// Remembers how this process was started, before Python changes any of it.
pub fn remember(executable: &str, arguments: &[OsString], on_hard: OnHard) {
    let before = std::env::var(VARIABLE).unwrap_or_default();
    let (short_runs, reason) = before.split_once(' ').unwrap_or(("0", ""));
    let c_string = |bytes: Vec<u8>| CString::new(bytes).ok();
    let environment = std::env::vars_os().filter(|(name, _)| name != VARIABLE);
    let environment = environment
        .filter_map(|(name, value)| c_string([name.as_bytes(), b"=", value.as_bytes()].concat()));
    let folder = std::env::current_dir().ok().map(|folder| folder.into_os_string().into_vec());
    let start = Start {
        executable: c_string(executable.into()).unwrap_or_default(),
        arguments: arguments.iter().filter_map(|word| c_string(word.as_bytes().into())).collect(),
        environment: environment.collect(),
        folder: folder.and_then(c_string),
        mask: signal_mask(),
        process: std::process::id(),
        at: Instant::now(),
        short_runs: short_runs.parse().unwrap_or(0),
        last_exit: (!reason.is_empty()).then(|| reason.to_owned()),
        on_hard,
    };
    // SAFETY: no other thread runs yet; the handler takes nothing.
    unsafe {
        std::env::remove_var(VARIABLE);
        libc::atexit(at_exit);
    }
    // Set once: there is one start.
    let _ = START.set(start);
}

/// Why the run before ended; none: this is the first one.
pub fn last_exit() -> Option<&'static str> {
    START.get()?.last_exit.as_deref()
}

/// Asks the application to end, as a service manager would: by SIGTERM where it handles that, else by
/// `SystemExit` in the main thread.
pub fn ask() {
    ENDING.store(true, Ordering::Release);
    // SAFETY: asks for the handler, which is one of Python's or the default; sends a signal to this process.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGTERM, std::ptr::null(), &mut action);
        match action.sa_sigaction {
            libc::SIG_DFL | libc::SIG_IGN => {
                ffi::Py_AddPendingCall(Some(raise_exit), std::ptr::null_mut());
            }
            _ => {
                libc::kill(libc::getpid(), libc::SIGTERM);
            }
        }
    }
}

extern "C" fn raise_exit(_: *mut std::ffi::c_void) -> std::ffi::c_int {
    // SAFETY: in the main thread, with the interpreter's lock; the exception's type is a live static.
    unsafe {
        ffi::PyErr_SetNone(ffi::PyExc_SystemExit);
    }
    -1
}

extern "C" fn at_exit() {
    // A child that was forked meanwhile has a copy of all this, and ends for reasons of its own.
    let own = START.get().is_some_and(|start| start.process == std::process::id());
    if own && ENDING.load(Ordering::Acquire) && !ENDED.swap(true, Ordering::AcqRel) {
        end();
    }
}

/// Ends the process if the application, which was asked to, has not done so itself.
pub fn insist() {
    if !ENDED.swap(true, Ordering::AcqRel) {
        log::line(Priority::Error, "memory: the application has not ended in time");
        end();
    }
}

/// Ends this process: it becomes a new launcher, or asks for one.
fn end() -> ! {
    let Some(start) = START.get() else { exit() };
    let short_runs =
        if start.at.elapsed() >= LONG { 0 } else { start.short_runs.saturating_add(1) };
    if start.on_hard != OnHard::Exec {
        exit();
    }
    if short_runs > MOST {
        let text = format!("memory: ended {short_runs} times in a row within minutes; gives up");
        log::line(Priority::Error, &text);
        exit();
    }
    if short_runs > 1 {
        std::thread::sleep(WAIT * 2u32.pow(short_runs - 2));
    }
    let variable = CString::new(format!("{VARIABLE}={short_runs} memory")).unwrap_or_default();
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        strings.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let environment: Vec<CString> = start.environment.iter().cloned().chain([variable]).collect();
    let (arguments, environment) = (pointers(&start.arguments), pointers(&environment));
    // SAFETY: all are C strings that live on; lists end with null. `execve` ends all other threads.
    unsafe {
        if let Some(folder) = &start.folder {
            libc::chdir(folder.as_ptr());
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &start.mask, std::ptr::null_mut());
        libc::execve(start.executable.as_ptr(), arguments.as_ptr(), environment.as_ptr());
    }
    let error = std::io::Error::last_os_error();
    log::line(Priority::Error, &format!("memory: cannot start again: {error}"));
    exit()
}

fn exit() -> ! {
    // SAFETY: ends the process at once, from any thread; streams are Python's, which has flushed them or
    // cannot any more.
    unsafe { libc::_exit(EXIT_RESTART) }
}

fn signal_mask() -> libc::sigset_t {
    // SAFETY: fills the set with what is blocked now.
    unsafe {
        let mut mask = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &mut mask);
        mask
    }
}
