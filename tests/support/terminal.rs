//! A program on a terminal of its own.

use std::fs::File;
use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use super::task::LIMIT;

/// Runs a program whose standard streams are a terminal; gives its exit code and what was on the screen.
pub fn run(program: &Path, args: &[&str]) -> (i32, String) {
    let (screen, terminal) = open();
    let stream = || Stdio::from(terminal.try_clone().expect("a descriptor"));
    let mut command = Command::new(program);
    command.args(args).env_clear().stdin(stream()).stdout(stream()).stderr(stream());
    let mut child = command.spawn().expect("it starts");
    // Else the screen would not end with the program.
    drop((command, terminal));
    let (told, tell) = channel();
    let reader = thread::spawn(move || {
        let (mut screen, mut seen, mut chunk) = (File::from(screen), Vec::new(), [0; 4096]);
        // The last close of the terminal is an error here, and the end.
        while let Ok(length @ 1..) = screen.read(&mut chunk) {
            seen.extend(&chunk[..length]);
        }
        let _ = told.send(());
        seen
    });
    if tell.recv_timeout(LIMIT).is_err() {
        child.kill().expect("it can be killed");
        panic!("{} did not end", program.display());
    }
    let status = child.wait().expect("it ends");
    let seen = reader.join().expect("the reader ends");
    (status.code().unwrap_or(-1), String::from_utf8_lossy(&seen).into_owned())
}

/// Both sides of a new terminal.
fn open() -> (OwnedFd, OwnedFd) {
    let (mut screen, mut terminal) = (-1, -1);
    // SAFETY: writes two descriptors, which are nobody else's.
    unsafe {
        let null = std::ptr::null_mut();
        let done = libc::openpty(&mut screen, &mut terminal, null, null.cast(), null.cast());
        assert_eq!(done, 0, "a terminal can be opened: {}", std::io::Error::last_os_error());
        for fd in [screen, terminal] {
            // Not for other tests' children, which would keep it open.
            libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
        }
        (OwnedFd::from_raw_fd(screen), OwnedFd::from_raw_fd(terminal))
    }
}
