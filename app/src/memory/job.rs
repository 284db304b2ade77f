//! Taking a snapshot while the guard goes on looking: a thread waits for the interpreter's lock, which the
//! application may keep for long, and reads what the child says.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::before::Before;
use super::snapshot::{self, Request, Snapshot};
use super::walk::process::Handle;
use super::{attach, dead, tasks};

/// The thread calls Python's C code and reads lines.
const STACK: usize = 256 << 10;

/// Whoever waits for one sees so often whether it may go on to.
const STEP: Duration = Duration::from_millis(50);

/// What is to be looked for.
pub struct Wish {
    /// What it is compared with, to look for instances of what has grown.
    pub before: Option<Arc<Before>>,
    /// Instances are looked for where there are at least so many of a type.
    pub tracked: Vec<(String, u64)>,
    /// Bytes that the child may take.
    pub budget: usize,
    /// Seconds that it may take.
    pub seconds: u32,
}

/// What was found.
pub struct Taken {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Objects that should be dead, and were looked for.
    pub expected: Vec<dead::Sought>,
}

/// A snapshot that is being taken.
pub struct Job {
    /// What was asked before then is answered by it.
    pub began: Instant,
    result: Receiver<Result<Taken, String>>,
    reins: Arc<Reins>,
}

/// What ends a job.
#[derive(Default)]
struct Reins {
    ended: AtomicBool,
    child: Mutex<Option<Handle>>,
}

impl Job {
    /// Begins one; the thread is woken when it is done.
    pub fn start(wish: Wish, wake: Thread) -> io::Result<Job> {
        let (sender, result) = channel();
        let began = Instant::now();
        let reins = Arc::new(Reins::default());
        let own = Arc::clone(&reins);
        crate::thread::spawn("snapshot", STACK, move || {
            // The guard may have given up by then.
            let _ = sender.send(take(&wish, &own));
            wake.unpark();
        })?;
        Ok(Job { began, result, reins })
    }

    /// What came of it, once it is there.
    pub fn done(&self) -> Option<Result<Taken, String>> {
        match self.result.try_recv() {
            Ok(result) => Some(result),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(lost())),
        }
    }

    /// What came of it within a time, as long as there is time to wait. After that no child is there any more,
    /// and none will be.
    pub fn wait(&self, time: Duration, may_wait: impl Fn() -> bool) -> Result<Taken, String> {
        let began = Instant::now();
        loop {
            match self.result.recv_timeout(STEP) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Timeout) if began.elapsed() < time && may_wait() => {}
                Err(_) => break,
            }
        }
        self.reins.ended.store(true, Ordering::Release);
        if let Some(child) = &*self.reins.child.lock().unwrap_or_else(PoisonError::into_inner) {
            child.kill();
        }
        // The thread reaps the child, unless it is one that has to wait for the lock.
        match self.result.recv_timeout(Duration::from_secs(1)) {
            Ok(Ok(taken)) => Ok(taken),
            Err(RecvTimeoutError::Disconnected) => Err(lost()),
            _ => Err("looking through memory took too long".to_owned()),
        }
    }
}

fn lost() -> String {
    "the thread that looked through memory is gone".to_owned()
}

/// A census first, then who holds what has grown.
fn take(wish: &Wish, reins: &Reins) -> Result<Taken, String> {
    let taken = once(wish, reins, Vec::new())?;
    let census = &taken.snapshot.census;
    let mut types =
        wish.before.as_ref().map(|before| taken.snapshot.fastest(before)).unwrap_or_default();
    for (kind, least) in &wish.tracked {
        if census.types.get(kind).is_some_and(|count| count.count >= *least)
            && !types.contains(kind)
        {
            types.push(kind.clone());
        }
    }
    if types.is_empty() || !taken.snapshot.paths {
        return Ok(taken);
    }
    once(wish, reins, types)
}

fn once(wish: &Wish, reins: &Reins, types: Vec<String>) -> Result<Taken, String> {
    let begun = attach::attached(|| {
        tasks::find();
        let expected = dead::sought();
        if reins.ended.load(Ordering::Acquire) {
            return Err("nobody waits for it any longer".to_owned());
        }
        let request = Request {
            types,
            objects: expected.iter().map(|sought| sought.address).collect(),
            budget: wish.budget,
            seconds: wish.seconds,
            nice: 19,
            ..Request::default()
        };
        let running = snapshot::start(&request)?;
        let child = running.child();
        *reins.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        Ok((running, expected))
    });
    let (running, expected) = begun.unwrap_or_else(|| Err("Python is ending".to_owned()))?;
    Ok(Taken { snapshot: running.finish()?, expected })
}
