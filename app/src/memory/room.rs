//! Whether there is memory for a process that looks through memory.

use std::fs;

use super::limits::Ceiling;

/// What a walk may take at most, and what it needs to be worth it.
const MOST: u64 = 16 << 20;
const LEAST: u64 = 2 << 20;
/// This part of what is free is taken at most: pages that the application writes to meanwhile are copied.
const PART: u64 = 4;

/// Bytes that a snapshot may take now; none: memory is nearly exhausted, with the reason.
pub fn budget(ceiling: Option<Ceiling>, rss: u64) -> Result<usize, String> {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free = free(&meminfo, ceiling.map(|ceiling| ceiling.bytes), rss);
    // Kernels before 3.14 do not say what is available.
    let budget = free.map_or(MOST, |free| (free / PART).min(MOST));
    if budget < LEAST {
        let free = free.unwrap_or(0) as f64 / f64::from(1 << 20);
        return Err(format!("memory is short: {free:.1} MiB are free"));
    }
    Ok(budget as usize)
}

fn free(meminfo: &str, ceiling: Option<u64>, rss: u64) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let available: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    let below = ceiling.map_or(u64::MAX, |ceiling| ceiling.saturating_sub(rss));
    Some(below.min(available * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_and_the_control_group_both_have_a_say() {
        let meminfo = "MemTotal: 9999 kB\nMemAvailable:   1024 kB\n";
        assert_eq!(free(meminfo, None, 0), Some(1 << 20));
        assert_eq!(free(meminfo, Some(5 << 20), (5 << 20) - 4096), Some(4096));
        assert_eq!(free(meminfo, Some(1 << 20), 2 << 20), Some(0));
        assert_eq!(free("", None, 0), None);
    }
}
