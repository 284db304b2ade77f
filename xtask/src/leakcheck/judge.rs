//! What grows with the cycles, and what only settles.
//!
//! A round's series grows when everything in its last fifth is above everything in its middle fifth, and
//! that above everything in its first: noise around a level hardly ever does that, whatever it looks like
//! (of 50 values once in some 10^12), and one object more in every tenth cycle always does. It must still
//! grow at its end. A leak does all that in every round; a cache that fills stops, or slows down.

use super::count::{Count, Key};

/// Rounds in which something has to grow to be a leak.
pub const ROUNDS: u32 = 3;

/// Less in a cycle is told from nothing only by luck: pages and arenas come in pieces.
const LEAST_BYTES: f64 = 256.0;
const LEAST_BLOCKS: f64 = 0.1;

/// How much there is more after each cycle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Pieces; of [`Key::Private`] bytes.
    pub pieces: f64,
    /// Bytes of them.
    pub bytes: f64,
}

/// The counts of all rounds.
#[derive(Debug, Default)]
pub struct History {
    rounds: Vec<Vec<Count>>,
}

impl History {
    /// Begins a round.
    pub fn begin(&mut self) {
        self.rounds.push(Vec::new());
    }

    /// Adds a cycle to the round.
    pub fn add(&mut self, count: Count) {
        if let Some(round) = self.rounds.last_mut() {
            round.push(count);
        }
    }

    /// What has grown in all rounds so far, and by how much in a cycle of them.
    pub fn growing(&self) -> Vec<(Key, Rate)> {
        let Some(last) = self.rounds.last().and_then(|round| round.last()) else {
            return Vec::new();
        };
        let rate = |key: &Key| {
            let mut rates = Vec::new();
            let last = self.rounds.len() - 1;
            for (index, round) in self.rounds.iter().enumerate() {
                // The snapshot before the second round leaves free memory, which is used up first.
                if *key == Key::Private && index > 0 && index < last {
                    continue;
                }
                let value = |count: &Count| count.0.get(key).copied().unwrap_or_default();
                let pieces: Vec<i64> = round.iter().map(|count| value(count).0).collect();
                if !grows(&pieces) {
                    return None;
                }
                let bytes: Vec<i64> = round.iter().map(|count| value(count).1).collect();
                rates.push(Rate { pieces: slope(&pieces), bytes: slope(&bytes) });
            }
            let (first, last) = (rates.first()?, rates.last()?);
            let enough = match key {
                Key::Private => last.pieces >= LEAST_BYTES,
                Key::Blocks => last.pieces >= LEAST_BLOCKS,
                _ => true,
            };
            (enough && last.pieces * 2.0 >= first.pieces).then_some(*last)
        };
        last.0.keys().filter_map(|key| Some((key.clone(), rate(key)?))).collect()
    }
}

/// Whether one round's series grows, from end to end.
pub fn grows(series: &[i64]) -> bool {
    let fifth = series.len() / 5;
    if fifth == 0 {
        return false;
    }
    let middle = series.len() / 2 - fifth / 2;
    let bounds = |from: usize| {
        let part = &series[from..from + fifth];
        (part.iter().min().copied(), part.iter().max().copied())
    };
    let end = series.len() - fifth;
    let (first, central, last) = (bounds(0), bounds(middle), bounds(end));
    // In the last fifth by half as much, at least, as on the average in each before.
    let sum = |from: usize| series[from..from + fifth].iter().sum::<i64>();
    let late = sum(end) - sum(end - fifth);
    last.0 > central.1 && central.0 > first.1 && 4 * late >= sum(middle) - sum(0)
}

/// The median of what lies between values that are half a round apart, in a cycle.
fn slope(series: &[i64]) -> f64 {
    let half = series.len() / 2;
    if half == 0 {
        return 0.0;
    }
    let mut slopes: Vec<i64> =
        series.iter().zip(&series[half..]).map(|(before, after)| after - before).collect();
    slopes.sort_unstable();
    slopes[slopes.len() / 2] as f64 / half as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// What is found in rounds of fifty cycles of a value that depends on the cycle.
    fn found(key: Key, value: impl Fn(i64) -> i64) -> Option<f64> {
        let mut history = History::default();
        let mut cycle = 0;
        for _ in 0..ROUNDS {
            history.begin();
            for _ in 0..50 {
                history.add(Count(BTreeMap::from([(key.clone(), (value(cycle), 0))])));
                cycle += 1;
            }
        }
        history.growing().first().map(|(_, rate)| rate.pieces)
    }

    /// Numbers that look like noise and are the same in every run, below `most`.
    fn noise(cycle: i64, most: i64) -> i64 {
        let mixed = (cycle as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33) as i64 % most
    }

    #[test]
    fn a_leak_grows_by_what_it_leaks() {
        assert_eq!(found(Key::Threads, |cycle| 7 + cycle), Some(1.0));
        assert_eq!(found(Key::Threads, |cycle| 20 * cycle), Some(20.0));
        assert_eq!(found(Key::Private, |cycle| cycle * 1_000_000 / 4096 * 4096), Some(999_915.52));
    }

    #[test]
    fn a_leak_in_every_tenth_cycle_is_one() {
        let rate = found(Key::Threads, |cycle| cycle / 10).expect("it grows");
        assert!((rate - 0.1).abs() < 0.03, "{rate}");
    }

    #[test]
    fn a_leak_among_what_comes_and_goes_is_one() {
        let rate = found(Key::Threads, |cycle| 2 * cycle + noise(cycle, 15)).expect("it grows");
        assert!((rate - 2.0).abs() < 0.3, "{rate}");
    }

    #[test]
    fn what_settles_is_no_leak() {
        type Value = fn(i64) -> i64;
        let cases: [(&str, Value); 8] = [
            ("nothing changes", |_| 7),
            ("a cache is full in the first round", |cycle| cycle.min(40)),
            ("one is full in the last", |cycle| cycle.min(130)),
            ("one that fills ever more slowly", |cycle| 10_000 - 10_000 / (cycle + 20)),
            ("a sawtooth", |cycle| cycle % 30),
            ("a long sawtooth", |cycle| cycle % 70),
            ("noise", |cycle| noise(cycle, 100)),
            ("one step up", |cycle| if cycle > 60 { 500 } else { 0 }),
        ];
        for (what, value) in cases {
            assert_eq!(found(Key::Threads, value), None, "{what}");
        }
        for seed in 0..2000 {
            let wild = |cycle| noise(cycle + 1000 * seed, 10);
            assert_eq!(found(Key::Blocks, wild), None, "{seed}");
        }
    }

    #[test]
    fn a_few_bytes_are_not_told_from_nothing() {
        assert_eq!(found(Key::Private, |cycle| cycle * 100), None);
        assert_eq!(found(Key::Blocks, |cycle| cycle / 4), Some(0.24));
    }

    #[test]
    fn a_round_of_the_fewest_cycles_is_judged() {
        assert!(grows(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
        assert!(!grows(&[0, 1, 2, 3, 4, 4, 4, 4, 4, 4]));
        assert!(!grows(&[0, 1, 2, 3]));
    }
}
