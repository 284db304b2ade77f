//! The read-only virtual folder below the launcher's path.
//!
//! The functions of `posix` and `_io` by which Python code reaches files are wrapped before anything
//! has imported them. A path outside of the launcher's folder costs one comparison; one inside is
//! answered by `_pyrmware_runtime.files`. C code that opens paths by itself does not come by here:
//! `importlib.resources.as_file` gives it a path of a memory file.

use std::ffi::CStr;
use std::os::fd::IntoRawFd;
use std::sync::OnceLock;

use pyo3_ffi as ffi;
use pyrmware_payload::File;

use super::{Source, extension, first, intact, runtime, source};
use crate::object::{Obj, Py, Raised, arguments, builtin, function, import};

struct Hook {
    module: &'static str,
    /// With a NUL, as C wants it.
    name: &'static str,
    /// The function of `_pyrmware_runtime.files` that stands in.
    handler: &'static str,
    /// Whether the launcher's own path is meant, too: it is a file, but lists as a folder.
    root: bool,
}

impl Hook {
    fn name(&self) -> &'static str {
        self.name.trim_end_matches('\0')
    }
}

const HOOKS: [Hook; 9] = [
    Hook { module: "posix", name: "stat\0", handler: "stat", root: false },
    Hook { module: "posix", name: "lstat\0", handler: "lstat", root: false },
    Hook { module: "posix", name: "access\0", handler: "access", root: false },
    Hook { module: "posix", name: "listxattr\0", handler: "listxattr", root: false },
    Hook { module: "posix", name: "open\0", handler: "posix_open", root: false },
    Hook { module: "posix", name: "listdir\0", handler: "listdir", root: true },
    Hook { module: "posix", name: "scandir\0", handler: "scandir", root: true },
    Hook { module: "_io", name: "open\0", handler: "io_open", root: false },
    Hook { module: "_io", name: "open_code\0", handler: "open_code", root: false },
];

static ORIGINALS: [OnceLock<Obj>; HOOKS.len()] = [const { OnceLock::new() }; HOOKS.len()];

/// Wraps the functions, and gives the Python half what it needs.
pub fn install(native: &Obj) -> Py<()> {
    let originals = Obj::dict()?;
    install_hook::<0>(&originals)?;
    install_hook::<1>(&originals)?;
    install_hook::<2>(&originals)?;
    install_hook::<3>(&originals)?;
    install_hook::<4>(&originals)?;
    install_hook::<5>(&originals)?;
    install_hook::<6>(&originals)?;
    install_hook::<7>(&originals)?;
    install_hook::<8>(&originals)?;
    native.set_attr("originals", &originals)?;
    native.set_attr("root", &Obj::str(&source().root)?)?;
    native.set_attr("entry", &function!("entry", entry, native)?)?;
    native.set_attr("names", &function!("names", names, native)?)?;
    native.set_attr("memory_file", &function!("memory_file", memory_file, native)?)?;
    native.set_attr("source_text", &function!("source_text", python_source_text, native)?)
}

fn install_hook<const I: usize>(originals: &Obj) -> Py<()> {
    let hook = &HOOKS[I];
    let module = import(hook.module)?;
    let original = module.attr(hook.name())?;
    originals.set_item(&format!("{}.{}", hook.module, hook.name()), &original)?;
    let wrapper = builtin(hook.name, doc(&original), call::<I>, &module)?;
    let _ = ORIGINALS[I].set(original);
    module.set_attr(hook.name(), &wrapper)
}

/// The C docstring of a built-in function, which has its signature for `inspect`.
pub fn doc(function: &Obj) -> Option<&'static CStr> {
    // SAFETY: exactly a built-in function; its definition is a static of libpython.
    unsafe {
        if ffi::PyCFunction_CheckExact(function.as_ptr()) == 0 {
            return None;
        }
        let definition = (*function.as_ptr().cast::<ffi::PyCFunctionObject>()).m_ml;
        let doc = (*definition).ml_doc;
        (!doc.is_null()).then(|| CStr::from_ptr(doc))
    }
}

unsafe extern "C" fn call<const I: usize>(
    _self: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let Some(original) = ORIGINALS[I].get() else { return std::ptr::null_mut() };
    // SAFETY: the arguments are passed on as the interpreter passed them.
    unsafe {
        // The path is the first argument, or the only one that can be one when all are named.
        let all = arguments(args, positional, names);
        let candidates = if positional > 0 { &all[..1] } else { all };
        let target = if candidates.iter().any(|path| inside(path, HOOKS[I].root)) {
            match runtime("files").and_then(|files| files.attr(HOOKS[I].handler)) {
                Ok(handler) => handler,
                Err(Raised) => return std::ptr::null_mut(),
            }
        } else {
            original.clone()
        };
        ffi::PyObject_Vectorcall(target.as_ptr(), args, positional as usize, names)
    }
}

/// Whether a path argument lies in the virtual folder. Never leaves an exception.
fn inside(path: &Obj, root: bool) -> bool {
    let ptr = path.as_ptr();
    // SAFETY: type checks and reads of live objects; the buffers are used before anything can free them.
    unsafe {
        if ffi::PyUnicode_Check(ptr) != 0 {
            let mut size = 0;
            let text = ffi::PyUnicode_AsUTF8AndSize(ptr, &mut size);
            if text.is_null() {
                ffi::PyErr_Clear(); // lone surrogates: a file name that is not UTF-8
                return false;
            }
            return is_inside(std::slice::from_raw_parts(text.cast(), size as usize), root);
        }
        if ffi::PyBytes_Check(ptr) != 0 {
            let size = ffi::PyBytes_Size(ptr) as usize;
            return is_inside(
                std::slice::from_raw_parts(ffi::PyBytes_AsString(ptr).cast(), size),
                root,
            );
        }
        if ffi::PyLong_Check(ptr) != 0 || ptr == ffi::Py_None() {
            return false;
        }
        match Obj::owned(ffi::PyOS_FSPath(ptr)) {
            Ok(path) => inside(&path, root),
            Err(Raised) => {
                ffi::PyErr_Clear(); // the original function says what is wrong
                false
            }
        }
    }
}

fn is_inside(path: &[u8], root: bool) -> bool {
    match path.strip_prefix(source().root.as_bytes()) {
        Some([]) => root,
        Some([b'/', ..]) => true,
        _ => false,
    }
}

/// The first argument, a path; names that are not UTF-8 are those of no file.
fn path(args: &[Obj]) -> Py<&str> {
    Ok(first(args)?.plain().unwrap_or("\0"))
}

/// `entry(path below the folder)`: size of a file, `True` for a folder, `None` for nothing.
fn entry(args: &[Obj]) -> Py {
    let path = path(args)?;
    let Source { payload, symbols, .. } = source();
    if let Some(file) = file(path) {
        return Obj::int(file.len() as i64);
    }
    if payload.folder(path).is_some() {
        return Obj::bool(true);
    }
    if !is_module(path) {
        return Ok(Obj::none());
    }
    // The file that `__file__` names is there for whoever asks, even if nobody can read it.
    let symbols = symbols.as_ref().and_then(|folder| std::fs::metadata(folder.join(path)).ok());
    Obj::int(symbols.map_or(0, |found| found.len() as i64))
}

/// A file of the payload. A module's bytecode is also found where importlib's own loaders look for
/// it, so that `spec_from_file_location` takes a plug-in's path: `pkg/__pycache__/mod.cpython-311.pyc`.
fn file(path: &str) -> Option<File<'static>> {
    let payload = &source().payload;
    payload.file(path).or_else(|| {
        let (folder, name) = path.rsplit_once('/')?;
        let folder = folder.strip_suffix("__pycache__")?;
        let module = name.strip_suffix(".pyc")?.split('.').next()?;
        payload.file(&format!("{folder}{module}.pyc"))
    })
}

/// Whether a path is that of a module's source, of which the payload has the bytecode.
fn is_module(path: &str) -> bool {
    path.ends_with(".py") && source().payload.file(&format!("{path}c")).is_some()
}

/// `names(path below the folder)`: [(name, whether it is a folder)], or `None`. Modules are listed
/// as their sources: who looks for plug-ins looks for `*.py`.
fn names(args: &[Obj]) -> Py {
    let path = path(args)?;
    let Some(entries) = source().payload.folder(path) else {
        return Ok(Obj::none());
    };
    let list = Obj::list(&[])?;
    let mut before = "";
    for (name, folder) in entries {
        let name = match name.strip_suffix('c') {
            Some(source) if !folder && source.ends_with(".py") => source,
            _ => name,
        };
        if std::mem::replace(&mut before, name) == name {
            continue; // the source is in the payload, too
        }
        list.append(&Obj::tuple(&[&Obj::str(name)?, &Obj::bool(folder)?])?)?;
    }
    Ok(list)
}

/// `memory_file(path below the folder)`: a descriptor of a sealed copy, or `None`.
fn memory_file(args: &[Obj]) -> Py {
    match file(path(args)?) {
        Some(file) => Obj::int(extension::memory_file(&file).into_raw_fd().into()),
        None => Ok(Obj::none()),
    }
}

fn python_source_text(args: &[Obj]) -> Py {
    match source_text(path(args)?) {
        Some(bytes) => Obj::bytes(&bytes),
        None => Ok(Obj::none()),
    }
}

/// The source of a module, from the payload or a `symbols` folder. `filename` is relative, with `.py`.
pub fn source_text(filename: &str) -> Option<Vec<u8>> {
    if let Some(file) = source().payload.file(filename) {
        return Some(intact(file.bytes()).to_vec());
    }
    std::fs::read(source().symbols.as_ref()?.join(filename)).ok()
}
