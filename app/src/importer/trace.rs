//! Which modules of the payload are asked for, in order, appended to the file that `PYRMWARE_TRACE`
//! names: the first finder of all writes a module's name when it is first asked for, and the last one
//! what nobody has found.
//!
//! Every line is written at once and the file is opened for it anew, so that nothing is lost however a
//! process ends, children by fork and by exec add to the same file, and a daemon may close what it likes.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::{class, first, source};
use crate::log;
use crate::object::{Obj, Py, function, import};

struct Trace {
    file: PathBuf,
    seen: Mutex<HashSet<String>>,
}

static TRACE: OnceLock<Trace> = OnceLock::new();

/// Traces from here on. Where the file cannot be written the application starts all the same.
pub fn record(path: &Path) {
    let opened = std::path::absolute(path)
        .and_then(|file| OpenOptions::new().append(true).create(true).open(&file).map(|_| file));
    match opened {
        Ok(file) => drop(TRACE.set(Trace { file, seen: Mutex::default() })),
        Err(error) => log::line(
            log::Priority::Warning,
            &format!("imports are not traced: {}: {error}", path.display()),
        ),
    }
}

/// Puts the tracer before every other finder.
pub fn install(native: &Obj) -> Py<()> {
    if TRACE.get().is_none() {
        return Ok(());
    }
    let class = class("Tracer", &[("find_spec", function!("find_spec", find_spec, native)?)])?;
    import("sys")?.attr("meta_path")?.insert(0, &class.call(&[])?)
}

/// Finds nothing, and tells what of the payload is asked for.
fn find_spec(args: &[Obj]) -> Py {
    if let Some(name) = first(args)?.plain()
        && source().payload.module(name).is_some()
    {
        tell(name);
    }
    Ok(Obj::none())
}

/// A line that is not there yet.
pub fn tell(line: &str) {
    let Some(trace) = TRACE.get() else { return };
    let mut seen = trace.seen.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.insert(line.to_owned())
        && let Ok(mut file) = OpenOptions::new().append(true).open(&trace.file)
    {
        // A file system that is full loses the trace, not the application.
        let _ = file.write_all(format!("{line}\n").as_bytes());
    }
}

/// Whether anything is traced.
pub fn is_on() -> bool {
    TRACE.get().is_some()
}
