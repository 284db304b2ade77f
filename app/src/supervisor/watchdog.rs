//! The watchdogs: the service manager's and the machine's, which are fed while the application is well.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::notify;
use super::pulse::Watch;
use crate::log::{self, Priority};
use crate::thread;

/// `WDIOC_SETTIMEOUT`: the same number on all architectures.
const SET_TIMEOUT: u32 = 0xc004_5706;

/// A device that resets the machine unless it is written to.
struct Device(File);

impl Device {
    /// Opens it, from which moment on it counts.
    fn open(path: &Path, timeout: u32) -> Option<Device> {
        let file = match OpenOptions::new().write(true).open(path) {
            Ok(file) => file,
            Err(error) => {
                let text = format!("the watchdog {} cannot be opened: {error}", path.display());
                log::line(Priority::Error, &text);
                return None;
            }
        };
        let mut seconds: libc::c_int = timeout.try_into().unwrap_or(libc::c_int::MAX);
        // SAFETY: reads and writes one number.
        if unsafe { libc::ioctl(file.as_raw_fd(), SET_TIMEOUT as _, &raw mut seconds) } != 0 {
            let error = std::io::Error::last_os_error();
            let text = format!("the watchdog {} keeps its own timeout: {error}", path.display());
            log::line(Priority::Warning, &text);
        }
        Some(Device(file))
    }
}

/// Feeds both, when it is time.
pub struct Feeder {
    device: Option<Device>,
    /// The service manager wants to hear that all is well.
    manager: bool,
    every: Option<Duration>,
    next: Instant,
}

/// Fed so many times within a watchdog's time: one that is late is none that is missed.
const TIMES: u32 = 3;

impl Feeder {
    /// `device`: its path, and its time in seconds; `manager`: the service manager's time.
    pub fn new(device: Option<&(PathBuf, u32)>, manager: Option<Duration>) -> Feeder {
        let opened = device.and_then(|(path, timeout)| Device::open(path, *timeout));
        let of_device = device.filter(|_| opened.is_some());
        let of_device = of_device.map(|(_, timeout)| Duration::from_secs((*timeout).into()));
        let every = [of_device, manager].into_iter().flatten().min().map(|time| time / TIMES);
        Feeder { device: opened, manager: manager.is_some(), every, next: Instant::now() }
    }

    /// When it is time again; none: there is nothing to feed.
    pub fn next(&self) -> Option<Instant> {
        self.every.map(|_| self.next)
    }

    /// Feeds if it is time and all is well. `tell`: tells the service manager.
    pub fn feed(&mut self, is_well: impl FnOnce() -> bool, tell: impl FnOnce(&str)) {
        let Some(every) = self.every.filter(|_| Instant::now() >= self.next) else { return };
        self.next = Instant::now() + every;
        if !is_well() {
            return;
        }
        if let Some(Device(file)) = &mut self.device {
            // A device that is gone resets nothing.
            let _ = file.write_all(b"\0");
        }
        if self.manager {
            tell("WATCHDOG=1");
        }
    }

    /// The application has ended as it should: the device counts no longer.
    pub fn stop(&mut self) {
        if let Some(Device(mut file)) = self.device.take() {
            // As above.
            let _ = file.write_all(b"V");
        }
    }
}

/// The feeder of a process without a parent.
static OWN: Mutex<Option<Feeder>> = Mutex::new(None);
/// The thread reads numbers and writes some bytes.
const STACK: usize = 64 << 10;

/// Feeds from a thread of this process, where there is anything to feed.
pub fn start(mut feeder: Feeder, mut watch: Watch) {
    if feeder.next().is_none() {
        return;
    }
    feeder.feed(|| watch.is_well(), notify::tell);
    *own() = Some(feeder);
    let started = thread::spawn("watchdog", STACK, move || {
        loop {
            let next = own().as_ref().and_then(Feeder::next);
            // The application has ended.
            let Some(next) = next else { return };
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            if let Some(feeder) = own().as_mut() {
                feeder.feed(|| watch.is_well(), notify::tell);
            }
        }
    });
    if let Err(error) = started {
        log::line(
            Priority::Error,
            &format!("no watchdog is fed: no thread can be started: {error}"),
        );
    }
}

/// The application ends as it should, in a process without a parent.
pub fn stop() {
    if let Some(mut feeder) = own().take() {
        feeder.stop();
    }
}

fn own() -> std::sync::MutexGuard<'static, Option<Feeder>> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}
