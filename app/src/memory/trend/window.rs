//! The lowest of every block of time, and of nothing else any memory.
//!
//! What a process needs is what it comes back to: the lowest of a block is free of bursts, of garbage
//! between two collections and of clients that come and go. `f32` tells pages apart up to 64 GiB and counts
//! up to 16 million.

use std::time::Duration;

use super::statistics::{MOST, Point};

/// What one sample says, row by row; NaN is what it does not say.
pub type Seen<const ROWS: usize> = [f32; ROWS];

/// The last `BLOCKS` finished blocks of one length, and the open one.
pub struct Window<const ROWS: usize, const BLOCKS: usize> {
    block: Duration,
    /// The number of the open block, counted from time zero.
    number: u64,
    open: Seen<ROWS>,
    /// Block `i` is at `i % BLOCKS`.
    finished: [[f32; BLOCKS]; ROWS],
}

impl<const ROWS: usize, const BLOCKS: usize> Window<ROWS, BLOCKS> {
    const FITS: () = assert!(BLOCKS <= MOST);

    pub fn new(block: Duration) -> Self {
        let () = Self::FITS;
        let block = block.max(Duration::from_millis(1));
        Self { block, number: 0, open: [f32::NAN; ROWS], finished: [[f32::NAN; BLOCKS]; ROWS] }
    }

    pub fn block(&self) -> Duration {
        self.block
    }

    /// How many blocks are finished, since time zero.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Takes a sample, whose time is not below that of the one before. The block that it finishes, if it does:
    /// those without any sample that are finished with it are empty.
    pub fn add(&mut self, at: Duration, seen: &Seen<ROWS>) -> Option<Seen<ROWS>> {
        let number = (at.as_nanos() / self.block.as_nanos()) as u64;
        let finished = (number > self.number).then(|| self.finish(number));
        self.note(seen);
        finished
    }

    fn finish(&mut self, number: u64) -> Seen<ROWS> {
        let finished = std::mem::replace(&mut self.open, [f32::NAN; ROWS]);
        let skipped = (self.number + 1..number).rev().take(BLOCKS);
        for (row, lowest) in self.finished.iter_mut().zip(finished) {
            row[(self.number % BLOCKS as u64) as usize] = lowest;
            for empty in skipped.clone() {
                row[(empty % BLOCKS as u64) as usize] = f32::NAN;
            }
        }
        self.number = number;
        finished
    }

    /// Counts a value in with the open block.
    pub fn note(&mut self, seen: &Seen<ROWS>) {
        for (open, seen) in self.open.iter_mut().zip(seen) {
            *open = open.min(*seen);
        }
    }

    /// The finished blocks of a row that have a value, oldest first; time is in blocks.
    pub fn points<'a>(&self, row: usize, buffer: &'a mut [Point; MOST]) -> &'a [Point] {
        let mut count = 0;
        for number in self.number.saturating_sub(BLOCKS as u64)..self.number {
            let value = self.finished[row][(number % BLOCKS as u64) as usize];
            if !value.is_nan() {
                buffer[count] = Point { at: number as f64, value: f64::from(value) };
                count += 1;
            }
        }
        &buffer[..count]
    }

    /// The numbers of the finished blocks that have a value in a row, oldest first.
    pub fn blocks(&self, row: usize) -> impl Iterator<Item = u64> {
        let blocks = self.number.saturating_sub(BLOCKS as u64)..self.number;
        blocks.filter(move |number| self.value(row, *number).is_some())
    }

    /// What a finished block says in a row.
    pub fn value(&self, row: usize, number: u64) -> Option<f32> {
        let value = self.finished[row][(number % BLOCKS as u64) as usize];
        Some(value).filter(|value| !value.is_nan())
    }
}
