//! Names that code of the module itself asks for: what stands before the functions with which CPython's
//! evaluation loop looks up globals (LOAD_GLOBAL, LOAD_NAME).

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3_ffi as ffi;

use super::{Outcome, miss};
use crate::object::{Obj, Py};

/// The dictionary of `builtins`.
static BUILTINS: AtomicPtr<ffi::PyObject> = AtomicPtr::new(ptr::null_mut());

unsafe extern "C" {
    #[link_name = "__real__PyDict_LoadGlobal"]
    fn real_load_global(
        globals: *mut ffi::PyObject,
        builtins: *mut ffi::PyObject,
        name: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject;
}

/// Notes where a search ends.
pub fn install() -> Py<()> {
    // SAFETY: the dictionary of `builtins`, which lives as long as the interpreter.
    let dict = unsafe { Obj::borrowed(ffi::PyEval_GetBuiltins())? };
    BUILTINS.store(dict.into_ptr(), Ordering::Release);
    Ok(())
}

/// Stands before CPython's `_PyDict_LoadGlobal`: LOAD_GLOBAL.
///
/// # Safety
/// Called by the evaluation loop.
#[unsafe(export_name = "__wrap__PyDict_LoadGlobal")]
pub unsafe extern "C" fn load_global(
    globals: *mut ffi::PyObject,
    builtins: *mut ffi::PyObject,
    name: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the arguments are passed on as they came.
    unsafe {
        let found = real_load_global(globals, builtins, name);
        if !found.is_null() || !ffi::PyErr_Occurred().is_null() {
            return found;
        }
        match miss(globals, name) {
            Ok(Outcome::Bound) => real_load_global(globals, builtins, name),
            _ => ptr::null_mut(),
        }
    }
}

/// Whether a miss in `dict` is the end of LOAD_NAME's search: it looks into the builtins last.
fn is_last(dict: *mut ffi::PyObject) -> bool {
    !dict.is_null() && dict == BUILTINS.load(Ordering::Relaxed)
}

/// A name that LOAD_NAME has not found: in a lazy dictionary among the frame's it is bound now. What is
/// evaluated may have a module's dictionary for its locals (`typing.get_type_hints`).
///
/// # Safety
/// Called by the evaluation loop, with a live str.
unsafe fn missed_by_name(name: *mut ffi::PyObject) -> Py<Option<*mut ffi::PyObject>> {
    // SAFETY: both are borrowed from the running frame, or null.
    let globals = unsafe { ffi::PyEval_GetGlobals() };
    // It may be compiled code that asks, in a thread that runs no Python.
    if globals.is_null() {
        return Ok(None);
    }
    if miss(globals, name)? == Outcome::Bound {
        return Ok(Some(globals));
    }
    // SAFETY: as above; the frame is one with a dictionary of locals, or another mapping.
    let locals = unsafe { ffi::PyEval_GetLocals() };
    if !locals.is_null() && locals != globals && miss(locals, name)? == Outcome::Bound {
        return Ok(Some(locals));
    }
    Ok(None)
}

#[cfg(not(Py_3_13))]
mod load_name {
    use super::*;

    unsafe extern "C" {
        #[link_name = "__real_PyDict_GetItemWithError"]
        fn real_get_item(dict: *mut ffi::PyObject, key: *mut ffi::PyObject) -> *mut ffi::PyObject;
    }

    /// Stands before CPython's `PyDict_GetItemWithError`, for LOAD_NAME.
    ///
    /// # Safety
    /// Called by libpython.
    #[unsafe(export_name = "__wrap_PyDict_GetItemWithError")]
    pub unsafe extern "C" fn get_item(
        dict: *mut ffi::PyObject,
        key: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject {
        // SAFETY: the arguments are passed on as they came; the globals are borrowed from the running frame.
        unsafe {
            let found = real_get_item(dict, key);
            if !found.is_null() || !is_last(dict) || !ffi::PyErr_Occurred().is_null() {
                return found;
            }
            match missed_by_name(key) {
                Ok(Some(dict)) => real_get_item(dict, key),
                _ => ptr::null_mut(),
            }
        }
    }
}

#[cfg(Py_3_13)]
mod load_name {
    use std::ffi::c_int;

    use super::*;
    use crate::object::Raised;

    unsafe extern "C" {
        #[link_name = "__real_PyMapping_GetOptionalItem"]
        fn real_get_item(
            map: *mut ffi::PyObject,
            key: *mut ffi::PyObject,
            result: *mut *mut ffi::PyObject,
        ) -> c_int;
    }

    /// Stands before CPython's `PyMapping_GetOptionalItem`, for LOAD_NAME.
    ///
    /// # Safety
    /// Called by libpython.
    #[unsafe(export_name = "__wrap_PyMapping_GetOptionalItem")]
    pub unsafe extern "C" fn get_item(
        map: *mut ffi::PyObject,
        key: *mut ffi::PyObject,
        result: *mut *mut ffi::PyObject,
    ) -> c_int {
        // SAFETY: the arguments are passed on as they came; the globals are borrowed from the running frame.
        unsafe {
            let found = real_get_item(map, key, result);
            if found != 0 || !is_last(map) {
                return found;
            }
            match missed_by_name(key) {
                Ok(Some(dict)) => real_get_item(dict, key, result),
                Ok(None) => 0,
                Err(Raised) => -1,
            }
        }
    }
}
