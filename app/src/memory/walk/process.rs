//! The child that walks: forked with the GIL held, so that the heap is whole, and hidden from the
//! application, which is stopped for the fork alone.

use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Task;
use super::send::Sender;
use crate::supervisor::sys;

/// A child that walks.
pub struct Child {
    process: Process,
    /// What it says.
    pub output: File,
}

/// A child's number; 0: it has been waited for, and the number may be another's by now.
#[derive(Clone)]
pub struct Handle(Arc<Mutex<libc::pid_t>>);

impl Handle {
    /// Ends it, from any thread.
    pub fn kill(&self) {
        let process = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *process != 0 {
            // SAFETY: a system call; as long as the lock is held, the number is the child's.
            unsafe { libc::kill(*process, libc::SIGKILL) };
        }
    }

    fn take(&self) -> libc::pid_t {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Child {
    /// Forks. Called with the GIL held.
    pub fn start(task: &Task<'_>, seconds: u32, nice: i32) -> io::Result<Child> {
        let (output, input) = pipe()?;
        let mask = sys::block_all();
        // SAFETY: the child's only thread is this one; it runs `act` and ends.
        let process = unsafe { fork() };
        if process == 0 {
            act(task, input.as_raw_fd(), seconds, nice);
        }
        let failed = io::Error::last_os_error();
        sys::set_mask(&mask);
        match process {
            -1 => Err(failed),
            process => {
                let process = Process::new(process);
                Ok(Child { process, output: File::from(output) })
            }
        }
    }

    /// For ending it from another thread.
    pub fn handle(&self) -> Handle {
        self.process.0.clone()
    }

    /// Waits for the child's end, and says what went wrong if anything did.
    pub fn reap(self) -> Result<(), String> {
        drop(self.output);
        let status = wait(self.process.0.take())
            .map_err(|error| format!("the process that looked through memory is lost: {error}"))?;
        if libc::WIFSIGNALED(status) {
            let why = match libc::WTERMSIG(status) {
                libc::SIGALRM => "took too long".to_owned(),
                libc::SIGKILL => "was killed; is memory short?".to_owned(),
                signal => format!("ended by signal {signal}"),
            };
            return Err(format!("the process that looked through memory {why}"));
        }
        match libc::WEXITSTATUS(status) {
            0 => Ok(()),
            _ => Err("the process that looked through memory got none for itself".to_owned()),
        }
    }
}

/// Children that walk now.
static WALKING: AtomicUsize = AtomicUsize::new(0);

/// Whether one walks: then this process shares with it what is its own otherwise.
pub fn is_walked() -> bool {
    WALKING.load(Ordering::Acquire) > 0
}

/// Dropped without having been waited for, it is ended: none may stay behind as a zombie.
struct Process(Handle);

impl Process {
    fn new(process: libc::pid_t) -> Process {
        WALKING.fetch_add(1, Ordering::AcqRel);
        Process(Handle(Arc::new(Mutex::new(process))))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill();
        let process = self.0.take();
        if process != 0 {
            // It has ended, or is about to; nobody is interested in how.
            let _ = wait(process);
        }
        WALKING.fetch_sub(1, Ordering::AcqRel);
    }
}

fn wait(process: libc::pid_t) -> io::Result<c_int> {
    let mut status = 0;
    loop {
        // SAFETY: a system call. `__WALL`: the child sends no signal at its end.
        if unsafe { libc::waitpid(process, &mut status, libc::__WALL) } == process {
            return Ok(status);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINTR) {
            return Err(error);
        }
    }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: a system call; the descriptors are ours.
    unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

/// A fork without what `fork` does besides: handlers that libraries have registered would stop their
/// threads for it. Without a signal at its end the application's `wait` does not see the child.
///
/// # Safety
/// The child uses nothing that another thread may have been changing.
unsafe fn fork() -> libc::pid_t {
    // SAFETY: no flags and no stack: a copy of this process.
    let process = unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) };
    if process == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL) {
        // qemu-user knows no children without a signal.
        // SAFETY: as the caller says.
        return unsafe { libc::fork() };
    }
    process as libc::pid_t
}

/// Ends the process, whatever happens: a panic must not unwind into the application's code.
struct End(i32);

impl Drop for End {
    fn drop(&mut self) {
        // SAFETY: ends the process.
        unsafe { libc::_exit(self.0) }
    }
}

/// The child's life.
fn act(task: &Task<'_>, pipe: i32, seconds: u32, nice: i32) -> ! {
    let mut end = End(1);
    // SAFETY: system calls only; the descriptors and the signal handling are the child's own copies.
    unsafe {
        for signal in 1..32 {
            libc::signal(signal, libc::SIG_DFL);
        }
        // A connection that the application closes must not stay open because of the child.
        libc::dup2(pipe, 0);
        close_from(1);
        let score =
            libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if score >= 0 {
            libc::write(score, c"1000".as_ptr().cast(), 4);
            libc::close(score);
        }
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::setrlimit(libc::RLIMIT_CORE, &none);
        libc::setpriority(libc::PRIO_PROCESS, 0, nice);
        libc::alarm(seconds);
        // Nobody would hear it any more.
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        let mut empty = MaybeUninit::uninit();
        libc::sigemptyset(empty.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, empty.as_ptr(), ptr::null_mut());
    }
    let mut sender = Sender::new(0);
    if super::walk(task, &mut sender).is_some() {
        end.0 = 0;
    }
    sender.flush();
    drop(end);
    unreachable!("the process has ended")
}

/// Closes all descriptors from this one on.
///
/// # Safety
/// Nothing uses them.
unsafe fn close_from(first: u32) {
    // SAFETY: system calls; kernels before 5.9 know no ranges.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) != 0 {
            let most = libc::sysconf(libc::_SC_OPEN_MAX).clamp(256, 1 << 16);
            for descriptor in first as i32..most as i32 {
                libc::close(descriptor);
            }
        }
    }
}
