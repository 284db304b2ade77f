//! Loads a shared object of which a memory file has no more than the dynamic linker reads.
//!
//! Its code and constants are mapped from the launcher's file once the linker is done, so that only the pages
//! that are used are ever read. Until then nothing of it may run: the linker is told that it has no functions
//! to be called, and they are called afterwards.

use std::ffi::{CString, c_char, c_int};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

use pyrmware_payload::{self as payload, Load, Starters};

use super::release::{self, Loaded};
use super::{empty, loaded, path_of, refused, seal};
use crate::importer::{intact, pages, source};
use crate::log::{self, EXIT_PAYLOAD};

/// Loads it and gives the path by which the dynamic linker knows it, as it does when it is loaded already.
/// None: the payload or this system does not have what it takes, or the linker refuses; then it is to be
/// loaded as a whole.
pub fn load(file: &payload::File<'_>, flags: c_int) -> Option<String> {
    if let Some(path) = loaded().get(file.path) {
        return Some(path.clone());
    }
    let load = file.load.as_ref()?;
    // Code is mapped without being read here: of a signed payload that costs reading all of it.
    intact(file.verified());
    release::place(source().payload.bytes(), file.unchecked())?;
    let silence = Silence::of(&load.starters, file.unchecked())?;
    let memory = memory_file(file, load, &silence);
    let path = path_of(&memory);
    let name = CString::new(path.as_str()).ok()?;
    // SAFETY: the linker maps and relocates the object; none of its functions runs.
    if unsafe { libc::dlopen(name.as_ptr(), flags) }.is_null() {
        return None;
    }
    let object = release::release(&name, &memory, source().payload.bytes(), file.unchecked());
    let Some(object) = object.filter(|object| fits(object, &load.starters)) else {
        let text = format!("{} cannot be mapped from the launcher's file", file.path);
        log::fatal(EXIT_PAYLOAD, &text);
    };
    seal(&memory);
    loaded().insert(file.path.to_owned(), path.clone());
    start(&object, &load.starters);
    Some(path)
}

fn memory_file(file: &payload::File<'_>, load: &Load<'_>, silence: &Silence) -> File {
    let memory = empty(file);
    let written = |done: std::io::Result<()>| {
        done.unwrap_or_else(|_| refused("writing a memory file", file));
    };
    written(memory.set_len(file.len() as u64));
    intact(load.parts(|offset, part| {
        written(memory.write_all_at(part, offset as u64));
        pages::forget(part);
    }));
    for (offset, word) in &silence.0 {
        written(memory.write_all_at(&word.to_ne_bytes(), *offset as u64));
    }
    memory
}

/// Words of the dynamic section with which it has no functions to be called.
struct Silence(Vec<(usize, usize)>);

impl Silence {
    /// None where the section is not as the payload says.
    fn of(starters: &Starters, bytes: &[u8]) -> Option<Silence> {
        const WORD: usize = size_of::<usize>();
        const DT_INIT: usize = 12;
        const DT_INIT_ARRAYSZ: usize = 27;
        /// In none of the ranges that mean something.
        const NOTHING: usize = 0x6000_000c;
        let is = |at: usize, tag: usize, value: u32| {
            let word = |at: usize| bytes.get(at..at.checked_add(WORD)?);
            word(at) == Some(&tag.to_ne_bytes())
                && word(at + WORD) == Some(&(value as usize).to_ne_bytes())
        };
        let mut words = Vec::new();
        let (init, array) = (starters.init_entry as usize, starters.array_entry as usize);
        if init != 0 {
            words.push(is(init, DT_INIT, starters.init).then_some((init, NOTHING))?);
        }
        if array != 0 {
            let right = is(array, DT_INIT_ARRAYSZ, starters.array_bytes);
            words.push(right.then_some((array + WORD, 0))?);
        }
        Some(Silence(words))
    }
}

/// Whether what is to be called lies in the object.
fn fits(object: &Loaded, starters: &Starters) -> bool {
    let within = |address: u32, length: u32, executable: bool| {
        let start = object.base.wrapping_add(address as usize);
        object.segments.iter().filter(|segment| segment.executable || !executable).any(|segment| {
            let inside = start.checked_sub(segment.address);
            let end = inside.and_then(|inside| inside.checked_add(length as usize));
            end.is_some_and(|end| end <= segment.length)
        })
    };
    (starters.init_entry == 0 || within(starters.init, 1, true))
        && (starters.array_entry == 0
            || starters.array_bytes == 0
            || within(starters.array, starters.array_bytes, false))
}

static COUNT: AtomicI32 = AtomicI32::new(0);
static WORDS: AtomicPtr<*const c_char> = AtomicPtr::new(ptr::null_mut());

/// What `main` was called with: functions that run when a library is loaded are given it.
pub fn remember_arguments(count: c_int, words: *const *const c_char) {
    COUNT.store(count, Ordering::Relaxed);
    WORDS.store(words.cast_mut(), Ordering::Relaxed);
}

unsafe extern "C" {
    static environ: *const *const c_char;
}

type Starter = unsafe extern "C" fn(c_int, *const *const c_char, *const *const c_char);

/// Does what the dynamic linker was kept from.
fn start(object: &Loaded, starters: &Starters) {
    let call = |address: usize| {
        let function = ptr::with_exposed_provenance::<()>(address);
        // SAFETY: the object names this function for just this purpose, all of it is mapped and relocated, and
        // the linker has not called it. Nobody else changes the pointer to the environment meanwhile: the
        // interpreter's lock is held.
        unsafe {
            let function: Starter = std::mem::transmute(function);
            let words: *const *const c_char = WORDS.load(Ordering::Relaxed);
            function(COUNT.load(Ordering::Relaxed), words, environ);
        }
    };
    if starters.init_entry != 0 {
        call(object.base + starters.init as usize);
    }
    if starters.array_entry != 0 {
        let array = ptr::with_exposed_provenance::<usize>(object.base + starters.array as usize);
        for index in 0..starters.array_bytes as usize / size_of::<usize>() {
            // SAFETY: the array is inside the object, whose linker has relocated it.
            call(unsafe { array.add(index).read() });
        }
    }
}
