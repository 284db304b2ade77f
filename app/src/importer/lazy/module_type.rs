//! Names that others ask a module for: hooks in the module type, for `module.name` and `module.__dict__`.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use pyo3_ffi as ffi;

use super::{bind_all, caller, miss};
use crate::object::{Obj, Py};

/// Modules of the standard library that read a module's dictionary in ways which lazy bindings do
/// not disturb: they evaluate names in it, or write to it.
const EVALUATES: [&str; 6] =
    ["attr._make", "dataclasses", "enum", "importlib._bootstrap", "typing", "typing_extensions"];

/// The hooks that the module type had.
static MODULE_GETATTRO: OnceLock<ffi::getattrofunc> = OnceLock::new();
static MODULE_SETATTRO: OnceLock<ffi::setattrofunc> = OnceLock::new();

unsafe extern "C" {
    fn PyDescr_NewWrapper(
        kind: *mut ffi::PyTypeObject,
        base: *mut ffi::wrapperbase,
        function: *mut c_void,
    ) -> *mut ffi::PyObject;
}

/// `module.name` and `module.__dict__` come by here from now on.
pub fn install() -> Py<()> {
    let definition = Box::leak(Box::new(ffi::PyGetSetDef {
        name: c"__dict__".as_ptr(),
        get: Some(module_dict),
        set: None,
        doc: ptr::null(),
        closure: ptr::null_mut(),
    }));
    // SAFETY: the module type is a static of libpython; nobody else runs while the interpreter starts.
    unsafe {
        let kind = ptr::addr_of_mut!(ffi::PyModule_Type);
        if let Some(original) = (*kind).tp_getattro.replace(module_getattro) {
            let _ = MODULE_GETATTRO.set(original);
        }
        if let Some(original) = (*kind).tp_setattro.replace(module_setattro) {
            let _ = MODULE_SETATTRO.set(original);
        }
        let descriptor = Obj::owned(ffi::PyDescr_NewGetSet(kind, definition))?;
        let namespace = type_namespace(kind)?;
        namespace.set_item("__dict__", &descriptor)?;
        // As Python code calls them: `super().__getattribute__(name)`, in a subclass.
        let (get, set) = (module_getattro as *mut c_void, module_setattro as *mut c_void);
        for (name, function) in
            [("__getattribute__", get), ("__setattr__", set), ("__delattr__", set)]
        {
            let inherited = Obj::borrowed(kind.cast())?.attr(name)?;
            let base = (*inherited.as_ptr().cast::<ffi::PyWrapperDescrObject>()).d_base;
            namespace.set_item(name, &Obj::owned(PyDescr_NewWrapper(kind, base, function))?)?;
        }
        ffi::PyType_Modified(kind);
    }
    Ok(())
}

/// A type's own dictionary.
///
/// # Safety
/// A live type that is ready.
#[cfg(Py_3_12)]
unsafe fn type_namespace(kind: *mut ffi::PyTypeObject) -> Py {
    unsafe extern "C" {
        fn PyType_GetDict(kind: *mut ffi::PyTypeObject) -> *mut ffi::PyObject;
    }
    // SAFETY: as the caller says; gives a new reference.
    unsafe { Obj::owned(PyType_GetDict(kind)) }
}

/// A type's own dictionary.
///
/// # Safety
/// A live type that is ready.
#[cfg(not(Py_3_12))]
unsafe fn type_namespace(kind: *mut ffi::PyTypeObject) -> Py {
    // SAFETY: as the caller says; the reference is borrowed.
    unsafe { Obj::borrowed((*kind).tp_dict) }
}

/// `module.__dict__`.
///
/// # Safety
/// Called by the interpreter, with a module.
unsafe extern "C" fn module_dict(module: *mut ffi::PyObject, _: *mut c_void) -> *mut ffi::PyObject {
    // SAFETY: as the caller says: a descriptor checks its type. The dictionary is borrowed, or null of a
    // module that was never initialised, of which Python 3.10 says None.
    let dict = unsafe {
        let dict = ffi::PyModule_GetDict(module);
        if dict.is_null() {
            return ffi::Py_NewRef(ffi::Py_None());
        }
        Obj::borrowed(dict)
    };
    let found = dict.and_then(|dict| {
        let caller = caller();
        let caller = caller.as_ref().and_then(Obj::plain);
        if !caller.is_some_and(|caller| EVALUATES.contains(&caller)) {
            bind_all(&dict)?;
        }
        Ok(dict)
    });
    found.map_or(ptr::null_mut(), Obj::into_ptr)
}

/// `module.name`.
///
/// # Safety
/// Called by the interpreter, with a module and the name.
unsafe extern "C" fn module_getattro(
    module: *mut ffi::PyObject,
    name: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: as the caller says. The dictionary is borrowed, or null of a module that has none; what is
    // found in it gets a reference of its own.
    unsafe {
        let dict = ffi::PyModule_GetDict(module);
        if !dict.is_null() && ffi::PyUnicode_CheckExact(name) != 0 {
            let found = ffi::PyDict_GetItemWithError(dict, name);
            if !found.is_null() {
                // The type itself has special names only, but a subclass may have properties.
                if ffi::PyModule_CheckExact(module) != 0 && !is_special(name) {
                    ffi::Py_INCREF(found);
                    return found;
                }
            } else if !ffi::PyErr_Occurred().is_null() || miss(dict, name).is_err() {
                return ptr::null_mut();
            }
        }
        match MODULE_GETATTRO.get() {
            Some(original) => original(module, name),
            None => ptr::null_mut(),
        }
    }
}

/// Whether a name is `__special__`: these are never lazy.
///
/// # Safety
/// A live str.
unsafe fn is_special(name: *mut ffi::PyObject) -> bool {
    // SAFETY: as the caller says.
    unsafe { Obj::borrowed(name) }
        .is_ok_and(|name| name.plain().is_some_and(|name| name.starts_with("__")))
}

/// `module.name = value`, `del module.name`.
///
/// # Safety
/// Called by the interpreter, with a module, the name, and a value or null.
unsafe extern "C" fn module_setattro(
    module: *mut ffi::PyObject,
    name: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
) -> c_int {
    // SAFETY: as the caller says; the dictionary is borrowed.
    unsafe {
        // What is deleted must be there, and must not come again.
        if value.is_null()
            && let Ok(dict) = Obj::borrowed(ffi::PyModule_GetDict(module))
            && bind_all(&dict).is_err()
        {
            return -1;
        }
        match MODULE_SETATTRO.get() {
            Some(original) => original(module, name, value),
            None => -1,
        }
    }
}
