//! The launcher: decides, acts, exits.

mod action;
mod importer;
mod interpreter;
mod log;
mod object;

use std::process::ExitCode;

/// The payload, page by page from the file when it is touched; never copied to the heap.
static PAYLOAD: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("PYRMWARE_PAYLOAD_FILE")));

/// Payload entries that are used as memory are aligned relative to the payload's start.
#[repr(C, align(4096))]
struct Aligned<T: ?Sized>(T);

fn main() -> ExitCode {
    let code = match action::decide(&PAYLOAD.0) {
        Ok(action) => interpreter::run(action),
        Err(refusal) => {
            log::line(log::Priority::Error, &refusal.text);
            refusal.code
        }
    };
    // A shell sees the low eight bits, of Python's exit codes as of all others.
    ExitCode::from(code as u8)
}
