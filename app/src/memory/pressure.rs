//! What the kernel says of tasks that wait for memory (PSI), and waiting for it to say so.
//!
//! Where it lets us, a thread waits for it and wakes the one that looks; else the averages are read at each
//! look. A kernel before 4.20, or one that was built without, says nothing.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::Write;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;

use super::limits;

/// Of every two seconds, so many microseconds in which at least one task waits for memory, is pressure.
/// Windows of a multiple of two seconds may be asked for without privileges. The kernel overwrites the
/// last byte.
const TRIGGER: &[u8] = b"some 200000 2000000\0";
/// Where that cannot be asked for: the same share of the last ten seconds, in percent.
const SHARE: f64 = 10.0;
/// The whole machine's.
const MACHINE: &str = "/proc/pressure/memory";

/// The thread that waits does nothing else.
const STACK: usize = 64 << 10;

/// Shares of the last ten seconds in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pressure {
    /// At least one task waited for memory.
    pub some: f64,
    /// All tasks did.
    pub full: f64,
}

/// What a process before this one has opened for it.
static SHARED: Mutex<Option<Trigger>> = Mutex::new(None);

/// Opens for the processes that are forked from this one what they are told by: whoever closes it last waits
/// for some 10 ms in the kernel, and that would be each of them at its end.
pub fn share() {
    let trigger = Watch::new(limits::group().as_deref()).path;
    let trigger = trigger.and_then(|path| Trigger::open(&path).ok());
    *SHARED.lock().unwrap_or_else(PoisonError::into_inner) = trigger;
}

/// Where pressure is told; by default, nowhere.
#[derive(Default)]
pub struct Watch {
    path: Option<PathBuf>,
    told: Arc<Told>,
}

/// What the thread that waits has to say.
#[derive(Default)]
struct Told {
    /// It waits; else the averages are looked at.
    waits: AtomicBool,
    /// There was pressure since that was asked for.
    pressure: AtomicBool,
}

/// A file that becomes ready under pressure.
struct Trigger {
    file: File,
    /// Which file it is: an application may close all files that it does not know, and open others.
    identity: (u64, u64),
}

impl Watch {
    /// Watches the control group in this folder, where there is one and it tells, else the machine.
    pub fn new(group: Option<&Path>) -> Watch {
        let own = group.map(|folder| folder.join("memory.pressure"));
        let candidates = own.into_iter().chain([PathBuf::from(MACHINE)]);
        let path = candidates.into_iter().find(|path| read(path).is_some());
        Watch { path, told: Arc::default() }
    }

    /// Whether pressure is told at all.
    pub fn is_there(&self) -> bool {
        self.path.is_some()
    }

    /// Has this thread woken by pressure, if the kernel lets us.
    pub fn listen(&self, wake: Thread) {
        let Some(path) = self.path.as_deref() else { return };
        let shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(trigger) = shared.or_else(|| Trigger::open(path).ok()) {
            self.wait_for(trigger, wake);
        }
    }

    /// The thread waits for nothing else, and ends when the file is of no use any more.
    fn wait_for(&self, trigger: Trigger, wake: Thread) {
        let told = Arc::clone(&self.told);
        // Without it, the averages are looked at.
        let _ = crate::thread::spawn("pressure", STACK, move || {
            told.waits.store(true, Ordering::Release);
            while trigger.is_pressed() {
                told.pressure.store(true, Ordering::Release);
                wake.unpark();
            }
            told.waits.store(false, Ordering::Release);
            // It is closed, or is somebody else's now.
            let _ = trigger.file.into_raw_fd();
        });
    }

    /// Whether there was pressure of which nobody knows yet.
    pub fn is_told(&self) -> bool {
        self.told.pressure.load(Ordering::Acquire)
    }

    /// Whether there is pressure, or was since the last look. Costs microseconds.
    pub fn pressed(&self) -> bool {
        if self.told.waits.load(Ordering::Acquire) {
            return self.told.pressure.swap(false, Ordering::AcqRel);
        }
        self.path.as_deref().and_then(read).is_some_and(|pressure| pressure.some >= SHARE)
    }

    /// The shares of the last ten seconds.
    pub fn now(&self) -> Option<Pressure> {
        read(self.path.as_deref()?)
    }
}

impl Trigger {
    fn open(path: &Path) -> std::io::Result<Trigger> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        file.write_all(TRIGGER)?;
        let identity = file.metadata()?;
        Ok(Trigger { file, identity: (identity.dev(), identity.ino()) })
    }

    /// Waits for pressure; false: the file is of no use any more.
    fn is_pressed(&self) -> bool {
        let mut poll =
            libc::pollfd { fd: self.file.as_raw_fd(), events: libc::POLLPRI, revents: 0 };
        // SAFETY: one structure, which lives during the call. All signals are blocked in this thread.
        let ready = unsafe { libc::poll(&mut poll, 1, -1) };
        let is_ours = |file: Metadata| (file.dev(), file.ino()) == self.identity;
        ready == 1 && poll.revents == libc::POLLPRI && self.file.metadata().is_ok_and(is_ours)
    }
}

fn read(path: &Path) -> Option<Pressure> {
    parse(&fs::read_to_string(path).ok()?)
}

fn parse(text: &str) -> Option<Pressure> {
    let share = |kind: &str| -> Option<f64> {
        let line = text.lines().find(|line| line.split(' ').next() == Some(kind))?;
        line.split(' ').find_map(|word| word.strip_prefix("avg10="))?.parse().ok()
    };
    Some(Pressure { some: share("some")?, full: share("full")? })
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::fd::FromRawFd;

    use super::*;

    #[test]
    fn shares_are_those_of_ten_seconds() {
        let text = "some avg10=12.50 avg60=1.00 avg300=0.10 total=99\n\
                    full avg10=3.25 avg60=0.50 avg300=0.00 total=9\n";
        assert_eq!(parse(text), Some(Pressure { some: 12.5, full: 3.25 }));
        assert_eq!(parse(""), None);
        assert_eq!(parse("some avg10=x"), None);
    }

    #[test]
    fn whoever_waits_is_woken_by_pressure_until_the_file_is_of_no_use() {
        // What is urgent on a connection is told as pressure is.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let far =
            TcpStream::connect(listener.local_addr().expect("it has one")).expect("it listens");
        let (near, _) = listener.accept().expect("it has connected");
        let same = near.try_clone().expect("it is open");
        // SAFETY: the file takes the number over.
        let file = unsafe { File::from_raw_fd(near.into_raw_fd()) };
        let metadata = file.metadata().expect("it is open");
        let number = file.as_raw_fd();
        let trigger = Trigger { file, identity: (metadata.dev(), metadata.ino()) };
        let watch = Watch::default();
        watch.wait_for(trigger, std::thread::current());
        // SAFETY: one byte.
        let urgent =
            || unsafe { libc::send(far.as_raw_fd(), [1u8].as_ptr().cast(), 1, libc::MSG_OOB) };
        assert_eq!(urgent(), 1);
        while !watch.is_told() {
            std::thread::park();
        }
        assert!(watch.pressed());
        // It is at its end: nobody tells any more, and the number is left to whoever has it.
        same.shutdown(Shutdown::Both).expect("it is connected");
        while watch.told.waits.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        watch.told.pressure.store(false, Ordering::Release);
        assert!(!watch.pressed());
        // SAFETY: asks for the flags of a number; then closes what nobody else closes.
        unsafe {
            assert!(libc::fcntl(number, libc::F_GETFD) >= 0);
            libc::close(number);
        }
    }

    #[test]
    fn a_kernel_that_tells_is_asked_and_one_that_does_not_is_no_error() {
        let watch = Watch::new(Some(Path::new("/nonexistent")));
        assert_eq!(watch.is_there(), Path::new(MACHINE).exists() && watch.now().is_some());
        let nowhere = Watch::default();
        nowhere.listen(std::thread::current());
        assert!(!nowhere.is_there() && !nowhere.pressed() && nowhere.now().is_none());
    }
}
