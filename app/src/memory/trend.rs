//! Is memory on its way to the limit, and what is it that grows?
//!
//! Samples stream in; what is kept of them is the lowest of each of the last 60 blocks of two minutes and of
//! the last 72 blocks of twenty: two hours in which a quick leak is seen, a day in which a slow one is.
//! That is under 8 KiB, whatever happens, and nothing else is kept. No clock is read. The times are those of
//! a look every two seconds; with another interval they are longer or shorter by as much, since a block is
//! [so many looks](LOOKS): what is judged is as many numbers, whatever the time between them.
//!
//! # When a growth is told
//! Each window is judged by itself whenever a block of two minutes is finished. Each rule is there because
//! without it programs that leak nothing are accused; the simulations in `tests` show it.
//!
//! 1. The block minima rise, with 99 % confidence and the autocorrelation counted in (`statistics`). Plain
//!    Mann–Kendall sees a trend in every series that wanders.
//! 2. The lower 99 % bound of the slope, held for the horizon, uses up the headroom. A slow growth is
//!    nobody's business until it is within the horizon, and as the headroom shrinks it gets there.
//! 3. No window is extrapolated to more than four times its length: a fifth of what there was must be gone
//!    *within the window*. This is what makes a verdict sound that is asked for 720 times a day, for it
//!    asks nothing of the distribution: what swings by less than a fifth of the room is no leak, be it
//!    garbage that is collected every few hours, page cache or a cache that fills up. A leak is told after a
//!    fifth of its way, not later. What swings by more looks like a leak while it first rises.
//! 4. The last half of the window passes as well, and is extrapolated to slow down, from half window to half
//!    window, as it has done from the first half to this one. So does what saturates, and a straight line
//!    through it accuses a third of the starts that use up 60 % of the room. Below half the slope of the first
//!    half it is a [warm-up](Kind::WarmUp), which is told and is no alarm.
//! 5. In the short window, growth counts only above everything that the day before it has seen: a process
//!    that was up there and came back, such as at each night's backup, will come back again.
//!    The long window has no such rule, and sees a leak below.
//!
//! # What is said to grow
//! For memory, see `cause`. Fds are held against their limit. Tasks have none, and that of threads (and often
//! that of fds) is far beyond sense: all three are told too when they would at least double within the
//! horizon and be a [thousand](MANY) more ([a hundred](MANY_THREADS) threads). A parked task costs some
//! kilobytes with its frames, a thread some tens with its stacks: that is the scale of megabytes, where
//! a device feels it, and a server that fills up with clients in the morning stays below it.

mod cause;
mod statistics;
#[cfg(test)]
mod tests;
mod verdict;
mod window;

use std::time::Duration;

use cause::Cause;
use statistics::{FEWEST, Point};
pub use verdict::{Kind, Verdict};
use window::{Seen, Window};

/// Everything that is counted, at one time. What was not looked at is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Monotonic, since any time zero.
    pub at: Duration,
    /// Resident bytes.
    pub rss: u64,
    /// Private bytes. They are judged instead of `rss` where they were seen in three blocks of four.
    pub uss: Option<u64>,
    /// What was counted, once for each time.
    pub heap: Option<Heap>,
    /// Open files.
    pub fds: Option<u32>,
    /// asyncio tasks.
    pub tasks: Option<u32>,
    /// Threads.
    pub threads: Option<u32>,
}

/// What there is of objects and blocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap {
    /// Objects that the collector tracks.
    pub objects: u64,
    /// `sys.getallocatedblocks()`.
    pub blocks: u64,
    /// Bytes that a collection gave back just before; none: there was no collection.
    pub garbage: Option<u64>,
    /// Bytes in the arenas of Python's own allocator.
    pub arenas: Option<u64>,
    /// What `mallinfo2` says, where the C library has it.
    pub malloc: Option<Malloc>,
}

/// A typical block with its share of the arena, measured on heaps of small objects: 50 to 75 bytes.
const BLOCK: u64 = 64;

impl Heap {
    /// About how many bytes are in use.
    pub fn in_use(&self) -> u64 {
        self.blocks * BLOCK + self.malloc.map_or(0, |malloc| malloc.used)
    }
}

/// The C library's heap.
#[derive(Clone, Copy, Debug, Default)]
pub struct Malloc {
    /// Bytes in use: `uordblks + hblkhd`.
    pub used: u64,
    /// Bytes held and free: `fordblks`.
    pub free: u64,
}

/// What is left to the limits.
#[derive(Clone, Copy, Debug)]
pub struct Headroom {
    /// Bytes to the hard limit.
    pub memory: u64,
    /// Files to `RLIMIT_NOFILE`.
    pub fds: Option<u64>,
    /// Threads to `pids.max` or `RLIMIT_NPROC`.
    pub threads: Option<u64>,
}

/// What time is measured by.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// How far ahead a limit is of interest.
    pub horizon: Duration,
    /// A block of the short window, which has 60.
    pub short: Duration,
    /// A block of the long window, which has 72; longer than the short one.
    pub long: Duration,
}

impl Scale {
    /// For looks so far apart.
    pub fn of(interval: Duration, horizon: Duration) -> Self {
        let short = interval.saturating_mul(LOOKS);
        Self { horizon, short, long: short.saturating_mul(SHORT_IN_LONG) }
    }
}

/// So many looks are a block of the short window, and
const LOOKS: u32 = 60;
/// so many of those blocks one of the long window.
const SHORT_IN_LONG: u32 = 10;

/// To so many times its length a window is extrapolated; see the module's rule 3.
const EXTRAPOLATED: f64 = 4.0;

/// Fewer blocks have no two halves that can be judged.
const FEWEST_BLOCKS: usize = 2 * FEWEST;

/// Of what has no limit of its own, that many more are a leak.
pub const MANY: u64 = 1000;

/// Of threads, that many more are a leak.
pub const MANY_THREADS: u64 = 100;

const SHORT: usize = 60;
const LONG: usize = 72;

/// What a block keeps the lowest of.
#[derive(Clone, Copy)]
enum Row {
    Rss,
    Uss,
    Fds,
    Tasks,
    Threads,
    Objects,
    Blocks,
    Garbage,
    Arenas,
    MallocUsed,
    MallocFree,
}

const ROWS: usize = Row::MallocFree as usize + 1;

/// The rows that are judged themselves come first. In the long window each has another row behind all others:
/// the highest of the short blocks, negated, since the lowest is what is kept.
const JUDGED: usize = Row::Threads as usize + 1;

type Short = Window<ROWS, SHORT>;
type Long = Window<{ ROWS + JUDGED }, LONG>;

/// Remembers blocks and judges them.
pub struct Judge {
    horizon: Duration,
    last: Option<Duration>,
    /// The half of a short block in which something was last due.
    half: Option<u128>,
    short: Short,
    long: Long,
}

impl Judge {
    /// Nothing seen yet.
    pub fn new(scale: Scale) -> Self {
        let (short, long) = (Short::new(scale.short), Long::new(scale.long.max(scale.short)));
        Self { horizon: scale.horizon, last: None, half: None, short, long }
    }

    /// Whether what is too costly for every look is due: at the first one in each half of a short block, so
    /// that no block is without it, whatever the interval and however late a look is.
    pub fn is_due(&mut self, at: Duration) -> bool {
        let half = at.as_nanos() * 2 / self.short.block().as_nanos();
        self.half.replace(half) != Some(half)
    }

    /// Takes a sample; whether a block is finished, which is when verdicts are to be asked for. A sample that
    /// is not later than the last is left out; one that is earlier by more than a block means that the clock
    /// is another one, and all begins anew.
    pub fn add(&mut self, sample: &Sample) -> bool {
        if let Some(last) = self.last
            && sample.at <= last
        {
            if last - sample.at <= self.short.block() {
                return false;
            }
            let scale =
                Scale { horizon: self.horizon, short: self.short.block(), long: self.long.block() };
            *self = Self::new(scale);
        }
        self.last = Some(sample.at);
        let seen = row_values(sample);
        let finished = self.short.add(sample.at, &seen);
        if let Some(lowest) = &finished {
            let mut peaks = [f32::NAN; ROWS + JUDGED];
            for (peak, lowest) in peaks[ROWS..].iter_mut().zip(lowest) {
                *peak = -lowest;
            }
            // It belongs to the long block in which it began, which this sample may finish.
            self.long.note(&peaks);
        }
        let mut long = [f32::NAN; ROWS + JUDGED];
        long[..ROWS].copy_from_slice(&seen);
        self.long.add(sample.at, &long);
        finished.is_some()
    }

    /// What can be said: of memory first, then of fds, tasks and threads; of each one thing at most.
    pub fn verdicts(&self, headroom: &Headroom) -> impl Iterator<Item = Verdict> + use<> {
        let memory = headroom.memory as f64;
        let fds = self.counted(Kind::FdLeak, Row::Fds, headroom.fds, MANY);
        let tasks = self.counted(Kind::TaskLeak, Row::Tasks, None, MANY);
        let threads = self.counted(Kind::ThreadLeak, Row::Threads, headroom.threads, MANY_THREADS);
        [self.memory(memory), fds, tasks, threads].into_iter().flatten()
    }

    /// What is remembered, oldest first: the long window as far as it reaches back behind the short one, then
    /// that.
    pub fn timeline(&self) -> Vec<Moment> {
        let short = moments(&self.short);
        let first = short.first().map_or(Duration::MAX, |moment| moment.at);
        let mut all = moments(&self.long);
        all.retain(|moment| moment.at + self.long.block() <= first);
        all.extend(short);
        all
    }

    fn memory(&self, headroom: f64) -> Option<Verdict> {
        let short = self.short_growth(memory_row(&self.short), headroom);
        let long = self.growth(&self.long, memory_row(&self.long), headroom);
        let say = |growth: Growth, cause: Cause| {
            let kind = if growth.slowing { Kind::WarmUp } else { cause.kind };
            let unsure = cause.unsure && !growth.slowing;
            Verdict { unsure, ..growth.verdict(kind, headroom) }
        };
        worse(
            short.map(|growth| say(growth, cause::of(&self.short, growth.slope, growth.blocks))),
            long.map(|growth| say(growth, cause::of(&self.long, growth.slope, growth.blocks))),
        )
    }

    fn counted(&self, kind: Kind, row: Row, limit: Option<u64>, many: u64) -> Option<Verdict> {
        let now = self.short.points(row as usize, &mut Point::buffer()).last()?.value;
        let headroom = limit.map_or(f64::INFINITY, |limit| limit as f64).min(now.max(many as f64));
        let growths = [self.short_growth(row, headroom), self.growth(&self.long, row, headroom)];
        let [short, long] = growths
            .map(|growth| Some(growth.filter(|growth| !growth.slowing)?.verdict(kind, headroom)));
        worse(short, long)
    }

    /// Rule 5 on top of the others.
    fn short_growth(&self, row: Row, headroom: f64) -> Option<Growth> {
        let growth = self.growth(&self.short, row, headroom)?;
        let mut buffer = Point::buffer();
        let points = self.short.points(row as usize, &mut buffer);
        let began = points.first()?.at * self.short.block().as_secs_f64();
        let mut buffer = Point::buffer();
        let peaks = self.long.points(ROWS + row as usize, &mut buffer);
        let ended = |peak: &&Point| (peak.at + 1.0) * self.long.block().as_secs_f64() <= began;
        let peak = peaks
            .iter()
            .take_while(ended)
            .fold(f64::NEG_INFINITY, |peak, point| peak.max(-point.value));
        (points.last()?.value > peak).then_some(growth)
    }

    /// Rules 1 to 4.
    fn growth<const R: usize, const B: usize>(
        &self,
        window: &Window<R, B>,
        row: Row,
        headroom: f64,
    ) -> Option<Growth> {
        let mut buffer = Point::buffer();
        let points = window.points(row as usize, &mut buffer);
        let blocks = covered(window, points)?;
        let reach =
            (self.horizon.as_secs_f64() / window.block().as_secs_f64()).min(EXTRAPOLATED * blocks);
        let whole = statistics::rise(points, headroom / reach)?;
        let middle = points[0].at + blocks / 2.0;
        let (before, after) = points.split_at(points.partition_point(|point| point.at < middle));
        let (earlier, later) = (statistics::slope(before), statistics::slope(after));
        let slowing = later < earlier / 2.0;
        if !slowing {
            let kept = if earlier > 0.0 { (later / earlier).min(1.0) } else { 1.0 };
            let ahead = blocks / 2.0 * geometric(kept, reach / (blocks / 2.0));
            statistics::rise(after, headroom / ahead)?;
        }
        Some(Growth {
            slope: whole.slope,
            at_least: whole.at_least,
            blocks,
            block: window.block(),
            slowing,
        })
    }
}

/// The lowest values of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// When the block began.
    pub at: Duration,
    /// Resident bytes, private ones, open files, threads and tasks, as far as they were seen.
    pub values: [Option<u64>; 5],
}

fn moments<const R: usize, const B: usize>(window: &Window<R, B>) -> Vec<Moment> {
    let rows = [Row::Rss, Row::Uss, Row::Fds, Row::Threads, Row::Tasks];
    let blocks = window.blocks(Row::Rss as usize);
    let moment = |number: u64| Moment {
        at: window.block().mul_f64(number as f64),
        values: rows.map(|row| window.value(row as usize, number).map(|value| value as u64)),
    };
    blocks.map(moment).collect()
}

/// Over how many blocks the points of a window reach, if they are enough: through a gap, or where what was
/// seen is long ago, no line is drawn.
fn covered<const R: usize, const B: usize>(window: &Window<R, B>, points: &[Point]) -> Option<f64> {
    let blocks = window.number() as f64 - points.first()?.at;
    (points.len() >= FEWEST_BLOCKS && points.len() as f64 >= 0.75 * blocks).then_some(blocks)
}

fn memory_row<const R: usize, const B: usize>(window: &Window<R, B>) -> Row {
    let mut buffer = Point::buffer();
    let private = window.points(Row::Uss as usize, &mut buffer);
    covered(window, private).map_or(Row::Rss, |_| Row::Uss)
}

/// The sum of `ratio`, its square and so on, of so many terms.
fn geometric(ratio: f64, terms: f64) -> f64 {
    // The closed form loses its digits near one.
    if ratio > 0.999 { terms } else { ratio * (1.0 - ratio.powf(terms)) / (1.0 - ratio) }
}

/// A window that passes the rules.
#[derive(Clone, Copy)]
struct Growth {
    /// Per block.
    slope: f64,
    at_least: f64,
    /// So many blocks of this length say so.
    blocks: f64,
    block: Duration,
    slowing: bool,
}

impl Growth {
    fn verdict(&self, kind: Kind, headroom: f64) -> Verdict {
        let hourly = 3600.0 / self.block.as_secs_f64();
        let (rate, at_least) = (self.slope * hourly, self.at_least * hourly);
        let window = self.block.mul_f64(self.blocks);
        Verdict { kind, rate, at_least, headroom, window, unsure: false }
    }
}

/// An alarm before none, then the one that is surer to come early.
fn worse(one: Option<Verdict>, other: Option<Verdict>) -> Option<Verdict> {
    let key = |verdict: &Verdict| (verdict.kind.is_alarm(), verdict.at_least);
    match (one, other) {
        (Some(one), Some(other)) => Some(if key(&other) > key(&one) { other } else { one }),
        (one, other) => one.or(other),
    }
}

fn row_values(sample: &Sample) -> Seen<ROWS> {
    let mut values = [f32::NAN; ROWS];
    let mut set = |row: Row, value: Option<u64>| {
        if let Some(value) = value {
            values[row as usize] = value as f32;
        }
    };
    set(Row::Rss, Some(sample.rss));
    set(Row::Uss, sample.uss);
    set(Row::Fds, sample.fds.map(u64::from));
    set(Row::Tasks, sample.tasks.map(u64::from));
    set(Row::Threads, sample.threads.map(u64::from));
    if let Some(heap) = sample.heap {
        set(Row::Objects, Some(heap.objects));
        set(Row::Blocks, Some(heap.blocks));
        set(Row::Garbage, heap.garbage);
        set(Row::Arenas, heap.arenas);
        set(Row::MallocUsed, heap.malloc.map(|malloc| malloc.used));
        set(Row::MallocFree, heap.malloc.map(|malloc| malloc.free));
    }
    values
}
