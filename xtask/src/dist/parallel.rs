//! Work on as many processors as there are.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result};

/// Generated sources nest deeply, and parsers descend.
const STACK: usize = 64 << 20;

/// What `work` gives for each item, in their order.
///
/// # Errors
/// A thread cannot be started.
pub fn each<I: Sync, T: Send>(items: &[I], work: impl Fn(&I) -> T + Sync) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let some = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { break done };
            done.push((at, work(item)));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(items.len());
    let mut done = thread::scope(|scope| -> Result<Vec<(usize, T)>> {
        let start = || thread::Builder::new().stack_size(STACK).spawn_scoped(scope, some);
        let threads: Vec<_> = (0..threads)
            .map(|_| start().context("cannot start a thread"))
            .collect::<Result<_>>()?;
        let parts = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        Ok(parts.flatten().collect())
    })?;
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

/// What two things give that are done at the same time; the second is what ends sooner, or waits less.
pub fn both<A, B: Send>(first: impl FnOnce() -> A, second: impl FnOnce() -> B + Send) -> (A, B) {
    thread::scope(|scope| {
        let second = scope.spawn(second);
        (first(), second.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_things_wait_for_each_other() {
        let (here, there) = std::sync::mpsc::channel();
        let (back, answer) = std::sync::mpsc::channel();
        let first = || (here.send(1).unwrap(), answer.recv().unwrap()).1;
        assert_eq!(both(first, move || back.send(there.recv().unwrap() + 1).is_ok()), (2, true));
    }

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..1000).collect();
        let doubled: Vec<usize> = items.iter().map(|item| 2 * item).collect();
        assert_eq!(each(&items, |item| 2 * item).unwrap(), doubled);
        assert!(each(&[], |item: &usize| *item).unwrap().is_empty());
    }
}
