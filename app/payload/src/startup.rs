//! What a launcher writes about its own start when `PYRMWARE_STARTUP` names a file: one event per
//! line, fields between tabs, times in nanoseconds since the launcher's `main`.

use std::fmt;

/// One line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The launcher's `main` was entered. Always the first.
    Begin {
        /// By the wall clock, since 1970: what came before it is known to whoever started the process.
        unix: u64,
    },
    /// A point of the start was passed: one of [`marks`].
    Mark {
        /// When.
        at: u64,
        /// Which.
        name: &'a str,
    },
    /// A module begins to be loaded.
    Enter {
        /// When.
        at: u64,
        /// Threads are numbered in the order in which they first import.
        thread: u32,
        /// The module's name.
        module: &'a str,
        /// The module whose code asked for it; empty: the launcher itself.
        by: &'a str,
        /// The function that asked for it, or `<module>`.
        function: &'a str,
        /// The line that asked for it.
        line: u32,
    },
    /// The module that this thread entered last has been loaded, or has failed.
    Leave {
        /// When.
        at: u64,
        /// As in [`Event::Enter`].
        thread: u32,
    },
}

/// The points of a start, in order.
pub mod marks {
    /// The interpreter's core is there: types, built-in modules.
    pub const CORE: &str = "core";
    /// `importlib`, codecs and the standard streams are there.
    pub const PYTHON: &str = "python";
    /// The application's first line is the next thing that runs.
    pub const MAIN: &str = "main";
    /// The application has returned.
    pub const END: &str = "end";
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Begin { unix } => write!(f, "begin\t{unix}"),
            Event::Mark { at, name } => write!(f, "mark\t{at}\t{name}"),
            Event::Enter { at, thread, module, by, function, line } => {
                write!(f, "enter\t{at}\t{thread}\t{module}\t{by}\t{function}\t{line}")
            }
            Event::Leave { at, thread } => write!(f, "leave\t{at}\t{thread}"),
        }
    }
}

impl<'a> Event<'a> {
    /// Reads a line without its end; none when it is no event.
    pub fn parse(line: &'a str) -> Option<Event<'a>> {
        let mut fields = line.split('\t');
        let kind = fields.next()?;
        let at = fields.next()?.parse().ok()?;
        let event = match kind {
            "begin" => Event::Begin { unix: at },
            "mark" => Event::Mark { at, name: fields.next()? },
            "enter" => Event::Enter {
                at,
                thread: fields.next()?.parse().ok()?,
                module: fields.next()?,
                by: fields.next()?,
                function: fields.next()?,
                line: fields.next()?.parse().ok()?,
            },
            "leave" => Event::Leave { at, thread: fields.next()?.parse().ok()? },
            _ => return None,
        };
        fields.next().is_none().then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        for event in [
            Event::Begin { unix: 1_700_000_000_000_000_000 },
            Event::Mark { at: 5, name: marks::MAIN },
            Event::Enter {
                at: 6,
                thread: 0,
                module: "json.decoder",
                by: "",
                function: "<module>",
                line: 106,
            },
            Event::Leave { at: 7, thread: 1 },
        ] {
            assert_eq!(Event::parse(&event.to_string()), Some(event));
        }
    }

    #[test]
    fn anything_else_is_no_event() {
        for line in ["", "begin", "begin\tx", "leave\t1", "leave\t1\t0\t0", "mark\t1", "end\t1"] {
            assert_eq!(Event::parse(line), None, "{line:?}");
        }
    }
}
