//! Ending the application and starting it anew.
//!
//! Where there is a parent it makes the next process. Else the new launcher is this process after `exec`:
//! same number, parent, environment and folder. What it must know of the run before is in its environment,
//! where the application does not see it. Runs that end soon are followed by longer and longer waits, and
//! after too many of them this process gives up: then whoever has started it decides.

use std::ffi::{CString, OsString, c_char};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use pyo3_ffi as ffi;

use super::history::{History, Next};
use super::listen::Sockets;
use super::{notify, sys};
use crate::log::{self, EXIT_RESTART, Priority};
use crate::memory::OnHard;

/// Count of short runs, a space, why the last one ended.
pub const VARIABLE: &str = "PYRMWARE_RESTARTED";
/// Why a process ends that is over its hard limit.
pub const MEMORY: &str = "memory";

/// How this process was started.
pub struct Launch {
    executable: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    folder: Option<CString>,
    mask: libc::sigset_t,
    sockets: Sockets,
}

/// The same, and how it is to end.
struct Start {
    launch: Launch,
    process: u32,
    at: Instant,
    history: Mutex<History>,
    last_exit: Option<String>,
    on_hard: OnHard,
    grace: Duration,
}

static START: OnceLock<Start> = OnceLock::new();
/// The application is to end, or has ended, because of its memory.
static ENDING: AtomicBool = AtomicBool::new(false);
/// Python has ended, or is not waited for any longer.
static ENDED: AtomicBool = AtomicBool::new(false);

/// What this process is to know of itself and of those before it.
pub struct Run<'a> {
    /// The launcher's path.
    pub executable: &'a str,
    /// `sys.argv`.
    pub arguments: &'a [OsString],
    /// How the runs before ended.
    pub history: History,
    /// What is listened on.
    pub sockets: Sockets,
    /// What is done at the hard limit.
    pub on_hard: OnHard,
    /// What the application has to end.
    pub grace: Duration,
}

impl Launch {
    /// What this process has been started with, before anything changes it.
    pub fn of(executable: &str, arguments: &[OsString], sockets: Sockets) -> Launch {
        let c_string = |bytes: Vec<u8>| CString::new(bytes).ok();
        let replaced = sockets.environment(sys::own_pid());
        let is_replaced = |name: &OsString| replaced.iter().any(|(replaced, _)| name == replaced);
        let environment = std::env::vars_os()
            .filter(|(name, _)| name != VARIABLE && !is_replaced(name))
            .chain(replaced.iter().map(|(name, value)| (name.into(), value.into())));
        let environment = environment.filter_map(|(name, value)| {
            c_string([name.as_bytes(), b"=", value.as_bytes()].concat())
        });
        let folder = std::env::current_dir().ok().map(|folder| folder.into_os_string().into_vec());
        let arguments = arguments.iter().filter_map(|word| c_string(word.as_bytes().into()));
        Launch {
            executable: c_string(executable.into()).unwrap_or_default(),
            arguments: arguments.collect(),
            environment: environment.collect(),
            folder: folder.and_then(c_string),
            mask: sys::mask(),
            sockets,
        }
    }

    /// Becomes a new launcher; returns where that cannot be done.
    pub fn again(&self, history: &History) -> std::io::Error {
        let variable = format!("{VARIABLE}={}", history.carried());
        let variable = CString::new(variable).unwrap_or_default();
        let pointers = |strings: &[CString]| -> Vec<*const c_char> {
            strings.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
        };
        let environment: Vec<CString> =
            self.environment.iter().cloned().chain([variable]).collect();
        let (arguments, environment) = (pointers(&self.arguments), pointers(&environment));
        self.sockets.keep_over_exec();
        sys::set_mask(&self.mask);
        // SAFETY: all are C strings that live on; lists end with null. `execve` ends all other threads.
        unsafe {
            if let Some(folder) = &self.folder {
                libc::chdir(folder.as_ptr());
            }
            libc::execve(self.executable.as_ptr(), arguments.as_ptr(), environment.as_ptr());
        }
        std::io::Error::last_os_error()
    }
}

/// Remembers how this process was started, before Python changes any of it.
pub fn remember(run: Run<'_>) {
    let start = Start {
        launch: Launch::of(run.executable, run.arguments, run.sockets),
        process: std::process::id(),
        at: Instant::now(),
        last_exit: run.history.last_exit.clone(),
        history: Mutex::new(run.history),
        on_hard: run.on_hard,
        grace: run.grace,
    };
    // Set once: there is one start.
    let _ = START.set(start);
    // SAFETY: the handler takes nothing.
    unsafe { libc::atexit(at_exit) };
}

/// Why the run before ended; none: this is the first one.
pub fn last_exit() -> Option<&'static str> {
    START.get()?.last_exit.as_deref()
}

/// Whether this process is asked to end and a zygote has the next one ready.
pub fn is_followed() -> bool {
    let is_own = |start: &&Start| start.process == std::process::id();
    let start = START.get().filter(is_own);
    ENDING.load(Ordering::Acquire) && start.is_some_and(|start| start.on_hard == OnHard::Zygote)
}

/// What the application has to end.
pub fn grace() -> Duration {
    START.get().map(|start| start.grace).unwrap_or_default()
}

/// Asks the application to end, as a service manager would: by SIGTERM where it handles that, else by
/// `SystemExit` in the main thread.
pub fn ask() {
    ENDING.store(true, Ordering::Release);
    if let Some(start) = START.get() {
        if start.on_hard == OnHard::Zygote {
            notify::tell_parent(&format!("restart {MEMORY}"));
        }
        let grace = start.grace.as_micros();
        notify::tell(&format!("STATUS=ends because of its memory\nEXTEND_TIMEOUT_USEC={grace}"));
    }
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
    let Some(start) = START.get().filter(|start| start.process == std::process::id()) else {
        return;
    };
    if !ENDING.load(Ordering::Acquire) {
        history(start).forget();
    } else if !ENDED.swap(true, Ordering::AcqRel) {
        if start.on_hard == OnHard::Zygote {
            // All is done. The kernel takes milliseconds to take the memory back, in which the next one begins:
            // what this one has locked or listens to is free before.
            notify::tell_last(&format!("ended {EXIT_RESTART}"));
        }
        end(start, MEMORY);
    }
}

/// Ends the process if the application, which was asked to, has not done so itself.
pub fn insist() {
    if !ENDED.swap(true, Ordering::AcqRel) {
        log::line(Priority::Error, "memory: the application has not ended in time");
        match START.get() {
            Some(start) => end(start, MEMORY),
            None => sys::exit_now(EXIT_RESTART),
        }
    }
}

/// Ends the process at once, for another reason than its memory.
pub fn end_for(reason: &str) {
    if !ENDED.swap(true, Ordering::AcqRel)
        && let Some(start) = START.get()
    {
        end(start, reason);
    }
}

fn history(start: &Start) -> std::sync::MutexGuard<'_, History> {
    start.history.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends this process: it becomes a new launcher, or asks for one.
fn end(start: &Start, reason: &str) -> ! {
    match start.on_hard {
        OnHard::Exec => {}
        // The parent knows.
        OnHard::Zygote => sys::exit_now(EXIT_RESTART),
        OnHard::Exit | OnHard::Report => {
            // One of both keeps it for the next start.
            notify::tell_parent(&format!("leave {reason}"));
            history(start).leave(reason);
            sys::exit_now(EXIT_RESTART)
        }
    }
    let mut history = history(start);
    match history.ended(reason, start.at.elapsed()) {
        Next::After(wait) => std::thread::sleep(wait),
        Next::GiveUp => {
            log::line(Priority::Error, &gives_up(&format!("{reason}: "), history.short_runs));
            sys::exit_now(EXIT_RESTART)
        }
    }
    let error = start.launch.again(&history);
    log::line(Priority::Error, &format!("{reason}: cannot start again: {error}"));
    sys::exit_now(EXIT_RESTART)
}

/// What is told then.
pub fn gives_up(what: &str, short_runs: u32) -> String {
    format!("{what}ended {short_runs} times in a row within minutes; gives up")
}
