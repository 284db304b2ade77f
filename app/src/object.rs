//! Python objects as safe values: the C API that the launcher needs, behind an owned reference.
//!
//! Everything here is called with the GIL held: the launcher has one native thread of its own and
//! enters Rust from Python only through [`function`]. An error is [`Raised`]: the exception is set in
//! the interpreter, as CPython itself does it.

use std::ffi::{CStr, CString, c_int};
use std::ptr::{self, NonNull};

use pyo3_ffi as ffi;

/// An owned reference to a Python object.
#[repr(transparent)]
pub struct Obj(NonNull<ffi::PyObject>);

// SAFETY: reference counts are only touched with the GIL held (see the module's text), which orders all accesses.
unsafe impl Send for Obj {}
// SAFETY: as above.
unsafe impl Sync for Obj {}

/// A Python exception is set.
#[derive(Debug)]
pub struct Raised;

impl Raised {
    /// Goes on as if it had not happened.
    pub fn forget(self) {
        // SAFETY: clears what is set, if anything.
        unsafe { ffi::PyErr_Clear() }
    }
}

/// A value, or a Python exception that is set.
pub type Py<T = Obj> = Result<T, Raised>;

impl Drop for Obj {
    fn drop(&mut self) {
        // SAFETY: we own one reference.
        unsafe { ffi::Py_DECREF(self.0.as_ptr()) }
    }
}

impl Clone for Obj {
    fn clone(&self) -> Obj {
        // SAFETY: the pointer is a live object.
        unsafe { ffi::Py_INCREF(self.0.as_ptr()) };
        Obj(self.0)
    }
}

impl Obj {
    /// Takes over a new reference as the C API returns it; null means that an exception is set.
    ///
    /// # Safety
    /// `ptr` is null with an exception set, or a new reference.
    pub unsafe fn owned(ptr: *mut ffi::PyObject) -> Py {
        NonNull::new(ptr).map(Obj).ok_or(Raised)
    }

    /// A new reference to a borrowed object.
    ///
    /// # Safety
    /// As [`Obj::owned`], but the reference stays with its owner.
    pub unsafe fn borrowed(ptr: *mut ffi::PyObject) -> Py {
        let ptr = NonNull::new(ptr).ok_or(Raised)?;
        // SAFETY: the caller says that the object is live.
        unsafe { ffi::Py_INCREF(ptr.as_ptr()) };
        Ok(Obj(ptr))
    }

    /// The raw pointer, still owned by `self`.
    pub fn as_ptr(&self) -> *mut ffi::PyObject {
        self.0.as_ptr()
    }

    /// Gives the reference away.
    pub fn into_ptr(self) -> *mut ffi::PyObject {
        let ptr = self.0.as_ptr();
        std::mem::forget(self);
        ptr
    }

    /// `None`.
    pub fn none() -> Obj {
        // SAFETY: `None` lives for ever.
        let none = unsafe { Obj::borrowed(ffi::Py_None()) };
        none.unwrap_or_else(|Raised| unreachable!("None is never null"))
    }

    /// A `bool`.
    pub fn bool(value: bool) -> Py {
        // SAFETY: returns a new reference.
        unsafe { Obj::owned(ffi::PyBool_FromLong(value.into())) }
    }

    /// An `int`.
    pub fn int(value: i64) -> Py {
        // SAFETY: returns a new reference or null with an exception.
        unsafe { Obj::owned(ffi::PyLong_FromLongLong(value)) }
    }

    /// A `str`.
    pub fn str(value: &str) -> Py {
        // SAFETY: pointer and length describe `value`.
        unsafe {
            Obj::owned(ffi::PyUnicode_FromStringAndSize(value.as_ptr().cast(), value.len() as _))
        }
    }

    /// A `bytes`.
    pub fn bytes(value: &[u8]) -> Py {
        // SAFETY: pointer and length describe `value`.
        unsafe {
            Obj::owned(ffi::PyBytes_FromStringAndSize(value.as_ptr().cast(), value.len() as _))
        }
    }

    /// A `tuple`.
    pub fn tuple(items: &[&Obj]) -> Py {
        // SAFETY: each slot is set once, with a reference of its own.
        unsafe {
            let tuple = Obj::owned(ffi::PyTuple_New(items.len() as _))?;
            for (i, item) in items.iter().enumerate() {
                ffi::PyTuple_SetItem(tuple.as_ptr(), i as _, (*item).clone().into_ptr());
            }
            Ok(tuple)
        }
    }

    /// A `list`.
    pub fn list(items: &[&Obj]) -> Py {
        // SAFETY: a new list; appending takes its own references.
        let list = unsafe { Obj::owned(ffi::PyList_New(0))? };
        for item in items {
            list.append(item)?;
        }
        Ok(list)
    }

    /// A `dict`.
    pub fn dict() -> Py {
        // SAFETY: returns a new reference or null with an exception.
        unsafe { Obj::owned(ffi::PyDict_New()) }
    }

    /// `list.append`.
    pub fn append(&self, item: &Obj) -> Py<()> {
        // SAFETY: both are live; a non-list gives SystemError.
        check(unsafe { ffi::PyList_Append(self.as_ptr(), item.as_ptr()) })
    }

    /// `list.insert`.
    pub fn insert(&self, index: isize, item: &Obj) -> Py<()> {
        // SAFETY: as above.
        check(unsafe { ffi::PyList_Insert(self.as_ptr(), index, item.as_ptr()) })
    }

    /// `dict[key] = value`.
    pub fn set_item(&self, key: &str, value: &Obj) -> Py<()> {
        let key = Obj::str(key)?;
        // SAFETY: all are live; a non-dict gives SystemError.
        check(unsafe { ffi::PyDict_SetItem(self.as_ptr(), key.as_ptr(), value.as_ptr()) })
    }

    /// `object.name`.
    pub fn attr(&self, name: &str) -> Py {
        let name = Obj::str(name)?;
        // SAFETY: both are live.
        unsafe { Obj::owned(ffi::PyObject_GetAttr(self.as_ptr(), name.as_ptr())) }
    }

    /// `object.name = value`.
    pub fn set_attr(&self, name: &str, value: &Obj) -> Py<()> {
        let name = Obj::str(name)?;
        // SAFETY: all are live.
        check(unsafe { ffi::PyObject_SetAttr(self.as_ptr(), name.as_ptr(), value.as_ptr()) })
    }

    /// Calls with positional arguments.
    pub fn call(&self, args: &[&Obj]) -> Py {
        self.call_with(args, None)
    }

    /// Calls; the last arguments are passed by the names in `names`, a tuple of `str`.
    pub fn call_with(&self, args: &[&Obj], names: Option<(&Obj, usize)>) -> Py {
        const MOST: usize = 8;
        assert!(args.len() <= MOST, "more arguments than any call of the launcher has");
        let mut pointers = [ptr::null_mut(); MOST];
        for (slot, arg) in pointers.iter_mut().zip(args) {
            *slot = arg.as_ptr();
        }
        let (names, count) = match names {
            Some((names, count)) => (names.as_ptr(), count),
            None => (ptr::null_mut(), 0),
        };
        // SAFETY: the array holds as many live objects as counted.
        unsafe {
            Obj::owned(ffi::PyObject_Vectorcall(
                self.as_ptr(),
                pointers.as_ptr(),
                args.len() - count,
                names,
            ))
        }
    }

    /// The value of an `int`; an exception for anything else and for what is too large.
    pub fn to_int(&self) -> Py<i64> {
        // SAFETY: the object is live; -1 with an exception says that it was no such number.
        unsafe {
            match ffi::PyLong_AsLongLong(self.as_ptr()) {
                -1 if !ffi::PyErr_Occurred().is_null() => Err(Raised),
                value => Ok(value),
            }
        }
    }

    /// The text of a `str`; TypeError for anything else.
    pub fn to_str(&self) -> Py<&str> {
        let mut size = 0;
        // SAFETY: the buffer belongs to the object and lives as long as it.
        unsafe {
            let text = ffi::PyUnicode_AsUTF8AndSize(self.as_ptr(), &mut size);
            if text.is_null() {
                return Err(Raised);
            }
            let bytes = std::slice::from_raw_parts(text.cast::<u8>(), size as usize);
            Ok(std::str::from_utf8_unchecked(bytes))
        }
    }

    /// The text of a `str` that can be a path or a module's name in the payload: no lone surrogates.
    /// Leaves no exception.
    pub fn plain(&self) -> Option<&str> {
        self.to_str().map_err(Raised::forget).ok()
    }

    /// What is in a `bytes`; none for anything else.
    pub fn plain_bytes(&self) -> Option<&[u8]> {
        // SAFETY: the object is live; the buffer belongs to it, lives as long as it and does not change.
        unsafe {
            if ffi::PyBytes_Check(self.as_ptr()) == 0 {
                return None;
            }
            let start = ffi::PyBytes_AsString(self.as_ptr()).cast();
            Some(std::slice::from_raw_parts(start, ffi::PyBytes_Size(self.as_ptr()) as usize))
        }
    }

    /// `self == other`, as a list's `in` sees it.
    pub fn equals(&self, other: &Obj) -> Py<bool> {
        // SAFETY: both are live.
        match unsafe { ffi::PyObject_RichCompareBool(self.as_ptr(), other.as_ptr(), ffi::Py_EQ) } {
            -1 => Err(Raised),
            equal => Ok(equal != 0),
        }
    }

    /// What iterating over it gives.
    pub fn items(&self) -> Py<Vec<Obj>> {
        // SAFETY: the object is live; a tuple's items are borrowed from it.
        unsafe {
            let tuple = Obj::owned(ffi::PySequence_Tuple(self.as_ptr()))?;
            let size = ffi::PyTuple_Size(tuple.as_ptr());
            (0..size).map(|at| Obj::borrowed(ffi::PyTuple_GetItem(tuple.as_ptr(), at))).collect()
        }
    }

    /// Whether the object is this very one.
    pub fn is(&self, other: &Obj) -> bool {
        self.0 == other.0
    }
}

fn check(status: c_int) -> Py<()> {
    if status < 0 { Err(Raised) } else { Ok(()) }
}

/// `import name`, giving the module of that very name.
pub fn import(name: &str) -> Py {
    let name = CString::new(name).map_err(|_| type_error("module name with a NUL"))?;
    // SAFETY: the name is a C string.
    unsafe { Obj::owned(ffi::PyImport_ImportModule(name.as_ptr())) }
}

/// The Python frame that is running in this thread; none: no Python code runs.
pub fn frame() -> Option<Obj> {
    // SAFETY: returns a borrowed reference, or null without an exception.
    unsafe { Obj::borrowed(ffi::PyEval_GetFrame().cast()).ok() }
}

/// Sets a TypeError.
pub fn type_error(message: &str) -> Raised {
    // SAFETY: the exception's type is a live static of libpython.
    raise(unsafe { ffi::PyExc_TypeError }, message)
}

/// Sets a RuntimeError.
pub fn runtime_error(message: &str) -> Raised {
    // SAFETY: as above.
    raise(unsafe { ffi::PyExc_RuntimeError }, message)
}

/// Sets an ImportError.
pub fn import_error(message: &str) -> Raised {
    // SAFETY: as above.
    raise(unsafe { ffi::PyExc_ImportError }, message)
}

/// Sets an OSError with this `errno`, as the C library would.
pub fn os_error(errno: i32, path: &Obj) -> Raised {
    if let Ok(errno) = Obj::int(errno.into()) {
        // SAFETY: errno's text is a C string; the exception is created from a live tuple.
        unsafe {
            let text = CStr::from_ptr(libc::strerror(ffi::PyLong_AsLong(errno.as_ptr()) as c_int));
            if let Ok(text) = Obj::str(&text.to_string_lossy())
                && let Ok(args) = Obj::tuple(&[&errno, &text, path])
            {
                ffi::PyErr_SetObject(ffi::PyExc_OSError, args.as_ptr());
            }
        }
    }
    Raised
}

fn raise(kind: *mut ffi::PyObject, message: &str) -> Raised {
    if let Ok(message) = Obj::str(message) {
        // SAFETY: both are live.
        unsafe { ffi::PyErr_SetObject(kind, message.as_ptr()) };
    }
    Raised
}

/// Looks at the exception that is set, which stays; what `look` raises itself is dropped.
pub fn inspect_exception(look: impl FnOnce(&Obj) -> Py<()>) {
    let (mut kind, mut value, mut trace) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: what is taken out is made whole and put back.
    #[allow(deprecated, reason = "the one set that all versions have")]
    unsafe {
        ffi::PyErr_Fetch(&mut kind, &mut value, &mut trace);
        ffi::PyErr_NormalizeException(&mut kind, &mut value, &mut trace);
        if Obj::borrowed(value).and_then(|value| look(&value)).is_err() {
            ffi::PyErr_Clear();
        }
        ffi::PyErr_Restore(kind, value, trace);
    }
}

/// An exception that was taken out of the interpreter, or that there was none.
pub struct Exception([*mut ffi::PyObject; 3]);

impl Exception {
    /// Takes out what is set.
    pub fn take() -> Exception {
        let [mut kind, mut value, mut trace] = [ptr::null_mut(); 3];
        // SAFETY: fills the three with references of their own, or null.
        #[allow(deprecated, reason = "the one pair that all versions have")]
        unsafe {
            ffi::PyErr_Fetch(&mut kind, &mut value, &mut trace);
        }
        Exception([kind, value, trace])
    }

    /// Puts it back, in place of what is set now; whether there was one.
    pub fn put_back(self) -> bool {
        let [kind, value, trace] = self.0;
        // SAFETY: gives away what was taken.
        #[allow(deprecated, reason = "as above")]
        unsafe {
            ffi::PyErr_Restore(kind, value, trace);
        }
        !kind.is_null()
    }
}

/// Does something between an exception and whoever handles it; what it raises itself is dropped.
pub fn without_exception(work: impl FnOnce() -> Py<()>) {
    let before = Exception::take();
    if let Err(raised) = work() {
        raised.forget();
    }
    before.put_back();
}

/// Waits for something without the GIL; `work` touches no object.
pub fn released<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: the GIL is held by this thread, and held again when this returns.
    unsafe {
        let thread = ffi::PyEval_SaveThread();
        let result = work();
        ffi::PyEval_RestoreThread(thread);
        result
    }
}

/// A function of the launcher that Python calls. Arguments passed by name follow the positional ones.
pub type Function = fn(&[Obj]) -> Py;

/// Calls `function` with the arguments of a `METH_FASTCALL | METH_KEYWORDS` call.
///
/// # Safety
/// The arguments are those that the interpreter passed.
pub unsafe fn enter(
    function: Function,
    args: *const *mut ffi::PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: `Obj` is a transparent non-null pointer, and the interpreter keeps the arguments alive during the call.
    let args = unsafe { arguments(args, positional, names) };
    match function(args) {
        Ok(value) => value.into_ptr(),
        Err(Raised) => ptr::null_mut(),
    }
}

/// The arguments of a vector call as a slice, borrowed.
///
/// # Safety
/// As [`enter`].
pub unsafe fn arguments<'a>(
    args: *const *mut ffi::PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> &'a [Obj] {
    if args.is_null() {
        return &[];
    }
    // SAFETY: the interpreter passes `positional` arguments and one for each name.
    unsafe {
        let named = if names.is_null() { 0 } else { ffi::PyTuple_Size(names) };
        std::slice::from_raw_parts(args.cast::<Obj>(), (positional + named) as usize)
    }
}

/// Makes a [`Function`] into a Python function: `function!("name", rust_function, module)`.
macro_rules! function {
    ($name:literal, $function:expr, $module:expr) => {{
        unsafe extern "C" fn raw(
            _self: *mut pyo3_ffi::PyObject,
            args: *const *mut pyo3_ffi::PyObject,
            positional: pyo3_ffi::Py_ssize_t,
            names: *mut pyo3_ffi::PyObject,
        ) -> *mut pyo3_ffi::PyObject {
            // SAFETY: called by the interpreter with the convention of METH_FASTCALL | METH_KEYWORDS.
            unsafe { $crate::object::enter($function, args, positional, names) }
        }
        $crate::object::builtin(concat!($name, "\0"), None, raw, $module)
    }};
}
pub(crate) use function;

/// A Python function over a raw entry point. `name` ends with a NUL; `doc` is the docstring's C string.
pub fn builtin(
    name: &'static str,
    doc: Option<&'static CStr>,
    raw: ffi::PyCFunctionFastWithKeywords,
    module: &Obj,
) -> Py {
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: name.as_ptr().cast(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: raw },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: doc.map_or(ptr::null(), CStr::as_ptr),
    }));
    let module_name = module.attr("__name__")?;
    // SAFETY: the definition lives for ever; module and name are live.
    unsafe { Obj::owned(ffi::PyCFunction_NewEx(definition, module.as_ptr(), module_name.as_ptr())) }
}
