//! System calls on processes and signals, each as a safe function.

use std::ffi::CString;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use libc::{c_int, pid_t};

/// What a process does with signals: what is blocked, and what is ignored.
#[derive(Clone)]
pub struct Signals {
    mask: libc::sigset_t,
    ignored: Vec<c_int>,
}

impl Signals {
    /// Blocks all signals, and has none ignored, which would be lost; gives what was before.
    pub fn take_over() -> Signals {
        let mask = block_all();
        let is_ignored = |number: &c_int| disposition(*number) == Some(libc::SIG_IGN);
        let ignored: Vec<c_int> = (1..=libc::SIGRTMAX()).filter(is_ignored).collect();
        for number in &ignored {
            set_disposition(*number, libc::SIG_DFL);
        }
        Signals { mask, ignored }
    }

    /// Whether this one was ignored.
    pub fn ignores(&self, number: c_int) -> bool {
        self.ignored.contains(&number)
    }

    /// Ignores again what was ignored; all stay blocked.
    pub fn ignore(&self) {
        for number in &self.ignored {
            set_disposition(*number, libc::SIG_IGN);
        }
    }

    /// Blocks again what was blocked, and no more.
    pub fn unblock(&self) {
        set_mask(&self.mask);
    }
}

/// Blocks all signals in this thread; gives what was blocked before.
pub fn block_all() -> libc::sigset_t {
    // SAFETY: fills two sets, and reads one that is filled.
    unsafe {
        let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        before
    }
}

/// What is blocked in this thread.
pub fn mask() -> libc::sigset_t {
    // SAFETY: fills a set.
    unsafe {
        let mut mask = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &mut mask);
        mask
    }
}

/// Blocks these signals in this thread, and no others.
pub fn set_mask(mask: &libc::sigset_t) {
    // SAFETY: reads a set that is filled.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, std::ptr::null_mut()) };
}

fn disposition(number: c_int) -> Option<usize> {
    // SAFETY: asks for what is done with a signal, if there is one of the number.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let asked = libc::sigaction(number, std::ptr::null(), &mut action);
        (asked == 0).then_some(action.sa_sigaction)
    }
}

fn set_disposition(number: c_int, handler: usize) {
    // SAFETY: `handler` is one of the two constants, no function.
    unsafe { libc::signal(number, handler) };
}

/// A descriptor that tells of every signal which is blocked.
pub fn signal_descriptor() -> io::Result<OwnedFd> {
    // SAFETY: the set is filled before it is read; a descriptor that is returned is ours.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        owned(libc::signalfd(-1, &all, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))
    }
}

/// A signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Its number.
    pub number: c_int,
    /// A process has sent it to this one, rather than the kernel to a whole group of processes.
    pub sent: bool,
}

/// The next signal that came.
pub fn next_signal(descriptor: &OwnedFd) -> Option<Signal> {
    let mut bytes = [0_u8; size_of::<libc::signalfd_siginfo>()];
    let mut file = std::fs::File::from(descriptor.try_clone().ok()?);
    file.read_exact(&mut bytes).ok()?;
    let number =
        |at: usize| i32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    // signalfd_siginfo begins with the number, an error and the code.
    Some(Signal { number: number(0), sent: number(8) <= 0 })
}

/// Splits this process in two.
///
/// # Errors
/// No further process can be made.
///
/// # Safety
/// No other thread runs: what one of them holds would be held for ever in the new process.
pub unsafe fn fork() -> io::Result<pid_t> {
    // SAFETY: as the caller says.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(pid),
    }
}

/// The clock that nobody sets, as the service manager reads it.
pub fn monotonic() -> Duration {
    // SAFETY: fills a structure of numbers.
    let time = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time);
        time
    };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// This process's number.
pub fn own_pid() -> pid_t {
    std::process::id().cast_signed()
}

/// The number of the process that answers for this one.
pub fn parent_pid() -> pid_t {
    std::os::unix::process::parent_id().cast_signed()
}

/// Lets another process run.
pub fn give_way() {
    std::thread::yield_now();
}

/// Sends a signal; a process that is gone needs none.
pub fn kill(pid: pid_t, number: c_int) {
    // SAFETY: a system call on numbers; `pid` is a child that has not been waited for, or this process.
    unsafe { libc::kill(pid, number) };
}

/// A child that has ended or stopped, and how; none: there is no news.
pub fn next_child() -> Option<(pid_t, ExitStatus)> {
    wait(-1, libc::WNOHANG | libc::WUNTRACED)
}

/// Waits until this child has ended.
pub fn wait_for(pid: pid_t) -> Option<ExitStatus> {
    Some(wait(pid, 0)?.1)
}

/// Whether there are children that run.
pub fn has_children() -> bool {
    let mut status = 0;
    // SAFETY: asks, and takes none.
    unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) == 0 }
}

fn wait(pid: pid_t, flags: c_int) -> Option<(pid_t, ExitStatus)> {
    loop {
        let mut status = 0;
        // SAFETY: writes one number.
        match unsafe { libc::waitpid(pid, &mut status, flags) } {
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            pid @ 1.. => return Some((pid, ExitStatus::from_raw(status))),
            _ => return None,
        }
    }
}

/// Waits until one of the descriptors has something to read or was closed, at most for so long; gives which.
pub fn poll(descriptors: &[Option<BorrowedFd<'_>>], most: Option<Duration>) -> Vec<bool> {
    let poll = |fd: &Option<BorrowedFd<'_>>| libc::pollfd {
        // A negative one is passed over.
        fd: fd.map_or(-1, |fd| fd.as_raw_fd()),
        events: libc::POLLIN,
        revents: 0,
    };
    let mut polled: Vec<libc::pollfd> = descriptors.iter().map(poll).collect();
    // Rounded up: else the last millisecond would be spent in asking.
    let most =
        most.map_or(-1, |most| (most.as_micros().div_ceil(1000)).min(i32::MAX as u128) as c_int);
    // SAFETY: the array has as many entries as said. An error leaves all of them without news.
    unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, most) };
    polled.iter().map(|polled| polled.revents != 0).collect()
}

/// Processes that lose their parent become this one's children.
pub fn adopt_orphans() {
    // SAFETY: sets a flag of this process.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
}

/// This process ends when its parent does. `parent`: who that is; if it has ended meanwhile, so does this one.
pub fn end_with(parent: pid_t) {
    // SAFETY: sets a number of this process.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
    if parent_pid() != parent {
        exit_now(0);
    }
}

/// Names this process for those who look at the machine.
pub fn set_name(name: &str) {
    let name = CString::new(name).unwrap_or_default();
    // SAFETY: reads a C string, of which the kernel takes fifteen bytes.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) };
}

/// Closes all files but this one and the standard streams; false: the kernel cannot (before 5.9). Only for a
/// process that does nothing else any more.
pub fn close_all_but(kept: BorrowedFd<'_>) -> bool {
    let kept = kept.as_raw_fd().cast_unsigned();
    let close = |first: u32, last: u32| {
        // SAFETY: a system call on numbers. Whoever else in this process has a file is about to end with it.
        first > last || unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == 0
    };
    close(3, kept.saturating_sub(1)) && close((kept + 1).max(3), u32::MAX)
}

/// Ends this process at once, without any clean-up.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// Ends this process by a signal, as one of its children was; gives the code for a process that no signal
/// can end, such as the first of a container.
pub fn die_by(number: c_int) -> i32 {
    set_disposition(number, libc::SIG_DFL);
    // SAFETY: changes a flag of this process: one image of what failed is enough, and it is not here. Then
    // lets this signal through.
    unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        let mut one = std::mem::zeroed();
        libc::sigemptyset(&mut one);
        libc::sigaddset(&mut one, number);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &one, std::ptr::null_mut());
    }
    kill(own_pid(), number);
    128 + number
}

/// A pair of sockets that keep messages apart and tell of the other one's end.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut both = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: writes two descriptors, which are ours.
    unsafe {
        if libc::socketpair(libc::AF_UNIX, kind, 0, both.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((OwnedFd::from_raw_fd(both[0]), OwnedFd::from_raw_fd(both[1])))
    }
}

/// Puts a copy of a descriptor at this number; none where that is taken.
pub fn copy_to(descriptor: &OwnedFd, number: RawFd) -> io::Result<Option<OwnedFd>> {
    // SAFETY: the copy is ours.
    let copy =
        unsafe { owned(libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD_CLOEXEC, number)) }?;
    Ok((copy.as_raw_fd() == number).then_some(copy))
}

/// Whether a descriptor is closed when this process becomes another program.
pub fn set_close_on_exec(descriptor: RawFd, close: bool) {
    let flag = if close { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: a system call on numbers.
    unsafe { libc::fcntl(descriptor, libc::F_SETFD, flag) };
}

/// # Safety
/// `fd` is new, or negative for an error.
unsafe fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as the caller says.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
