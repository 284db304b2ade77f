//! Names that are first asked for while the interpreter ends.
//!
//! `Py_FinalizeEx` empties `sys.modules` and then collects the modules as garbage: whatever `__del__`
//! and callbacks look at is still whole, but nothing can be imported any more. A name that stock
//! Python would have bound long before must be bound even then. So the modules are noted in a
//! dictionary to which `sys.modules` and the dictionary itself refer, and nobody else: it becomes
//! garbage together with the modules, keeps none of them alive, and is whole as long as they are.

use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3_ffi as ffi;

use crate::object::{Obj, Py, without_exception};

/// What `sys` loses first.
const FINDERS: [&CStr; 4] = [c"meta_path", c"path", c"path_hooks", c"path_importer_cache"];

/// The note: a dictionary, borrowed from itself; null before the end and after it.
static NOTE: AtomicPtr<ffi::PyObject> = AtomicPtr::new(ptr::null_mut());

unsafe extern "C" {
    #[link_name = "__real__PyAtExit_Call"]
    fn real_atexit_call(interpreter: *mut c_void);
}

/// Stands before CPython's `_PyAtExit_Call`: nothing that Python code does on its own comes after it.
///
/// # Safety
/// Called by `Py_FinalizeEx`.
#[unsafe(export_name = "__wrap__PyAtExit_Call")]
pub unsafe extern "C" fn atexit_call(interpreter: *mut c_void) {
    // SAFETY: the argument is passed on as it came.
    unsafe { real_atexit_call(interpreter) };
    if super::is_installed() {
        without_exception(note);
    }
}

fn note() -> Py<()> {
    let note = Obj::dict()?;
    // SAFETY: a capsule needs a pointer that is not null; it is never looked at. The name is static.
    let guard = unsafe {
        Obj::owned(ffi::PyCapsule_New(ptr::dangling_mut(), c"note".as_ptr(), Some(forget)))?
    };
    // First: what is first in a dictionary goes first when it is cleared.
    note.set_item("guard", &guard)?;
    let Some(modules) = sys(c"modules") else { return Ok(()) };
    // SAFETY: a dictionary, or an exception.
    note.set_item("modules", &unsafe { Obj::owned(ffi::PyDict_Copy(modules.as_ptr()))? })?;
    for name in FINDERS {
        let value = sys(name).unwrap_or_else(Obj::none);
        note.set_item(&name.to_string_lossy(), &value)?;
    }
    note.set_item("note", &note)?;
    modules.set_item("__pyrmware_note__", &note)?;
    NOTE.store(note.as_ptr(), Ordering::Release);
    Ok(())
}

/// The note is garbage that is being cleared.
unsafe extern "C" fn forget(_: *mut ffi::PyObject) {
    NOTE.store(ptr::null_mut(), Ordering::Release);
}

/// Until this is dropped modules can be imported again.
pub struct Awake {
    note: Obj,
    modules: Obj,
    /// `sys.modules` was empty.
    emptied: bool,
}

impl Awake {
    /// None when they can be anyhow, or never again.
    pub fn enter() -> Py<Option<Awake>> {
        let note = NOTE.load(Ordering::Acquire);
        let (false, Some(finders), Some(modules)) =
            (note.is_null(), sys(FINDERS[0]), sys(c"modules"))
        else {
            return Ok(None);
        };
        if !finders.is(&Obj::none()) || modules.is(&Obj::none()) {
            return Ok(None);
        }
        // SAFETY: it is live until `forget` is called, and both are dictionaries.
        unsafe {
            let note = Obj::borrowed(note)?;
            let emptied = ffi::PyDict_Size(modules.as_ptr()) == 0;
            let awake = Awake { note, modules, emptied };
            if ffi::PyDict_Update(awake.modules.as_ptr(), awake.noted(c"modules")?.as_ptr()) < 0 {
                return Err(crate::object::Raised);
            }
            for name in FINDERS {
                ffi::PySys_SetObject(name.as_ptr(), awake.noted(name)?.as_ptr());
            }
            Ok(Some(awake))
        }
    }

    fn noted(&self, name: &CStr) -> Py {
        // SAFETY: a dictionary and a C string; the result is borrowed.
        unsafe { Obj::borrowed(ffi::PyDict_GetItemString(self.note.as_ptr(), name.as_ptr())) }
            .or_else(|_| Obj::dict())
    }
}

impl Drop for Awake {
    /// What was imported meanwhile is noted, too.
    fn drop(&mut self) {
        without_exception(|| {
            let noted = self.noted(c"modules")?;
            // SAFETY: dictionaries and C strings.
            unsafe {
                ffi::PyDict_Update(noted.as_ptr(), self.modules.as_ptr());
                if self.emptied {
                    ffi::PyDict_Clear(self.modules.as_ptr());
                }
                for name in FINDERS {
                    ffi::PySys_SetObject(name.as_ptr(), ffi::Py_None());
                }
            }
            Ok(())
        });
    }
}

/// `sys.name`, if it is there.
fn sys(name: &CStr) -> Option<Obj> {
    // SAFETY: a C string; the result is borrowed, null without an exception.
    unsafe { Obj::borrowed(ffi::PySys_GetObject(name.as_ptr())).ok() }
}
