//! How the runs before ended: how long to wait before the next one, and when to give up.
//!
//! What must outlive this process is in a small file of the report folder. Clocks of devices begin anew and
//! jump: times are those since the machine has started, and count within that start only.

use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::settings::Settings;
use crate::disk;
use crate::log::{self, Priority};

/// A run this long is followed by a restart at once.
pub const LONG: Duration = Duration::from_secs(600);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(300);
/// Flash wears out: not written more often, save at the end.
const BETWEEN_WRITES: Duration = Duration::from_secs(1);
const NAME: &str = "restarts";

/// What is to be done after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next run, after this time.
    After(Duration),
    /// Nothing: there were too many short ones.
    GiveUp,
}

/// How the runs before ended.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Short runs in a row.
    pub short_runs: u32,
    /// Why the last one ended; none: by itself, or there was none.
    pub last_exit: Option<String>,
    most: Option<u32>,
    first_wait: Duration,
    folder: Option<PathBuf>,
    written: Option<Instant>,
}

impl History {
    /// What a process before this one has left: `carried` by its environment, else in the report folder.
    pub fn load(settings: &Settings, carried: Option<&str>) -> History {
        let mut history = History {
            most: settings.restarts,
            first_wait: settings.back_off,
            folder: settings.report_dir.clone(),
            ..History::default()
        };
        if let Some(carried) = carried {
            history.take(carried);
        } else if let Some(text) = history.file().and_then(|file| fs::read_to_string(file).ok()) {
            history.read(&text, &Clock::now());
        }
        history
    }

    /// Of a process that leaves what comes next to its parent.
    pub fn told(last_exit: Option<&str>) -> History {
        History { last_exit: last_exit.map(str::to_owned), ..History::default() }
    }

    /// For the environment of the next process.
    pub fn carried(&self) -> String {
        format!("{} {}", self.short_runs, self.last_exit.as_deref().unwrap_or_default())
    }

    fn take(&mut self, carried: &str) {
        let (short_runs, reason) = carried.split_once(' ').unwrap_or((carried, ""));
        self.short_runs = short_runs.parse().unwrap_or(0);
        self.last_exit = (!reason.is_empty()).then(|| reason.to_owned());
    }

    /// A file that cannot be understood says nothing.
    fn read(&mut self, text: &str, now: &Clock) {
        let value =
            |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        let Some(last) = value("last") else { return };
        self.take(last);
        let ended =
            value("ended").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        let long_ago = ended.is_none_or(|ended| now.up.saturating_sub(ended) >= LONG);
        // Of another start of the machine it is not known how long ago it was.
        if value("boot") == Some(now.boot.as_str()) && long_ago {
            self.short_runs = 0;
        }
    }

    /// A run that was not to end has ended.
    pub fn ended(&mut self, reason: &str, ran: Duration) -> Next {
        self.last_exit = Some(reason.to_owned());
        self.short_runs = if ran >= LONG { 0 } else { self.short_runs.saturating_add(1) };
        let gives_up = self.most.is_some_and(|most| self.short_runs > most);
        if gives_up {
            self.write(true);
            return Next::GiveUp;
        }
        if self.written.is_none_or(|last| last.elapsed() >= BETWEEN_WRITES) {
            // Who goes on knows why; whoever comes after a power cut does not.
            self.write(false);
        }
        Next::After(self.wait())
    }

    /// This process ends, and the next one is to know why.
    pub fn leave(&mut self, reason: &str) {
        self.last_exit = Some(reason.to_owned());
        self.short_runs = self.short_runs.saturating_add(1);
        self.write(true);
    }

    /// A run is a long one now.
    pub fn is_long(&mut self) {
        if std::mem::take(&mut self.short_runs) > 0 {
            self.write(false);
        }
    }

    /// The application has ended by itself: the next start is a first one.
    pub fn forget(&mut self) {
        self.short_runs = 0;
        if let Some(file) = self.file() {
            // It is not there where nothing has happened.
            let _ = fs::remove_file(file);
        }
    }

    /// Before the next run.
    pub fn wait(&self) -> Duration {
        self.wait_after(self.short_runs)
    }

    /// Before what has failed so many times in a row is tried again.
    pub fn wait_after(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(2) else { return Duration::ZERO };
        let most = self.most.unwrap_or(u32::MAX).min(30);
        let wait = self.first_wait.saturating_mul(1 << doublings.min(most)).min(LONGEST);
        // Devices that have started together must not come back together.
        wait.mul_f64(0.75 + 0.5 * fraction())
    }

    fn file(&self) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(NAME))
    }

    /// `with_reason`: for the next process to know.
    fn write(&mut self, with_reason: bool) {
        let Some(folder) = &self.folder else { return };
        self.written = Some(Instant::now());
        let Clock { boot, up } = Clock::now();
        let reason = self.last_exit.as_deref().filter(|_| with_reason).unwrap_or_default();
        let last = format!("{} {reason}", self.short_runs);
        let text = format!("last {last}\nboot {boot}\nended {}\n", up.as_secs());
        if let Err(error) = disk::replace(folder, NAME, &text) {
            let text = format!("restarts cannot be counted in {}: {error}", folder.display());
            log::line(Priority::Warning, &text);
        }
    }
}

/// Which start of the machine this is, and how long ago.
struct Clock {
    boot: String,
    up: Duration,
}

impl Clock {
    fn now() -> Clock {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let up = fs::read_to_string("/proc/uptime").unwrap_or_default();
        let up = up.split('.').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
        Clock { boot: boot.trim().to_owned(), up: Duration::from_secs(up) }
    }
}

/// At random from 0 to 1.
fn fraction() -> f64 {
    let random = std::hash::RandomState::new().build_hasher().finish();
    random as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(most: Option<u32>, folder: Option<PathBuf>) -> History {
        let first_wait = Duration::from_secs(1);
        History { most, first_wait, folder, ..History::default() }
    }

    fn within(next: Next, seconds: f64) -> bool {
        let Next::After(wait) = next else { return false };
        let part = wait.as_secs_f64() / seconds;
        (0.75..=1.25).contains(&part)
    }

    #[test]
    fn waits_double_until_it_gives_up() {
        let mut history = history(Some(4), None);
        let short = Duration::from_secs(5);
        assert_eq!(history.ended("memory", short), Next::After(Duration::ZERO));
        assert!(within(history.ended("memory", short), 1.0));
        assert!(within(history.ended("memory", short), 2.0));
        assert!(within(history.ended("memory", short), 4.0));
        assert_eq!(history.ended("memory", short), Next::GiveUp);
        assert_eq!(history.ended("signal 9", LONG), Next::After(Duration::ZERO));
        assert_eq!(history.last_exit.as_deref(), Some("signal 9"));
    }

    #[test]
    fn without_a_limit_the_wait_stays_bounded() {
        let mut history = history(None, None);
        history.short_runs = 1_000_000;
        let Next::After(wait) = history.ended("memory", Duration::ZERO) else { panic!("gave up") };
        assert!(wait <= LONGEST.mul_f64(1.25));
    }

    #[test]
    fn the_count_survives_this_process_and_a_clock_that_jumps() {
        let folder = std::env::temp_dir().join(format!("pyrmware-history-{}", std::process::id()));
        let mut first = history(Some(1), Some(folder.clone()));
        first.ended("memory", Duration::ZERO);
        assert_eq!(first.ended("memory", Duration::ZERO), Next::GiveUp);
        let text = fs::read_to_string(folder.join(NAME)).unwrap();
        let read = |text: &str, now: &Clock| {
            let mut next = history(Some(1), None);
            next.read(text, now);
            next
        };
        let now = Clock::now();
        assert_eq!(read(&text, &now).short_runs, 2);
        assert_eq!(read(&text, &now).last_exit.as_deref(), Some("memory"));
        // Within one start of the machine time is known, and a clock that seems to run backwards says nothing.
        let later = Clock { boot: now.boot.clone(), up: now.up + LONG };
        assert_eq!(read(&text, &later).short_runs, 0);
        let earlier = Clock { boot: now.boot.clone(), up: Duration::ZERO };
        assert_eq!(read(&text, &earlier).short_runs, 2);
        let other = Clock { boot: "other".into(), up: now.up + LONG };
        assert_eq!(read(&text, &other).short_runs, 2);
        for damaged in ["", "last", "last x y\nended -1", "\u{0}\u{1}", "last 99999999999999999 z"]
        {
            assert_eq!(read(damaged, &now).short_runs, 0, "{damaged:?}");
        }
        first.forget();
        assert!(!folder.join(NAME).exists());
        fs::remove_dir_all(folder).unwrap();
    }
}
