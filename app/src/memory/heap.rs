//! What Python's heap and the C library's hold: asked for every now and then, and told by every full
//! collection.
//!
//! Only the main thread can count, since it takes the interpreter's lock: it is asked to, and does so when
//! it next runs Python code. Counting costs microseconds, and a collection what it costs.

use std::ffi::{c_int, c_void};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};

use pyo3_ffi as ffi;

use super::trend::{Heap, Malloc};
use super::{attach, collector, dead, tasks};
use crate::object::{Obj, Py, import, without_exception};

const NOTHING: u8 = 0;
const COUNT: u8 = 1;
const COLLECT: u8 = 2;

static WANTED: AtomicU8 = AtomicU8::new(NOTHING);
static HEAP: Mutex<Option<Heap>> = Mutex::new(None);
/// Whether the main thread has been asked and has not answered yet.
static ASKED: AtomicBool = AtomicBool::new(false);
/// Bytes in use when the collection that goes on began.
static BEFORE: AtomicU64 = AtomicU64::new(0);
/// Bytes in the arenas of Python's allocator.
static ARENAS: AtomicI64 = AtomicI64::new(0);

/// Has the main thread count what there is, garbage included.
pub fn count() {
    ask(COUNT);
}

/// Has the main thread collect all garbage and count what is left.
pub fn collect() {
    ask(COLLECT);
}

/// What was counted since this was asked for the last time.
pub fn counted() -> Option<Heap> {
    HEAP.try_lock().ok()?.take()
}

fn ask(what: u8) {
    WANTED.fetch_max(what, Ordering::AcqRel);
    if !ASKED.swap(true, Ordering::AcqRel) {
        // SAFETY: may be called from any thread, also without the interpreter's lock, while there is an
        // interpreter.
        let add = || unsafe { ffi::Py_AddPendingCall(Some(answer), std::ptr::null_mut()) };
        if attach::while_open(add) != Some(0) {
            ASKED.store(false, Ordering::Release);
        }
    }
}

extern "C" fn answer(_: *mut c_void) -> c_int {
    ASKED.store(false, Ordering::Release);
    let what = WANTED.swap(NOTHING, Ordering::AcqRel);
    without_exception(|| match what {
        COLLECT => collect_here(),
        _ => {
            tasks::find();
            look().map(put)
        }
    });
    0
}

/// Collects in this thread, which has the interpreter's lock. `PyGC_Collect` does nothing where the
/// application has switched the collector off; this does.
pub fn collect_here() -> Py<()> {
    import("gc")?.attr("collect")?.call(&[]).map(drop)
}

/// `gc.callbacks`: counts what a full collection gives back, and what it leaves.
pub fn at_collection(args: &[Obj]) -> Py {
    const OLDEST: i64 = 2;
    let [phase, info, ..] = args else { return Ok(Obj::none()) };
    let generation = info.attr("get")?.call(&[&Obj::str("generation")?])?.to_int()?;
    if phase.plain() == Some("start") {
        collector::began()?;
    }
    match phase.plain() {
        Some("start") if generation == OLDEST => BEFORE.store(look()?.in_use(), Ordering::Relaxed),
        Some("stop") if generation == OLDEST => {
            let heap = look()?;
            let garbage = BEFORE.load(Ordering::Relaxed).saturating_sub(heap.in_use());
            put(Heap { garbage: Some(garbage), ..heap });
            dead::collected();
            tasks::find();
        }
        _ => {}
    }
    Ok(Obj::none())
}

/// What there is now, garbage included. Called with the interpreter's lock.
///
/// # Errors
/// An exception is set.
pub fn look() -> Py<Heap> {
    let blocks = import("sys")?.attr("getallocatedblocks")?.call(&[])?.to_int()?;
    Ok(Heap {
        objects: 0,
        blocks: blocks as u64,
        garbage: None,
        arenas: Some(ARENAS.load(Ordering::Relaxed).max(0) as u64),
        malloc: malloc(),
    })
}

/// Nobody waits: in a process that was forked while the guard had the lock, it would be for ever. What a
/// collection has told is not lost to a mere count.
fn put(heap: Heap) {
    if let Ok(mut place) = HEAP.try_lock()
        && (heap.garbage.is_some() || place.is_none())
    {
        *place = Some(heap);
    }
}

fn malloc() -> Option<Malloc> {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: fills a structure of numbers.
        let info = unsafe { libc::mallinfo2() };
        let used = (info.uordblks + info.hblkhd) as u64;
        Some(Malloc { used, free: info.fordblks as u64 })
    }
    #[cfg(not(target_env = "gnu"))]
    None
}

/// Python's allocator tells nobody how much it holds: its arenas are counted as they come and go. Called
/// before Python starts.
pub fn watch_arenas() {
    // SAFETY: the allocator is copied before anybody uses it, and what takes its place calls the copy.
    unsafe {
        let mut arena: ffi::PyObjectArenaAllocator = std::mem::zeroed();
        ffi::PyObject_GetArenaAllocator(&mut arena);
        let first = Box::leak(Box::new(arena));
        arena.ctx = std::ptr::from_mut(first).cast();
        arena.alloc = Some(allocate);
        arena.free = Some(free);
        ffi::PyObject_SetArenaAllocator(&mut arena);
    }
}

extern "C" fn allocate(first: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the copy of `watch_arenas`, which lives for ever.
    let arena = unsafe {
        let first = &*first.cast::<ffi::PyObjectArenaAllocator>();
        first.alloc.map_or(std::ptr::null_mut(), |alloc| alloc(first.ctx, size))
    };
    if !arena.is_null() {
        ARENAS.fetch_add(size as i64, Ordering::Relaxed);
    }
    arena
}

extern "C" fn free(first: *mut c_void, arena: *mut c_void, size: usize) {
    ARENAS.fetch_sub(size as i64, Ordering::Relaxed);
    // SAFETY: as above; the arena came from there.
    unsafe {
        let first = &*first.cast::<ffi::PyObjectArenaAllocator>();
        if let Some(free) = first.free {
            free(first.ctx, arena, size);
        }
    }
}
