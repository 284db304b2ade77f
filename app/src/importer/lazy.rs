//! Lazy globals: a name of a module that is bound when it is first asked for.
//!
//! The pipeline takes statements that do nothing but bind names (imports, functions, …) out of a
//! module's code and puts them into a table behind it ([`LazyTable`]). What is left of the module's
//! code starts with binding [`MARKER`] to the module's path in the payload, so that every dictionary
//! in which that code ran (the module's own, `__main__`, one of `runpy`) leads to its table. A name
//! that is not in the dictionary is looked up there, its statement runs, and from then on the name
//! is bound as ever:
//!
//! - code of the module itself: the linker wraps the functions with which CPython's evaluation loop
//!   looks up globals. Their hits stay as they are; a miss comes here before it is a NameError;
//! - everybody else: `module.name` and `from module import name` come through the module type's
//!   `tp_getattro`, `module.__dict__` (and with it `vars`, `dir`, star imports) and `globals()` bind
//!   everything first.
//!
//! PEP 810 has the same semantics for imports. While the module's code still runs, a statement that
//! stands below the line that has been reached is not yet there.

mod ending;
mod lookup;
mod module_type;

use std::collections::HashMap;
use std::ffi::CStr;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3_ffi as ffi;
use pyrmware_payload::{
    Binding, Kind, LazyTable, Part, SealedModule, WRITES_ONLY, nameless_module,
};

use self::ending::Awake;
use super::{below_root, sealed, source};
use crate::object::{Obj, Py, Raised, builtin, import};

/// The global that names the module's path: `package/module.py`.
const MARKER: &CStr = c"__pyrmware_lazy__";

/// [`MARKER`] as an interned `str`; null until [`install`]. Wrapped functions are called long before.
static MARKER_NAME: AtomicPtr<ffi::PyObject> = AtomicPtr::new(ptr::null_mut());
/// `__name__`, likewise.
static NAME: AtomicPtr<ffi::PyObject> = AtomicPtr::new(ptr::null_mut());

/// What is under way. The GIL orders everything; no lock is held while Python runs.
static STATE: Mutex<State> = Mutex::new(State { running: Vec::new(), binding: Vec::new() });

struct State {
    /// Modules whose code runs: (dictionary, code, thread).
    running: Vec<(usize, usize, usize)>,
    /// Statements that run: (dictionary, code, thread).
    binding: Vec<(usize, usize, usize)>,
}

impl State {
    /// The code that runs in this dictionary and thread as a module's.
    fn running_code(&self, dict: usize, thread: usize) -> Option<usize> {
        let found = self.running.iter().rfind(|entry| (entry.0, entry.2) == (dict, thread));
        found.map(|entry| entry.1)
    }
}

/// The files of modules whose code was handed out: who runs it, and where, is not known (`runpy`).
static HANDED_OUT: Mutex<Vec<Range<usize>>> = Mutex::new(Vec::new());

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A miss was looked into.
#[derive(PartialEq, Eq)]
enum Outcome {
    /// It is bound now.
    Bound,
    /// It is no lazy name, or not yet.
    Unknown,
}

/// Takes over from the interpreter what is asked for by name. Called once, in the first phase.
pub fn install() -> Py<()> {
    let builtins = import("builtins")?;
    for (slot, name) in [(&NAME, c"__name__"), (&MARKER_NAME, MARKER)] {
        // SAFETY: a new interned string, kept for ever.
        let name = unsafe { Obj::owned(ffi::PyUnicode_InternFromString(name.as_ptr()))? };
        slot.store(name.into_ptr(), Ordering::Release);
    }
    lookup::install()?;
    let original = builtins.attr("globals")?;
    let doc = super::files::doc(&original);
    builtins.set_attr("globals", &builtin("globals\0", doc, globals, &builtins)?)?;
    module_type::install()
}

/// Whether there is anything lazy in this payload.
fn is_installed() -> bool {
    !MARKER_NAME.load(Ordering::Acquire).is_null()
}

/// The code of a module runs in `globals` until this is dropped. If it ran there before (`reload`),
/// what it bound is forgotten, as running all of its statements again would replace it.
pub struct Running((usize, usize, usize));

impl Running {
    /// Called before the module's code runs.
    pub fn enter(globals: &Obj, code: &Obj, filename: &str) -> Py<Running> {
        // SAFETY: a dictionary and a C string; running code for the first time puts the builtins there.
        let again = unsafe {
            !ffi::PyDict_GetItemString(globals.as_ptr(), c"__builtins__".as_ptr()).is_null()
        };
        if let Some(bindings) = again.then(|| bindings_of(filename)).flatten() {
            for binding in bindings.table.iter() {
                let name = Obj::str(binding.name)?;
                // SAFETY: a dictionary and a str.
                unsafe {
                    if ffi::PyDict_Contains(globals.as_ptr(), name.as_ptr()) == 1 {
                        ffi::PyDict_DelItem(globals.as_ptr(), name.as_ptr());
                    }
                }
            }
        }
        let entry = (globals.as_ptr() as usize, code.as_ptr() as usize, thread());
        state().running.push(entry);
        Ok(Running(entry))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = state();
        if let Some(at) = state.running.iter().rposition(|entry| *entry == self.0) {
            state.running.remove(at);
        }
    }
}

fn thread() -> usize {
    // SAFETY: called with the GIL held.
    unsafe { ffi::PyThreadState_Get() as usize }
}

/// What is lazy in a module.
#[derive(Clone, Copy)]
struct Bindings {
    table: LazyTable<'static>,
    /// The path of the module's file, if that is encrypted.
    sealed: Option<&'static str>,
}

impl Bindings {
    /// The code of one of them.
    fn code(&self, binding: &Binding<'static>, place: &Obj) -> Py {
        let unmarshal = |code: &[u8]| super::finder::unmarshal(code, place);
        match self.sealed {
            None => unmarshal(binding.code),
            Some(path) => {
                sealed::open(path, Part::Statement { at: binding.at }, binding.code, unmarshal)
            }
        }
    }
}

/// The bindings to which a dictionary's marker leads.
fn bindings(globals: *mut ffi::PyObject) -> Py<Option<Bindings>> {
    static TABLES: Mutex<Option<HashMap<usize, Option<Bindings>>>> = Mutex::new(None);
    let marker = MARKER_NAME.load(Ordering::Acquire);
    if marker.is_null() {
        return Ok(None);
    }
    // SAFETY: a dictionary and an interned str; the result is borrowed, and kept alive below.
    let path = unsafe {
        if ffi::PyDict_CheckExact(globals) == 0 {
            return Ok(None);
        }
        let path = ffi::PyDict_GetItemWithError(globals, marker);
        if path.is_null() {
            return if ffi::PyErr_Occurred().is_null() { Ok(None) } else { Err(Raised) };
        }
        Obj::borrowed(path)?
    };
    let mut tables = TABLES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let tables = tables.get_or_insert_default();
    let key = path.as_ptr() as usize;
    Ok(*tables.entry(key).or_insert_with(|| {
        let table = path.plain().and_then(bindings_of);
        // The address stands for the path as long as the path lives: for ever.
        std::mem::forget(path);
        table
    }))
}

/// The bindings of the module whose source path this is.
fn bindings_of(path: &str) -> Option<Bindings> {
    let file = source().payload.file(&format!("{path}c"))?;
    // Its code has run, which was checked with all of the file.
    let bytes = file.unchecked();
    Some(match SealedModule::of(bytes) {
        None => Bindings { table: LazyTable::of_pyc(bytes)?, sealed: None },
        Some(module) => {
            Bindings { table: sealed::table(file.path, &module)?, sealed: Some(file.path) }
        }
    })
}

/// Binds `name` in `globals` if it is a lazy name there, or a submodule that an eager start would have
/// imported by now.
fn miss(globals: *mut ffi::PyObject, name: *mut ffi::PyObject) -> Py<Outcome> {
    if globals.is_null() || !is_installed() {
        return Ok(Outcome::Unknown);
    }
    // SAFETY: both are live: the caller looks one up in the other.
    let (globals, name) = unsafe { (Obj::borrowed(globals)?, Obj::borrowed(name)?) };
    // SAFETY: a live object.
    if unsafe { ffi::PyDict_CheckExact(globals.as_ptr()) } == 0 {
        return Ok(Outcome::Unknown);
    }
    let Some(text) = name.plain().filter(|name| !name.starts_with("__")) else {
        return Ok(Outcome::Unknown);
    };
    let bindings = bindings(globals.as_ptr())?;
    match bindings.and_then(|bindings| Some((bindings, bindings.table.get(text)?))) {
        Some((bindings, binding)) => bind(&globals, &bindings, &binding),
        None => submodule(&globals, text),
    }
}

/// Imports a submodule of the package whose dictionary this is, if an eager start would have.
fn submodule(globals: &Obj, name: &str) -> Py<Outcome> {
    // SAFETY: a dictionary and a str; the result is borrowed.
    let package = unsafe {
        let name = NAME.load(Ordering::Acquire);
        let package = ffi::PyDict_GetItemWithError(globals.as_ptr(), name);
        if package.is_null() {
            return if ffi::PyErr_Occurred().is_null() {
                Ok(Outcome::Unknown)
            } else {
                Err(Raised)
            };
        }
        Obj::borrowed(package)?
    };
    let Some(package) = package.plain() else { return Ok(Outcome::Unknown) };
    let full = format!("{package}.{name}");
    let module = source().payload.module(&full);
    if !module.is_some_and(|module| module.eager && module.kind != Kind::Namespace) {
        return Ok(Outcome::Unknown);
    }
    let _awake = Awake::enter()?;
    let modules = import("sys")?.attr("modules")?;
    let key = Obj::str(&full)?;
    // SAFETY: a dictionary and a str. A module that is being imported is there, and not yet an attribute.
    if unsafe { ffi::PyDict_Contains(modules.as_ptr(), key.as_ptr()) } != 0 {
        return Ok(Outcome::Unknown);
    }
    match import(&full) {
        Ok(_) => Ok(Outcome::Bound),
        // Whoever imports it at once lives with that.
        // SAFETY: an exception is set.
        Err(Raised) if unsafe { ffi::PyErr_ExceptionMatches(ffi::PyExc_ImportError) } != 0 => {
            Raised.forget();
            Ok(Outcome::Unknown)
        }
        Err(Raised) => Err(Raised),
    }
}

/// Runs a statement and stores what it binds; what is bound already stays.
fn bind(globals: &Obj, bindings: &Bindings, binding: &Binding<'static>) -> Py<Outcome> {
    let dict = globals.as_ptr() as usize;
    let entry = (dict, binding.code.as_ptr() as usize, thread());
    let runs = {
        let state = state();
        if state.binding.contains(&entry) {
            return Ok(Outcome::Unknown);
        }
        state.running_code(dict, entry.2)
    };
    if reached(globals, runs, binding.code)?.is_some_and(|line| binding.line > line) {
        return Ok(Outcome::Unknown);
    }
    let code = bindings.code(binding, &place(globals)?)?;
    let names = Obj::dict()?;
    let _awake = Awake::enter()?;
    state().binding.push(entry);
    // SAFETY: code and dictionaries are live.
    let result = unsafe {
        Obj::owned(ffi::PyEval_EvalCode(code.as_ptr(), globals.as_ptr(), names.as_ptr()))
    };
    {
        let mut state = state();
        if let Some(at) = state.binding.iter().rposition(|other| *other == entry) {
            state.binding.remove(at);
        }
    }
    result?;
    let (mut at, mut name, mut value) = (0, ptr::null_mut(), ptr::null_mut());
    // SAFETY: nobody else has this dictionary; names and values are borrowed from it.
    unsafe {
        while ffi::PyDict_Next(names.as_ptr(), &mut at, &mut name, &mut value) != 0 {
            if PyDict_SetDefault(globals.as_ptr(), name, value).is_null() {
                return Err(Raised);
            }
        }
    }
    Ok(Outcome::Bound)
}

/// Where code that runs in `globals` is, for tracebacks.
fn place(globals: &Obj) -> Py {
    // SAFETY: a dictionary and a C string; the result is borrowed, null without an exception.
    unsafe { Obj::borrowed(ffi::PyDict_GetItemString(globals.as_ptr(), c"__file__".as_ptr())) }
        .or_else(|Raised| Obj::str(&source().root))
}

/// The code of a module's file is handed out.
pub fn hand_out(filename: &str) {
    let Some(file) = source().payload.file(&format!("{filename}c")) else { return };
    let bytes = file.unchecked().as_ptr_range();
    let range = bytes.start as usize..bytes.end as usize;
    let mut all = HANDED_OUT.lock().unwrap_or_else(PoisonError::into_inner);
    if !all.contains(&range) {
        all.push(range);
    }
}

/// The line that a module's own code has reached in this thread; none: it does not run. `body`: its code,
/// if that is known to run; `part`: what of its file is asked for.
fn reached(globals: &Obj, body: Option<usize>, part: &'static [u8]) -> Py<Option<u32>> {
    let Some(body) = body else {
        let all = HANDED_OUT.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.iter().any(|range| range.contains(&(part.as_ptr() as usize))) {
            return Ok(None);
        }
        drop(all);
        return line_of(|frame, code| is_module_code(globals, frame, code));
    };
    line_of(|_, code| Ok(code.as_ptr() as usize == body))
}

/// Whether a frame runs a module's code in its dictionary.
fn is_module_code(globals: &Obj, frame: &Obj, code: &Obj) -> Py<bool> {
    // What is put off runs with locals of its own. Those of functions are not touched: asking makes them.
    if !frame.attr("f_globals")?.is(globals) || code.attr("co_name")?.plain() != Some("<module>") {
        return Ok(false);
    }
    let filename = code.attr("co_filename")?;
    let is_ours =
        below_root(&filename).is_some() || filename.plain().and_then(nameless_module).is_some();
    Ok(is_ours && frame.attr("f_locals")?.is(globals))
}

/// The line at which the innermost frame is of which this holds.
fn line_of(mut holds: impl FnMut(&Obj, &Obj) -> Py<bool>) -> Py<Option<u32>> {
    let mut next = crate::object::frame();
    while let Some(frame) = next {
        if holds(&frame, &frame.attr("f_code")?)? {
            let line = frame.attr("f_lineno")?;
            // `None`: no line.
            let line = line.to_int().map_err(Raised::forget).ok();
            return Ok(line.and_then(|line| u32::try_from(line).ok()));
        }
        let back = frame.attr("f_back")?;
        next = (!back.is(&Obj::none())).then_some(back);
    }
    Ok(None)
}

/// Binds every name of a dictionary, in the order of their lines; while the module's code runs, those
/// that it has reached. Not while one is being bound: then everything else waits.
fn bind_all(globals: &Obj) -> Py<()> {
    let Some(all) = bindings(globals.as_ptr())? else { return Ok(()) };
    let (dict, thread) = (globals.as_ptr() as usize, thread());
    if state().binding.iter().any(|(other, _, at)| (*other, *at) == (dict, thread)) {
        return Ok(());
    }
    let body = state().running_code(dict, thread);
    let Some(first) = all.table.iter().next() else { return Ok(()) };
    let line = reached(globals, body, first.code)?;
    let is_there = |binding: &Binding<'_>| line.is_none_or(|line| binding.line <= line);
    let mut bindings: Vec<Binding<'static>> = all.table.iter().filter(is_there).collect();
    bindings.sort_by_key(|binding| binding.line);
    for binding in bindings {
        let name = Obj::str(binding.name)?;
        // SAFETY: a dictionary and a str.
        match unsafe { ffi::PyDict_Contains(globals.as_ptr(), name.as_ptr()) } {
            0 => {
                bind(globals, &all, &binding)?;
            }
            1 => {}
            _ => return Err(Raised),
        }
    }
    if body.is_none() && line.is_none() {
        // Nothing is lazy any more: what is deleted from now on stays away.
        // SAFETY: a dictionary and a str; that it has the marker was seen above.
        unsafe { ffi::PyDict_DelItem(globals.as_ptr(), MARKER_NAME.load(Ordering::Acquire)) };
    }
    Ok(())
}

/// The module on whose behalf Python code runs, by the name in its globals.
fn caller() -> Option<Obj> {
    // SAFETY: borrowed references, or null.
    unsafe {
        let globals = ffi::PyEval_GetGlobals();
        if globals.is_null() {
            return None;
        }
        let name = ffi::PyDict_GetItemWithError(globals, NAME.load(Ordering::Acquire));
        Obj::borrowed(name).ok()
    }
}

/// `builtins.globals`.
///
/// # Safety
/// Called by the interpreter, with the GIL held.
unsafe extern "C" fn globals(
    _: *mut ffi::PyObject,
    _: *const *mut ffi::PyObject,
    _: ffi::Py_ssize_t,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's globals, borrowed.
    let globals = unsafe { Obj::borrowed(ffi::PyEval_GetGlobals()) };
    let found = globals.and_then(|globals| {
        let caller = caller();
        if !caller.as_ref().and_then(Obj::plain).is_some_and(|name| WRITES_ONLY.contains(&name)) {
            bind_all(&globals)?;
        }
        Ok(globals)
    });
    found.map_or(ptr::null_mut(), Obj::into_ptr)
}

unsafe extern "C" {
    fn PyDict_SetDefault(
        dict: *mut ffi::PyObject,
        key: *mut ffi::PyObject,
        default: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject;
}
