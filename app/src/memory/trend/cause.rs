//! Whose memory it is that grows: what was counted in the same window says so.
//!
//! Counts come twice in a short block, garbage and all, and from every full collection, without. Where three
//! collections or more are in the window, only the blocks in which they were are compared. In this order,
//! each with its reason; "explains" means at least half of the growth of memory:
//!
//! 1. Live objects or blocks grow, and the most that they can be explains it: a leak. A block is 512 bytes
//!    at most, for what is larger comes from `malloc`, so the most is 512 bytes for each and all by which
//!    `malloc`'s use grew. Where `malloc` cannot be asked, any growth of blocks explains it. What has grown since
//!    the last collection [may be garbage](Cause::unsure): there must be one in the last quarter of the window,
//!    and where there are but one or two, it is garbage if that one has found enough.
//! 2. The garbage that collections find grows, and explains it: cycles. Memory grows between collections
//!    only, and collecting alone gives it back.
//! 3. What the allocators hold grows though live blocks do not, and explains it: fragmentation.
//!    Held are the free part of `malloc`'s heap and the arenas of Python's allocator.
//! 4. None of these: native code. Large buffers are among it where Python's other blocks come and go so
//!    much that those few are not seen, and one that grows by itself, for it is one block all the time.
//!
//! Below three counts there is nothing to compare, and it is growth of unknown cause, unless garbage explains
//! it. Below [eight](FEWEST) there is no test, and what every count found to have grown has grown.

use super::statistics::{self, FEWEST, Point};
use super::window::Window;
use super::{Kind, Row};

/// The largest block of Python's allocator.
const LARGEST_BLOCK: f64 = 512.0;

/// The fewest counts that are compared.
const FEWEST_COUNTS: usize = 3;

/// The cause of a growth.
pub struct Cause {
    pub kind: Kind,
    /// No collection has shown that it is no garbage.
    pub unsure: bool,
}

/// The cause of memory having grown by `slope` bytes per block for so many blocks.
pub fn of<const ROWS: usize, const BLOCKS: usize>(
    window: &Window<ROWS, BLOCKS>,
    slope: f64,
    blocks: f64,
) -> Cause {
    let mut buffer = Point::buffer();
    let collections = window.points(Row::Garbage as usize, &mut buffer);
    let many = collections.len() >= FEWEST_COUNTS;
    let rate = |row: Row| {
        let mut buffer = Point::buffer();
        let points = window.points(row as usize, &mut buffer).iter().copied();
        let counts = |point: &Point| !many || collections.iter().any(|known| known.at == point.at);
        rate(&points.filter(counts).collect::<Vec<_>>())
    };
    let explains = |part: f64| part >= slope / 2.0;
    let is_recent = |point: &&Point| window.number() as f64 - point.at <= blocks / 4.0;
    let last = collections.last().filter(is_recent);
    let sure = |kind| Cause { kind, unsure: false };
    if !many && last.is_some_and(|last| explains(last.value / blocks)) {
        return sure(Kind::Cycles);
    }
    let (Some(objects), Some(live)) = (rate(Row::Objects), rate(Row::Blocks)) else {
        return sure(Kind::Growth);
    };
    let live = objects.max(live);
    let most = live * LARGEST_BLOCK + rate(Row::MallocUsed).unwrap_or(f64::INFINITY);
    if live > 0.0 && explains(most) {
        return Cause { kind: Kind::Leak, unsure: last.is_none() };
    }
    if explains(rate(Row::Garbage).unwrap_or(0.0)) {
        return sure(Kind::Cycles);
    }
    let held = rate(Row::MallocFree).unwrap_or(0.0) + rate(Row::Arenas).unwrap_or(0.0);
    sure(if explains(held) { Kind::Fragmentation } else { Kind::NativeGrowth })
}

/// By how much what was counted grows per block; zero where it does not, and nothing where that cannot
/// be said.
fn rate(points: &[Point]) -> Option<f64> {
    if points.len() < FEWEST_COUNTS {
        return None;
    }
    let grows = if points.len() < FEWEST {
        points.windows(2).all(|pair| pair[1].value > pair[0].value)
    } else {
        statistics::rise(points, 0.0).is_some()
    };
    Some(if grows { statistics::slope(points) } else { 0.0 })
}
