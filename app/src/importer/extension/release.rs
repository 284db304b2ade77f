//! Gives back what a memory file holds twice.
//!
//! The dynamic linker maps a shared object from the memory file, whose pages are nobody else's and
//! cannot be reclaimed. What is only read of it is in the launcher's own file, too, at whole pages:
//! once the object is loaded these parts are mapped from there instead, as those of a library on disk
//! would be, and the memory file keeps what the object may write to.

use std::ffi::{CStr, c_int, c_void};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::ptr;
use std::sync::OnceLock;

use libc::{PF_W, PF_X, PT_DYNAMIC, PT_LOAD};

use crate::importer::pages;

/// The launcher's file, and where in it the payload starts.
pub struct Home {
    file: &'static File,
    payload: u64,
}

/// A part of a shared object: addresses and offsets in its file are of whole pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    pub address: usize,
    offset: u64,
    pub length: usize,
    writable: bool,
    pub executable: bool,
}

/// What the dynamic linker says of a loaded object.
#[derive(Default)]
pub struct Loaded {
    /// What is added to addresses as the file has them.
    pub base: usize,
    pub segments: Vec<Segment>,
    /// Code was changed while it was loaded.
    text_relocations: bool,
}

/// Maps what is only read of a shared object from the launcher's file, and frees it in the memory file
/// from which it was loaded. Where anything is in the way the object stays as it is.
///
/// `payload` is the payload as a whole, `bytes` the object's place in it. Gives the object if that was done.
pub fn release(path: &CStr, memory: &File, payload: &[u8], bytes: &[u8]) -> Option<Loaded> {
    let (home, start) = place(payload, bytes)?;
    let object = loaded(path);
    if object.text_relocations || object.segments.is_empty() {
        return None;
    }
    let mut done = true;
    let mut keep: Vec<(u64, u64)> = Vec::new();
    for segment in &object.segments {
        let inside = segment.offset < bytes.len() as u64;
        if segment.writable || !inside || !replace(home, start, segment) {
            keep.push((segment.offset, segment.offset + segment.length as u64));
            done &= segment.writable;
        }
    }
    keep.sort_unstable();
    let mut at = 0;
    for (from, to) in keep.into_iter().chain([(bytes.len() as u64, u64::MAX)]) {
        if from > at {
            punch(memory, at, from - at);
        }
        at = at.max(to);
    }
    done.then_some(object)
}

/// The launcher's file and where in it these bytes of the payload are, if they can be mapped from there.
pub fn place(payload: &[u8], bytes: &[u8]) -> Option<(&'static Home, u64)> {
    let home = home(payload)?;
    let start = home.payload + (bytes.as_ptr() as usize - payload.as_ptr() as usize) as u64;
    start.is_multiple_of(pages::size() as u64).then_some((home, start))
}

/// The payload's file, if it is the one that is in memory: the program that runs, or an update.
fn home(payload: &[u8]) -> Option<&'static Home> {
    static HOME: OnceLock<Option<Home>> = OnceLock::new();
    let find = || {
        if let Some(file) = crate::update::file() {
            // It was mapped from there.
            return Some(Home { file, payload: 0 });
        }
        let offset = offset_of(payload.as_ptr() as usize)?;
        let file = File::open("/proc/self/exe").ok()?;
        // Who has replaced it, or stands between us and the kernel, gives another one.
        for at in [0, payload.len().saturating_sub(PROBE)] {
            let mut bytes = [0; PROBE];
            file.read_exact_at(&mut bytes, offset + at as u64).ok()?;
            if payload.get(at..at + PROBE)? != bytes {
                return None;
            }
        }
        // Never closed, as an update's is not.
        Some(Home { file: Box::leak(Box::new(file)), payload: offset })
    };
    HOME.get_or_init(find).as_ref()
}

const PROBE: usize = 64;

/// Where an address of the launcher itself is in its file.
fn offset_of(address: usize) -> Option<u64> {
    let mut found = None;
    each_object(|object| {
        let own = headers(object).iter().filter(|header| header.p_type == PT_LOAD).find(|header| {
            let start = object.dlpi_addr as usize + header.p_vaddr as usize;
            (start..start + header.p_filesz as usize).contains(&address)
        });
        found = own.map(|header| {
            let start = object.dlpi_addr as usize + header.p_vaddr as usize;
            file_offset(header) + (address - start) as u64
        });
        found.is_some()
    });
    found
}

/// The segments of the object that was opened by this path.
fn loaded(path: &CStr) -> Loaded {
    let mut loaded = Loaded::default();
    let page = pages::size();
    each_object(|object| {
        // SAFETY: the name is a C string, or null.
        if object.dlpi_name.is_null() || unsafe { CStr::from_ptr(object.dlpi_name) } != path {
            return false;
        }
        let base = object.dlpi_addr as usize;
        loaded.base = base;
        for header in headers(object) {
            let address = base + header.p_vaddr as usize;
            if header.p_type == PT_DYNAMIC {
                loaded.text_relocations = has_text_relocations(address, header.p_memsz as usize);
            }
            if header.p_type == PT_LOAD && header.p_filesz > 0 {
                let before = address % page;
                loaded.segments.push(Segment {
                    address: address - before,
                    offset: file_offset(header) - before as u64,
                    length: (before + header.p_filesz as usize).next_multiple_of(page),
                    writable: header.p_flags & PF_W != 0,
                    executable: header.p_flags & PF_X != 0,
                });
            }
        }
        true
    });
    loaded
}

/// Whether the dynamic section at this address says that code is relocated.
fn has_text_relocations(address: usize, length: usize) -> bool {
    const DT_TEXTREL: usize = 22;
    const DT_FLAGS: usize = 30;
    const DF_TEXTREL: usize = 4;
    let count = length / size_of::<[usize; 2]>();
    // SAFETY: the section is mapped as long as the object, which stays loaded.
    let entries = unsafe { std::slice::from_raw_parts(address as *const [usize; 2], count) };
    entries
        .iter()
        .any(|[tag, value]| *tag == DT_TEXTREL || (*tag == DT_FLAGS && value & DF_TEXTREL != 0))
}

/// Puts the launcher's file in the place of a segment; whether that was done.
fn replace(home: &Home, start: u64, segment: &Segment) -> bool {
    let protection = libc::PROT_READ | if segment.executable { libc::PROT_EXEC } else { 0 };
    let Ok(offset) = libc::off_t::try_from(start + segment.offset) else { return false };
    // SAFETY: the pages belong to a loaded object that is never unloaded, nobody writes to them, and the same
    // bytes take their place at once; if the call fails they stay.
    let placed = unsafe {
        libc::mmap(
            ptr::with_exposed_provenance_mut::<c_void>(segment.address),
            segment.length,
            protection,
            libc::MAP_PRIVATE | libc::MAP_FIXED,
            home.file.as_raw_fd(),
            offset,
        )
    };
    placed != libc::MAP_FAILED
}

/// Frees a range of a memory file, as far as it is whole pages.
fn punch(memory: &File, offset: u64, length: u64) {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: a plain system call on a descriptor of ours; nothing maps that range any more.
    unsafe { libc::fallocate(memory.as_raw_fd(), mode, offset as _, length as _) };
}

#[cfg(target_pointer_width = "64")]
type Header = libc::Elf64_Phdr;
#[cfg(target_pointer_width = "32")]
type Header = libc::Elf32_Phdr;

#[cfg(target_pointer_width = "64")]
fn file_offset(header: &Header) -> u64 {
    header.p_offset
}

#[cfg(target_pointer_width = "32")]
fn file_offset(header: &Header) -> u64 {
    header.p_offset.into()
}

fn headers(object: &libc::dl_phdr_info) -> &[Header] {
    // SAFETY: the dynamic linker gives as many headers as it says, which live as long as the object.
    unsafe { std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()) }
}

/// Calls `visit` for each loaded object, the launcher first, until it says that it is done.
fn each_object<F: FnMut(&libc::dl_phdr_info) -> bool>(mut visit: F) {
    unsafe extern "C" fn step<F: FnMut(&libc::dl_phdr_info) -> bool>(
        object: *mut libc::dl_phdr_info,
        _: usize,
        visit: *mut c_void,
    ) -> c_int {
        // SAFETY: the dynamic linker passes a live object, and `visit` as it was given below.
        unsafe { (*visit.cast::<F>())(&*object).into() }
    }
    // SAFETY: `visit` lives during the call.
    unsafe { libc::dl_iterate_phdr(Some(step::<F>), (&raw mut visit).cast()) };
}
