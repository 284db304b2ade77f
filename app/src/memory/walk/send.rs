//! What the child says: lines of fields, written to a pipe out of a buffer on the stack.

use super::heap::{Text, Type};

/// Between the fields of a line.
pub const FIELD: char = '\t';
/// Between the steps of a path.
pub const STEP: char = '\u{1f}';

/// Longer texts are cut: keys may be anything.
const LONGEST_TEXT: usize = 60;

pub struct Sender {
    pipe: i32,
    buffer: [u8; 4096],
    len: usize,
}

impl Sender {
    pub fn new(pipe: i32) -> Sender {
        Sender { pipe, buffer: [0; 4096], len: 0 }
    }

    pub fn begin(&mut self, kind: char) {
        self.char(kind);
        self.char(FIELD);
    }

    pub fn end(&mut self) {
        self.char('\n');
    }

    pub fn separator(&mut self) {
        self.char(FIELD);
    }

    /// A field.
    pub fn number(&mut self, mut value: u64) {
        self.separator();
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        self.raw(&digits[at..]);
    }

    /// A character as it is.
    pub fn char(&mut self, char: char) {
        self.raw(char.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// Text of this program.
    pub fn str(&mut self, text: &str) {
        self.raw(text.as_bytes());
    }

    /// Text of the application: control characters are replaced, long ones cut.
    pub fn text(&mut self, text: Text) {
        for char in text.chars().take(LONGEST_TEXT) {
            self.char(if char.is_control() { '?' } else { char });
        }
        if text.len > LONGEST_TEXT {
            self.char('…');
        }
    }

    fn raw(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.len == self.buffer.len() {
                self.flush();
            }
            self.buffer[self.len] = *byte;
            self.len += 1;
        }
    }

    pub fn flush(&mut self) {
        let mut rest = &self.buffer[..self.len];
        while !rest.is_empty() {
            // SAFETY: a system call on memory that is there. A reader that is gone ends this process by SIGPIPE.
            let written = unsafe { libc::write(self.pipe, rest.as_ptr().cast(), rest.len()) };
            if written > 0 {
                rest = &rest[written as usize..];
            } else if std::io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
                break; // nobody can be told
            }
        }
        self.len = 0;
    }
}

/// The full name of a type: `module.Class.Inner`, and plain for built-in ones.
pub fn type_name(sender: &mut Sender, kind: Type) {
    match (kind.module(), kind.qualname()) {
        (Some(module), Some(name)) => {
            if !module.is("builtins") {
                sender.text(module);
                sender.char('.');
            }
            sender.text(name);
        }
        _ => c_name(sender, kind.c_name()),
    }
}

/// The last part of a type's name.
pub fn short_name(sender: &mut Sender, kind: Type) {
    let name = kind.c_name();
    let start = name.iter().rposition(|byte| *byte == b'.').map_or(0, |dot| dot + 1);
    c_name(sender, &name[start..]);
}

fn c_name(sender: &mut Sender, name: &[u8]) {
    for byte in name.iter().take(LONGEST_TEXT * 2) {
        sender.raw(&[if byte.is_ascii_control() { b'?' } else { *byte }]);
    }
}

/// Whether this is the type of that full name.
pub fn is_named(kind: Type, name: &str) -> bool {
    match (kind.module(), kind.qualname()) {
        (Some(module), Some(qualname)) => {
            let own = module.chars().chain(['.']).chain(qualname.chars());
            own.eq(name.chars()) || module.is("builtins") && qualname.is(name)
        }
        _ => kind.c_name() == name.as_bytes(),
    }
}
