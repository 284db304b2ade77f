//! Whether there is memory for a process that looks through memory.

use super::limits::{self, Ceiling};
use super::mib;

/// What a walk may take at most, and what it needs to be worth it.
const MOST: u64 = 16 << 20;
const LEAST: u64 = 2 << 20;
/// This part of what is free is taken at most: pages that the application writes to meanwhile are copied.
const PART: u64 = 4;

/// Bytes that a snapshot may take now; none: memory is nearly exhausted, with the reason.
pub fn budget() -> Result<usize, String> {
    // Where nothing is known of it there is enough.
    let free = limits::ceilings().into_iter().filter_map(free).min();
    let budget = free.map_or(MOST, |free| (free / PART).min(MOST));
    if budget < LEAST {
        let free = mib(free.unwrap_or(0) as i64);
        return Err(format!("memory is short: {free} are free"));
    }
    Ok(budget as usize)
}

fn free(ceiling: Ceiling) -> Option<u64> {
    ceiling.usage.map(|usage| ceiling.bytes.saturating_sub(usage))
}
