//! The end of a process in which the application ran and which another one follows at once.
//!
//! `Py_FinalizeEx` frees one object after the other, in memory that is shared with the zygote: every page that
//! it touches is copied first, only to be thrown away, and the next worker waits for it. So the interpreter is
//! not taken apart, as in children that `multiprocessing` has forked. What programs rely on is done: threads are
//! waited for, functions of `atexit` are called, files are closed, which otherwise happens to them when they
//! are freed. `__del__` of what is still alive is not called; Python does not promise that it is.

use std::ffi::CStr;

use pyo3_ffi as ffi;

use crate::object::{Obj, Py, import, without_exception};

/// Ends what runs in Python, which is not used after this.
pub fn depart() {
    without_exception(|| match loaded("threading")? {
        Some(threading) => threading.attr("_shutdown")?.call(&[]).map(drop),
        None => Ok(()),
    });
    without_exception(|| import("atexit")?.attr("_run_exitfuncs")?.call(&[]).map(drop));
    without_exception(close_files);
}

/// A module that was imported.
fn loaded(name: &str) -> Py<Option<Obj>> {
    let modules = import("sys")?.attr("modules")?;
    let module = modules.attr("get")?.call(&[&Obj::str(name)?])?;
    Ok((!module.is(&Obj::none())).then_some(module))
}

/// Closes all files that have something to write, those first that write into others.
fn close_files() -> Py<()> {
    let base = import("_io")?.attr("_IOBase")?;
    let objects = import("gc")?.attr("get_objects")?.call(&[])?.items()?;
    let mut files: Vec<(u8, &Obj)> =
        objects.iter().filter_map(|object| Some((writes(object, &base)?, object))).collect();
    files.sort_by_key(|(order, _)| *order);
    for (_, file) in files {
        without_exception(|| file.attr("close")?.call(&[]).map(drop));
    }
    Ok(())
}

/// When an object is to be closed; none: it is no file, or holds nothing back.
fn writes(object: &Obj, base: &Obj) -> Option<u8> {
    // SAFETY: the object is alive, and its type's name lives as long as the type; `base` is a type.
    let name = unsafe {
        let kind = ffi::Py_TYPE(object.as_ptr());
        if ffi::PyType_IsSubtype(kind, base.as_ptr().cast()) == 0 {
            return None;
        }
        CStr::from_ptr((*kind).tp_name)
    };
    match name.to_bytes().strip_prefix(b"_io.") {
        Some(b"TextIOWrapper") => Some(0),
        // Classes of libraries, as `gzip.GzipFile`, may have an end to write.
        None => Some(1),
        Some(b"BufferedWriter" | b"BufferedRandom" | b"BufferedRWPair") => Some(2),
        Some(_) => None,
    }
}
