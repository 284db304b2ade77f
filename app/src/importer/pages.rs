//! Pages of the payload that were read: they are in the launcher's file, and need not stay in memory.

use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::source;

/// A part of the payload was read. Its pages are in the file and come again when they are needed: when many
/// have gathered they are taken out of this process's memory.
pub fn has_read(bytes: usize) {
    /// The kernel maps this much around what is asked for.
    const AROUND: usize = 64 << 10;
    const MOST: usize = 4 << 20;
    static READ: AtomicUsize = AtomicUsize::new(0);
    if READ.fetch_add(bytes + AROUND, Ordering::Relaxed) > MOST {
        READ.store(0, Ordering::Relaxed);
        forget(source().payload.bytes());
    }
}

/// Takes pages of the payload out of this process's memory; they come again when they are read again.
pub fn forget(bytes: &[u8]) {
    let start = (bytes.as_ptr() as usize).next_multiple_of(size());
    let end = (bytes.as_ptr() as usize + bytes.len()) / size() * size();
    if start < end {
        let start = ptr::with_exposed_provenance_mut(start);
        // SAFETY: the payload is mapped from the launcher's file, and nobody writes to it.
        unsafe { libc::madvise(start, end - start as usize, libc::MADV_DONTNEED) };
    }
}

/// The size of a page.
pub fn size() -> usize {
    // SAFETY: a plain question to the C library.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}
