//! What the kernel says of this process. What cannot be read is `None`.

use std::fs;

/// Resident bytes. Costs about a microsecond.
pub fn rss() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * page_size())
}

/// Bytes that nobody but this process's end would give back: no other process shares them, and they are
/// no pages of files that the kernel can read again. Swapped ones are among them. Costs milliseconds.
pub fn private() -> Option<u64> {
    private_of(&fs::read_to_string("/proc/self/smaps_rollup").ok()?)
}

fn private_of(rollup: &str) -> Option<u64> {
    let kib = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let counts = ["Private_Dirty", "Private_Hugetlb", "Swap"].contains(&name);
        counts.then(|| value.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok())?
    };
    let found: Vec<u64> = rollup.lines().filter_map(kib).collect();
    (!found.is_empty()).then(|| found.iter().sum::<u64>() * 1024)
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
    use super::*;

    #[test]
    fn this_process_can_be_looked_at() {
        assert!(rss().unwrap() > 100 << 10);
        assert!(fds().unwrap() >= 3 && threads().unwrap() >= 1);
        assert!(private().is_none_or(|private| private > 0 && private <= 1 << 40));
    }

    #[test]
    fn private_memory_is_what_would_come_back() {
        let rollup = "55d0-7ffd ---p 00000000 00:00 0 [rollup]\nRss:  900 kB\nShared_Clean: 4 kB\n\
            Private_Clean:  8 kB\nPrivate_Dirty:  16 kB\nSwap:   32 kB\nSwapPss: 30 kB\n";
        assert_eq!(private_of(rollup), Some(48 << 10));
        assert_eq!(private_of("nothing"), None);
    }
}
