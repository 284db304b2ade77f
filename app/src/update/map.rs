//! A file as memory: read page by page when it is touched, never copied to the heap.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};

/// A mapped file. It must not become shorter meanwhile, which whoever may write to it has in hand: updates are
/// replaced, never written over.
pub struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

impl Default for Mapping {
    /// Of an empty file.
    fn default() -> Mapping {
        Mapping { start: NonNull::dangling(), length: 0 }
    }
}

impl Mapping {
    /// Maps a file for reading; an empty one needs no mapping.
    ///
    /// # Errors
    /// It is too large, or the kernel cannot map it.
    pub fn of(file: &File) -> io::Result<Mapping> {
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        if length == 0 {
            return Ok(Mapping::default());
        }
        let (read, private) = (libc::PROT_READ, libc::MAP_PRIVATE);
        // SAFETY: a new mapping of a file that is open, wherever there is room.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), length, read, private, file.as_raw_fd(), 0) };
        match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast::<libc::c_void>() != libc::MAP_FAILED => {
                Ok(Mapping { start, length })
            }
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// What the file holds.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for reading until this is dropped, or nothing.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }

    /// It stays mapped for as long as the process runs.
    pub fn keep(self) -> &'static [u8] {
        let mapping = std::mem::ManuallyDrop::new(self);
        // SAFETY: as above, and it is never dropped.
        unsafe { std::slice::from_raw_parts(mapping.start.as_ptr(), mapping.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: this mapping is its own, and nobody can have a reference into it any more.
            unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
        }
    }
}
