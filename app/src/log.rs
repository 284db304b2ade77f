//! What the launcher itself has to say, and its exit codes.

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

/// The payload or the launcher itself is at fault.
pub const EXIT_PAYLOAD: i32 = 70;
/// Python could not start.
pub const EXIT_PYTHON: i32 = 71;
/// The application used too much memory and is to be started again.
pub const EXIT_RESTART: i32 = 75;
/// The launcher is built or called in a way that cannot work.
pub const EXIT_CONFIG: i32 = 78;

/// Syslog's priorities.
#[derive(Clone, Copy)]
pub enum Priority {
    /// The launcher cannot go on.
    Error = 3,
    /// It goes on.
    Warning = 4,
    /// Nothing is wrong.
    Notice = 5,
}

static NAME: OnceLock<String> = OnceLock::new();

/// Names the application in every later line.
pub fn set_name(name: &str) {
    let _ = NAME.set(name.to_owned());
}

/// One line on stderr; with a priority prefix (`<3>`) for the journal where that is no terminal.
pub fn line(priority: Priority, text: &str) {
    let name = NAME.get().map_or("pyrmware", String::as_str);
    let mut stderr = std::io::stderr().lock();
    let line = if stderr.is_terminal() {
        format!("{name}: {text}\n")
    } else {
        format!("<{}>{name}: {text}\n", priority as u8)
    };
    // Nobody is left to be told when stderr is closed.
    let _ = stderr.write_all(line.as_bytes());
}

/// One line, then the end of the process without any clean-up: what runs cannot be trusted any more.
pub fn fatal(code: i32, text: &str) -> ! {
    line(Priority::Error, text);
    // SAFETY: ends the process at once.
    unsafe { libc::_exit(code) }
}
