//! What a launcher that is locked down, or has encrypted modules, does to its own process: other processes of the same user can neither
//! look into it nor steer it, and its memory is never written to a file. Root still can.

use std::io;
use std::path::Path;

use crate::supervisor::sys;

/// Closes this process; begin as early as possible, for what was attached before stays attached. Children that
/// are forked are closed, too; a program that replaces this process is not, and a launcher closes itself again.
///
/// # Errors
/// The kernel refuses.
pub fn close(executable: &str) -> io::Result<()> {
    undumpable()?;
    // A kernel that hands dumps to a program looks at the limit only where it is 1: the flag above is what
    // counts. The limit is for whatever programs this process starts.
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: reads a structure of numbers.
    if unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // Helpers of multiprocessing, started by the file's path, can see no more than the name of a parent that
    // is closed: it must be the file's even where a link to it was called.
    if let Some(name) = Path::new(executable).file_name().and_then(|name| name.to_str()) {
        sys::set_name(name);
    }
    Ok(())
}

/// Takes debuggers, `/proc/PID/mem` and its like, and core dumps off this process, save for root's.
///
/// # Errors
/// The kernel refuses, by a filter of system calls.
pub fn undumpable() -> io::Result<()> {
    // SAFETY: changes a flag of this process.
    match unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
