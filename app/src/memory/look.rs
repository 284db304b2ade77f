//! What the kernel says of this process. What cannot be read is `None`.

use std::fs;
use std::time::{Duration, Instant};

use super::walk::process::is_walked;

/// Resident bytes. Costs about a microsecond.
pub fn rss() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * page_size())
}

/// Looking at private memory, which takes the kernel milliseconds, is worth this part of a processor,
const SHARE: f64 = 0.0006;
/// where looks are so far apart; where they are closer, somebody wants to know more, and it is worth more.
const INTERVAL: Duration = Duration::from_secs(2);

/// Private memory: what was seen, and what it is reckoned to be between two looks.
#[derive(Debug)]
pub struct Private {
    /// The part of a processor that it may take.
    share: f64,
    /// Resident and private bytes at the last look.
    seen: Option<(u64, u64)>,
    /// When that was, and what it cost of the thread's processor time.
    last: Option<(Instant, Duration)>,
    /// What was shared with other processes at the last look without a child that walks.
    shared: u64,
}

impl Private {
    /// Nothing seen yet; looks are so far apart.
    pub fn new(interval: Duration) -> Private {
        let share = SHARE * INTERVAL.div_duration_f64(interval).max(1.0);
        Private { share, seen: None, last: None, shared: 0 }
    }

    /// Looks, if it is time to or there is no way around it.
    pub fn look(&mut self, rss: u64, must: bool) -> Option<u64> {
        let is_time = |(at, cost): (Instant, Duration)| at.elapsed() >= cost.div_f64(self.share);
        if !must && !self.last.is_none_or(is_time) {
            return None;
        }
        let before = processor_time();
        let private = rollup().map(|rollup| self.own(rollup, is_walked()));
        self.last = Some((Instant::now(), processor_time().saturating_sub(before)));
        self.seen = private.map(|private| (rss, private));
        private
    }

    /// What a child shares that walks through it is this process's own.
    fn own(&mut self, Rollup { private, shared }: Rollup, walked: bool) -> u64 {
        if walked {
            return private + shared.saturating_sub(self.shared);
        }
        self.shared = shared;
        private
    }

    /// What it is now, where it was ever seen.
    pub fn known(&self, rss: u64) -> Option<u64> {
        self.seen.map(|_| self.reckon(rss))
    }

    /// What it is now: what is resident more or less than at the last look is private. Without any look, all is.
    pub fn reckon(&self, rss: u64) -> u64 {
        self.seen.map_or(rss, |(then, private)| (private + rss).saturating_sub(then))
    }
}

/// That this thread has had.
pub fn processor_time() -> Duration {
    // SAFETY: fills a structure of numbers.
    unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

/// What the kernel says of all pages together, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Rollup {
    /// What nobody but this process's end would give back: no other process shares it, and it is no page of a
    /// file that the kernel can read again. What is swapped is among it.
    private: u64,
    /// The same of pages that other processes share.
    shared: u64,
}

/// Costs milliseconds.
fn rollup() -> Option<Rollup> {
    parse(&fs::read_to_string("/proc/self/smaps_rollup").ok()?)
}

fn parse(rollup: &str) -> Option<Rollup> {
    let mut found = None;
    for line in rollup.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let rollup: &mut Rollup = match name {
            "Private_Dirty" | "Private_Hugetlb" | "Swap" | "Shared_Dirty" => {
                found.get_or_insert_default()
            }
            _ => continue,
        };
        let place = if name == "Shared_Dirty" { &mut rollup.shared } else { &mut rollup.private };
        *place += bytes(value).unwrap_or(0);
    }
    found
}

/// Of the kernel's "  2048 kB".
pub fn bytes(value: &str) -> Option<u64> {
    Some(value.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Open files.
pub fn fds() -> Option<u32> {
    // One is the folder itself.
    Some((fs::read_dir("/proc/self/fd").ok()?.count() as u32).saturating_sub(1))
}

/// Threads.
pub fn threads() -> Option<u32> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may hold anything: state is the first, the count the eighteenth.
    stat.rsplit_once(") ")?.1.split(' ').nth(17)?.parse().ok()
}

fn page_size() -> u64 {
    // SAFETY: asks for a number.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as u64 }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn this_process_can_be_looked_at() {
        assert!(rss().unwrap() > 100 << 10);
        assert!(fds().unwrap() >= 3 && threads().unwrap() >= 1);
        assert!(rollup().is_none_or(|it| it.private > 0 && it.private <= 1 << 40));
    }

    #[test]
    fn private_memory_is_looked_at_seldom_and_reckoned_meanwhile() {
        let mut private = Private::new(INTERVAL);
        assert_eq!(private.reckon(500), 500);
        private.seen = Some((500, 300));
        assert_eq!((private.reckon(600), private.reckon(450), private.reckon(0)), (400, 250, 0));
        // A look of a second is paid for by half an hour.
        private.last = Some((Instant::now(), Duration::from_secs(1)));
        assert_eq!(private.look(500, false), None);
        assert_eq!(Private::new(INTERVAL / 200).share, 200.0 * SHARE);
        assert_eq!(
            private.look(500, true).is_some(),
            Path::new("/proc/self/smaps_rollup").exists()
        );
        assert!(private.last.is_some_and(|(_, cost)| cost < Duration::from_secs(1)));
    }

    #[test]
    fn private_memory_is_what_would_come_back() {
        let rollup = "55d0-7ffd ---p 00000000 00:00 0 [rollup]\nRss:  900 kB\nShared_Clean: 4 kB\n\
            Shared_Dirty: 64 kB\nPrivate_Clean:  8 kB\nPrivate_Dirty:  16 kB\nSwap:   32 kB\n\
            SwapPss: 30 kB\n";
        let found = Rollup { private: 48 << 10, shared: 64 << 10 };
        assert_eq!(parse(rollup), Some(found));
        assert_eq!(parse("nothing"), None);
    }

    #[test]
    fn what_a_walking_child_shares_is_private() {
        let mut private = Private::new(INTERVAL);
        // Of a zygote's it has 30 for ever.
        assert_eq!(private.own(Rollup { private: 100, shared: 30 }, false), 100);
        assert_eq!(private.own(Rollup { private: 5, shared: 130 }, true), 105);
        assert_eq!(private.own(Rollup { private: 110, shared: 30 }, false), 110);
    }
}
