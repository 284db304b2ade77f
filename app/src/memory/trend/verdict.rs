//! What is said of a growth.

use std::fmt;
use std::time::Duration;

/// What grows, or why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Memory, and the live heap of Python with it.
    Leak,
    /// Memory between full collections: they find ever more garbage and leave as much as ever.
    Cycles,
    /// Memory that the allocators hold and nobody uses.
    Fragmentation,
    /// Memory, but neither Python's live heap nor what the allocators hold free: native code.
    NativeGrowth,
    /// Memory; nothing was counted that could say of what.
    Growth,
    /// Memory that grew and slows down.
    WarmUp,
    /// Open files.
    FdLeak,
    /// asyncio tasks.
    TaskLeak,
    /// Threads.
    ThreadLeak,
}

impl Kind {
    /// Whether somebody should act. A warm-up ends by itself, and cycles end with a collection.
    pub fn is_alarm(self) -> bool {
        !matches!(self, Kind::WarmUp | Kind::Cycles)
    }

    /// What is counted, where it is no memory.
    fn counted(self) -> Option<&'static str> {
        match self {
            Kind::FdLeak => Some("fds"),
            Kind::TaskLeak => Some("tasks"),
            Kind::ThreadLeak => Some("threads"),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Leak => "leak",
            Kind::Cycles => "garbage cycles",
            Kind::Fragmentation => "fragmentation",
            Kind::NativeGrowth => "native growth",
            Kind::Growth => "growth",
            Kind::WarmUp => "warm-up",
            Kind::FdLeak => "fd leak",
            Kind::TaskLeak => "task leak",
            Kind::ThreadLeak => "thread leak",
        })
    }
}

/// A growth that would reach its limit, were it to go on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// What grows, or why.
    pub kind: Kind,
    /// Bytes or pieces per hour.
    pub rate: f64,
    /// The lower 99 % bound of the rate, above zero.
    pub at_least: f64,
    /// What was left to the limit, in bytes or pieces.
    pub headroom: f64,
    /// How much of the past says so.
    pub window: Duration,
    /// It may be garbage: nothing was collected in all the time.
    pub unsure: bool,
}

impl Verdict {
    /// The same after a collection, which has given so many bytes back.
    pub fn collected(self, garbage: u64) -> Verdict {
        let grown = self.rate * self.window.as_secs_f64() / 3600.0;
        let kind = if garbage as f64 >= grown / 2.0 { Kind::Cycles } else { self.kind };
        Verdict { kind, unsure: false, ..self }
    }

    /// When the limit is reached at this rate.
    pub fn time_to_limit(&self) -> Duration {
        hours(self.headroom / self.rate)
    }

    /// When the limit is reached at the lower bound of the rate.
    pub fn at_most(&self) -> Duration {
        hours(self.headroom / self.at_least)
    }
}

/// One line: `leak: 3.5 MiB/h (at least 2.9), 12 h to the hard limit (at most 14)`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, unit) = match self.kind.counted() {
            Some(pieces) => (1.0, pieces),
            None if self.rate < 1024.0 * 1024.0 => (1024.0, "KiB"),
            None => (1024.0 * 1024.0, "MiB"),
        };
        // A bound that is rounded must still be one.
        let least = (self.at_least / size * 10.0).floor() / 10.0;
        write!(f, "{}: {:.1} {unit}/h (at least {least:.1}), ", self.kind, self.rate / size)?;
        if self.kind == Kind::WarmUp {
            return f.write_str("slowing down");
        }
        let (time, most) = (self.time_to_limit().as_secs_f64(), self.at_most().as_secs_f64());
        let (size, unit) = match time / 3600.0 {
            ..2.0 => (60.0, "min"),
            ..48.0 => (3600.0, "h"),
            _ => (86400.0, "d"),
        };
        write!(f, "{:.0} {unit} to ", time / size)?;
        match self.kind {
            Kind::FdLeak => f.write_str("the limit of open files")?,
            Kind::TaskLeak | Kind::ThreadLeak => write!(f, "{:.0} more", self.headroom)?,
            _ => f.write_str("the hard limit")?,
        }
        write!(f, " (at most {:.0})", (most / size).ceil())?;
        match self.kind {
            Kind::Cycles => f.write_str("; collecting gives it back"),
            Kind::Growth => f.write_str("; Python could not be asked of what"),
            _ => Ok(()),
        }
    }
}

/// Time from hours that may be infinite, or too many for a `Duration`.
fn hours(hours: f64) -> Duration {
    Duration::try_from_secs_f64((hours * 3600.0).max(0.0)).unwrap_or(Duration::MAX)
}
