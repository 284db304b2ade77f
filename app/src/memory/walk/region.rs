//! Memory of the walking child: mapped by itself, taken from the kernel page by page as it is used.
//! `malloc` may have been in use by another thread at the moment of the fork.

use std::marker::PhantomData;
use std::ptr::{self, NonNull};

/// A growing array of plain values whose address space is set aside at once.
pub struct Region<T: Copy> {
    start: NonNull<T>,
    len: usize,
    capacity: usize,
    _values: PhantomData<T>,
}

impl<T: Copy> Region<T> {
    /// None where the kernel has no address space left.
    pub fn with_capacity(capacity: usize) -> Option<Region<T>> {
        let bytes = capacity.checked_mul(size_of::<T>())?.max(1);
        // SAFETY: a new private mapping; nothing else is touched. It is zeroed and page-aligned.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return None;
        }
        Some(Region { start: NonNull::new(start.cast())?, len: 0, capacity, _values: PhantomData })
    }

    /// Adds a value; false where there is no room.
    pub fn push(&mut self, value: T) -> bool {
        if self.len == self.capacity {
            return false;
        }
        // SAFETY: below the capacity that was mapped.
        unsafe { self.start.as_ptr().add(self.len).write(value) };
        self.len += 1;
        true
    }

    /// Makes the array this long with `value`s, or leaves it; false where there is no room.
    pub fn grow(&mut self, len: usize, value: T) -> bool {
        while self.len < len {
            if !self.push(value) {
                return false;
            }
        }
        true
    }

    /// Makes the array this long at once, with what fresh memory holds.
    ///
    /// # Safety
    /// All bits zero are a value of `T`, and nothing was ever pushed.
    pub unsafe fn zeroed(&mut self, len: usize) {
        assert!(self.len == 0 && len <= self.capacity);
        self.len = len;
    }
}

impl<T: Copy> std::ops::Deref for Region<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: `len` values were written, or are zeroed memory that is a value.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T: Copy> std::ops::DerefMut for Region<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<T: Copy> Drop for Region<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no borrow outlives `self`.
        unsafe {
            libc::munmap(self.start.as_ptr().cast(), (self.capacity * size_of::<T>()).max(1))
        };
    }
}
