//! Signs of life of the application: counted by it, watched by whoever feeds a watchdog, who may be another
//! process.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What the application leaves for its watchers.
struct Pulse {
    beats: AtomicU32,
    /// Its memory is over the hard limit.
    over_hard: AtomicBool,
}

static OWN: Pulse = Pulse { beats: AtomicU32::new(0), over_hard: AtomicBool::new(false) };
/// Null: [`OWN`].
static SHARED: AtomicPtr<Pulse> = AtomicPtr::new(std::ptr::null_mut());

fn pulse() -> &'static Pulse {
    // SAFETY: null, or a mapping that lives as long as the process.
    unsafe { SHARED.load(Ordering::Acquire).as_ref() }.unwrap_or(&OWN)
}

/// From here on this process and those that it makes have one pulse.
///
/// # Errors
/// There is no memory.
pub fn share() -> io::Result<()> {
    let (read_write, kind) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, which begins with zeros: a valid pulse.
    unsafe {
        let page = libc::mmap(std::ptr::null_mut(), size_of::<Pulse>(), read_write, kind, -1, 0);
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        SHARED.store(page.cast(), Ordering::Release);
    }
    Ok(())
}

/// This process is another one's child, and no longer the one that is watched.
pub fn detach() {
    SHARED.store(std::ptr::null_mut(), Ordering::Release);
}

/// The application makes progress.
pub fn beat() {
    pulse().beats.fetch_add(1, Ordering::Relaxed);
}

/// Tells whether memory is over the hard limit.
pub fn set_over_hard(over: bool) {
    pulse().over_hard.store(over, Ordering::Relaxed);
}

/// Before its first sign of life the application has so many periods.
const PERIODS_TO_START: u32 = 10;

/// Watches the pulse.
pub struct Watch {
    /// Between two beats at most.
    pub period: Duration,
    beats: u32,
    since: Instant,
    has_begun: bool,
}

impl Watch {
    /// From now on.
    pub fn new(period: Duration) -> Watch {
        Watch {
            period,
            beats: pulse().beats.load(Ordering::Relaxed),
            since: Instant::now(),
            has_begun: false,
        }
    }

    /// The application starts anew.
    pub fn restart(&mut self) {
        set_over_hard(false);
        *self = Watch::new(self.period);
    }

    /// Whether the application has made progress in time.
    pub fn is_alive(&mut self) -> bool {
        let beats = pulse().beats.load(Ordering::Relaxed);
        if beats != self.beats {
            (self.beats, self.since, self.has_begun) = (beats, Instant::now(), true);
        }
        let most = if self.has_begun { self.period } else { self.period * PERIODS_TO_START };
        self.since.elapsed() < most
    }

    /// Whether its memory is below the hard limit, too.
    pub fn is_well(&mut self) -> bool {
        self.is_alive() && !pulse().over_hard.load(Ordering::Relaxed)
    }
}
