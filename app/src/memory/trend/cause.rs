//! Whose memory it is that grows: what full collections left in the same window says so.
//!
//! In this order, each with its reason; "explains" means at least half of the growth of memory:
//!
//! 1. Live objects or blocks grow, and the most that they can be explains it: a leak. A block is 512 bytes
//!    at most, for what is larger comes from `malloc`, so the most is 512 bytes for each and all by which
//!    `malloc`'s use grew. Where `malloc` cannot be asked, any growth of blocks explains it.
//! 2. The garbage that collections find grows, and explains it at [`BLOCK`] bytes for each: cycles. Memory
//!    grows between collections only, and collecting alone gives it back.
//! 3. What the allocators hold grows though live blocks do not, and explains it: fragmentation.
//!    Held are the free part of `malloc`'s heap and the arenas of Python's allocator.
//! 4. None of these: native code. Large buffers are among it where Python's other blocks come and go so
//!    much that those few are not seen.
//!
//! Below three full collections there is nothing to compare, and it is growth of unknown cause, unless the
//! garbage of the one or two explains it. Below [eight](FEWEST) there is no test, and what every collection
//! found to have grown has grown.

use super::statistics::{self, FEWEST, Point};
use super::window::Window;
use super::{Kind, Row};

/// A typical block with its share of the arena, measured on heaps of small objects: 50 to 75 bytes.
const BLOCK: f64 = 64.0;

/// The largest block of Python's allocator.
const LARGEST_BLOCK: f64 = 512.0;

/// The fewest collections that are compared.
const FEWEST_COLLECTIONS: usize = 3;

/// The cause of memory having grown by `slope` bytes per block for so many blocks.
pub fn of<const ROWS: usize, const BLOCKS: usize>(
    window: &Window<ROWS, BLOCKS>,
    slope: f64,
    blocks: f64,
) -> Kind {
    let rate = |row: Row| rate(window.points(row as usize, &mut Point::buffer()));
    let explains = |part: f64| part >= slope / 2.0;
    let (Some(objects), Some(live)) = (rate(Row::Objects), rate(Row::Blocks)) else {
        let mut buffer = Point::buffer();
        let garbage = window.points(Row::Garbage as usize, &mut buffer).last();
        let found = garbage.map_or(0.0, |garbage| garbage.value * BLOCK);
        return if explains(found / blocks) { Kind::Cycles } else { Kind::Growth };
    };
    let live = objects.max(live);
    let most = live * LARGEST_BLOCK + rate(Row::MallocUsed).unwrap_or(f64::INFINITY);
    if live > 0.0 && explains(most) {
        return Kind::Leak;
    }
    if explains(rate(Row::Garbage).unwrap_or(0.0) * BLOCK) {
        return Kind::Cycles;
    }
    let held = rate(Row::MallocFree).unwrap_or(0.0) + rate(Row::Arenas).unwrap_or(0.0);
    if explains(held) { Kind::Fragmentation } else { Kind::NativeGrowth }
}

/// By how much what collections found grows per block; zero where it does not, and nothing where that cannot
/// be said.
fn rate(points: &[Point]) -> Option<f64> {
    if points.len() < FEWEST_COLLECTIONS {
        return None;
    }
    let grows = if points.len() < FEWEST {
        points.windows(2).all(|pair| pair[1].value > pair[0].value)
    } else {
        statistics::rise(points, 0.0).is_some()
    };
    Some(if grows { statistics::slope(points) } else { 0.0 })
}
