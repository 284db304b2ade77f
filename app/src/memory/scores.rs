//! What each way of giving memory back has given so far.

use std::sync::Mutex;
use std::time::Duration;

use super::{heap, look};

/// Less is nothing, on any device.
pub const NOTHING: i64 = 64 << 10;
/// So many calls without anything, and a hook is called useless.
const USELESS: u64 = 3;

/// Of the whole run, in the order of first use.
static SCORES: Mutex<Vec<Score>> = Mutex::new(Vec::new());

/// How much memory there is in use, at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Level {
    /// Resident bytes.
    pub rss: i64,
    /// Bytes in blocks that are in use, of the C library's allocator and of Python's: what freeing them
    /// gives back to the application, though pages that hold other blocks, too, stay resident.
    pub used: i64,
}

impl Level {
    /// Now. Called with the interpreter's lock; costs some ten microseconds, more on a heap with many holes.
    pub fn now() -> Level {
        let used = heap::look().map(|heap| heap.in_use() as i64);
        let used = used.map_err(|raised| raised.forget()).unwrap_or(0);
        Level { rss: look::rss().unwrap_or(0) as i64, used }
    }

    /// What was given back since `before`.
    pub fn since(self, before: Level) -> Level {
        Level { rss: before.rss - self.rss, used: before.used - self.used }
    }

    /// Whether that is anything.
    pub fn is_worth(self) -> bool {
        self.rss.max(self.used) >= NOTHING
    }
}

/// Of one hook, cache, or of `collect`, `collect again` and `trim`.
#[derive(Clone, Debug)]
pub struct Score {
    /// As the log has it.
    pub name: String,
    /// How often it was called, the call that runs now included.
    pub calls: u64,
    /// Resident bytes that it gave back in all; less than none: it took some.
    pub bytes: i64,
    /// Bytes in blocks that it freed, in all.
    pub freed: i64,
    /// How long it took in all.
    pub took: Duration,
    /// How often it raised an exception.
    pub failed: u64,
    /// Calls in a row that gave nothing.
    idle: u64,
    is_release: bool,
}

impl Score {
    /// A hook or cache that has given nothing several times in a row.
    pub fn useless(&self) -> bool {
        self.is_release && self.idle >= USELESS
    }
}

/// All so far; nothing while one is being written down.
pub fn scores() -> Vec<Score> {
    SCORES.try_lock().map(|scores| scores.clone()).unwrap_or_default()
}

/// Nobody waits: in a process that was forked while the guard had the lock, it would be for ever.
fn change(name: &str, work: impl FnOnce(&mut Score)) {
    let Ok(mut scores) = SCORES.try_lock() else { return };
    let at = scores.iter().position(|score| score.name == name).unwrap_or_else(|| {
        scores.push(Score {
            name: name.to_owned(),
            calls: 0,
            bytes: 0,
            freed: 0,
            took: Duration::ZERO,
            failed: 0,
            idle: 0,
            is_release: false,
        });
        scores.len() - 1
    });
    work(&mut scores[at]);
}

/// It is about to be called.
pub fn called(name: &str) {
    change(name, |score| score.calls += 1);
}

/// It has returned, or has raised an exception.
pub fn returned(name: &str, gave: Level, took: Duration, failed: bool) {
    change(name, |score| {
        score.bytes += gave.rss;
        score.freed += gave.used;
        score.took += took;
        score.failed += u64::from(failed);
    });
}

/// What hook or cache `name` let go of was something, or nothing: cycles that it was part of were
/// collected by then.
pub fn judged(name: &str, worth: bool) {
    change(name, |score| {
        score.is_release = true;
        score.idle = if worth { 0 } else { score.idle + 1 };
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gives_nothing_several_times_in_a_row_is_useless() {
        let find = |name| scores().into_iter().find(|score| score.name == name).expect("known");
        let nothing = Level { rss: 4096, used: -100 };
        for (call, worth) in [true, false, false, false].into_iter().enumerate() {
            called("app.hook");
            assert_eq!(find("app.hook").calls, call as u64 + 1);
            returned("app.hook", nothing, Duration::from_millis(2), call == 1);
            judged("app.hook", worth);
            assert_eq!(find("app.hook").useless(), call == 3);
        }
        let score = find("app.hook");
        assert_eq!((score.bytes, score.freed, score.failed), (4 * 4096, -400, 1));
        assert_eq!(score.took, Duration::from_millis(8));
        // Collecting is nobody's fault.
        (0..9).for_each(|_| called("collect"));
        assert!(!find("collect").useless());
        assert!(!nothing.is_worth() && Level { rss: 0, used: NOTHING }.is_worth());
    }
}
