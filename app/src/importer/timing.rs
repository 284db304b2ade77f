//! The course of the start, recorded when `PYRMWARE_STARTUP` names a file: which module was loaded
//! when, for how long and on whose behalf.
//!
//! Off, a span costs one atomic load. On, lines are collected in memory and written whenever no
//! import is going on, so that an application that is killed later leaves what there was.

use std::cell::Cell;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Instant, SystemTime};

use pyrmware_payload::startup::Event;

use crate::log;
use crate::object::{self, Obj, Py, Raised};

struct Recorder {
    began: Instant,
    /// A process that is forked has the recorder too, and must leave the file alone.
    process: u32,
    output: Mutex<Output>,
}

struct Output {
    file: File,
    lines: String,
}

static BEGAN: OnceLock<(Instant, SystemTime)> = OnceLock::new();
static RECORDER: OnceLock<Recorder> = OnceLock::new();
static THREADS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static THREAD: u32 = THREADS.fetch_add(1, Ordering::Relaxed);
    /// Spans that are open in this thread.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Time zero, for what is recorded later.
pub fn begin() {
    let _ = BEGAN.set((Instant::now(), SystemTime::now()));
}

/// Records from here on into a file. Where it cannot be written the application starts all the same.
pub fn record(path: &Path) {
    let file = match File::create(path) {
        Ok(file) => file,
        Err(error) => {
            let text = format!("the start is not recorded: {}: {error}", path.display());
            return log::line(log::Priority::Warning, &text);
        }
    };
    begin();
    let (began, wall) = *BEGAN.get().expect("set by begin");
    let unix = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    let output = Mutex::new(Output { file, lines: format!("{}\n", Event::Begin { unix }) });
    let _ = RECORDER.set(Recorder { began, process: std::process::id(), output });
}

/// A point of the start is passed.
pub fn mark(name: &str) {
    if let Some(recorder) = RECORDER.get() {
        recorder.write(Event::Mark { at: recorder.now(), name }, true);
    }
}

/// The time until it is dropped.
#[must_use = "the span ends when it is dropped"]
pub struct Span(Option<&'static Recorder>);

/// A module is being loaded until the span is dropped.
pub fn enter(name: &Obj) -> Span {
    let recorder = RECORDER.get();
    if let Some(recorder) = recorder {
        let asker = asker().map_err(Raised::forget).ok().flatten();
        let (by, function, line) = match &asker {
            Some((by, function, line)) => (by.plain(), function.plain(), *line),
            None => (None, None, 0),
        };
        let event = Event::Enter {
            at: recorder.now(),
            thread: THREAD.with(|thread| *thread),
            module: name.plain().unwrap_or_default(),
            by: by.unwrap_or_default(),
            function: function.unwrap_or_default(),
            line,
        };
        recorder.write(event, false);
        DEPTH.set(DEPTH.get() + 1);
    }
    Span(recorder)
}

impl Drop for Span {
    /// An exception may be set: nothing of Python is touched.
    fn drop(&mut self) {
        if let Some(recorder) = self.0 {
            let depth = DEPTH.get() - 1;
            DEPTH.set(depth);
            let thread = THREAD.with(|thread| *thread);
            recorder.write(Event::Leave { at: recorder.now(), thread }, depth == 0);
        }
    }
}

impl Recorder {
    fn now(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    fn write(&self, event: Event<'_>, through: bool) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let Output { file, lines } = &mut *output;
        // Writing to a string cannot fail; a file system that is full loses the record, not the application.
        let _ = writeln!(lines, "{event}");
        if through {
            if std::process::id() == self.process {
                let _ = file.write_all(lines.as_bytes());
            }
            lines.clear();
        }
    }
}

/// Module, function and line of the code that asks for a module: the first frame that is not importlib's.
pub fn asker() -> Py<Option<(Obj, Obj, u32)>> {
    let mut at = object::frame();
    while let Some(frame) = at {
        let code = frame.attr("f_code")?;
        if !code.attr("co_filename")?.plain().is_some_and(|file| file.starts_with("<frozen import"))
        {
            let by = frame.attr("f_globals")?.attr("get")?.call(&[&Obj::str("__name__")?])?;
            let line = frame.attr("f_lineno")?.to_int().map_err(Raised::forget).unwrap_or_default();
            return Ok(Some((by, code.attr("co_name")?, line as u32)));
        }
        let back = frame.attr("f_back")?;
        at = (!back.is(&Obj::none())).then_some(back);
    }
    Ok(None)
}
