//! The launcher: decides, acts, exits.

#![no_main]

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt;

use pyrmware_launcher::{action, importer, interpreter, log};

/// The payload, page by page from the file when it is touched; never copied to the heap.
static PAYLOAD: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("PYRMWARE_PAYLOAD_FILE")));

/// Who must have signed the payload; none: it need not be signed.
const PUBLIC_KEY: Option<&str> = option_env!("PYRMWARE_PUBLIC_KEY");

/// Payload entries that are used as memory are aligned relative to the payload's start.
#[repr(C, align(4096))]
struct Aligned<T: ?Sized>(T);

/// The process's entry. Rust's own start-up code would change what the application must find as every
/// program finds it: it handles SIGSEGV and opens `/dev/null` in place of closed streams.
///
/// # Safety
/// Called by the C library, once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(count: c_int, words: *const *const c_char) -> c_int {
    importer::timing::begin();
    importer::remember_arguments(count, words);
    // SAFETY: the kernel passes `count` C strings, which live as long as the process.
    let arguments = (0..count.max(0) as usize)
        .map(|i| unsafe { OsStr::from_bytes(CStr::from_ptr(*words.add(i)).to_bytes()).to_owned() });
    let action = action::decide(&PAYLOAD.0, PUBLIC_KEY, arguments.collect());
    match action.and_then(|action| importer::sealed::unlock(&action).map(|()| action)) {
        Ok(action) => interpreter::run(action),
        Err(refusal) => {
            log::line(log::Priority::Error, &refusal.text);
            refusal.code
        }
    }
}
