//! Caches of well-known packages. What they are and how they are cleared is in Python,
//! `_pyrmware_runtime.caches`; a module is looked into from here, so that nothing lazy is bound.

use pyo3_ffi as ffi;

use crate::object::{Obj, Py, function, import};

/// Offers what the Python half asks for.
///
/// # Errors
/// An exception is set.
pub fn install(native: &Obj) -> Py<()> {
    native.set_attr("namespace", &function!("namespace", namespace, native)?)
}

/// What there is to clear at this level of all that the configuration names, in order: names as the log has
/// them, and what is to be called. The first call imports the catalogue.
///
/// # Errors
/// An exception is set.
pub fn catalogue(wanted: &[String], level: i64) -> Py<Vec<(String, Obj)>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<Obj> = wanted.iter().map(|name| Obj::str(name)).collect::<Py<_>>()?;
    let names = Obj::list(&names.iter().collect::<Vec<_>>())?;
    let catalogue = import("_pyrmware_runtime.caches")?.attr("catalogue")?;
    let mut found = Vec::new();
    for entry in catalogue.call(&[&names, &Obj::int(level)?])?.items()? {
        if let [name, clear] = entry.items()?.as_slice() {
            found.push((format!("cache {}", name.to_str()?), clear.clone()));
        }
    }
    Ok(found)
}

/// `namespace(module)`: the dictionary of a module as it is; None for what is no module.
fn namespace(args: &[Obj]) -> Py {
    let Some(module) = args.first() else { return Ok(Obj::none()) };
    // SAFETY: a live object; a module's dictionary is borrowed from it, and null of one that has none.
    unsafe {
        if ffi::PyModule_Check(module.as_ptr()) == 0 {
            return Ok(Obj::none());
        }
        let dict = ffi::PyModule_GetDict(module.as_ptr());
        if dict.is_null() { Ok(Obj::none()) } else { Obj::borrowed(dict) }
    }
}
