//! The launcher's side of the package `pyrmware`.

use std::sync::Mutex;

use super::{Settings, attach, caches, collector, dead, guard, heap, look};
use crate::object::{Obj, Py, function, import};
use crate::supervisor::restart;

/// Hooks of the application, in the order of registration.
static HOOKS: Mutex<Vec<Obj>> = Mutex::new(Vec::new());

/// The hooks that there are now. A hook may register another one.
pub fn hooks() -> Vec<Obj> {
    HOOKS.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
}

/// Offers what the package asks for.
///
/// # Errors
/// An exception is set.
pub fn install(settings: &Settings) -> Py<()> {
    let native = import("_pyrmware")?;
    native.set_attr("on_pressure", &function!("on_pressure", on_pressure, &native)?)?;
    native.set_attr("memory", &function!("memory", memory, &native)?)?;
    native.set_attr("last_exit", &function!("last_exit", last_exit, &native)?)?;
    native.set_attr("expect_dead", &function!("expect_dead", dead::declare, &native)?)?;
    attach::install(&native)?;
    caches::install(&native)?;
    if settings.late_collector {
        collector::delay()?;
    }
    let callbacks = import("gc")?.attr("callbacks")?;
    callbacks.append(&function!("at_collection", heap::at_collection, &native)?)
}

fn on_pressure(args: &[Obj]) -> Py {
    if let Some(hook) = args.first() {
        // Two looks at a method are two objects, and equal. Comparing may run code that registers a hook.
        for known in hooks() {
            if known.equals(hook)? {
                return Ok(Obj::none());
            }
        }
        HOOKS.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(hook.clone());
    }
    Ok(Obj::none())
}

fn memory(_: &[Obj]) -> Py {
    let fields = Obj::dict()?;
    let (soft, hard) = guard::limits();
    for (name, bytes) in [("rss", look::rss()), ("soft", soft), ("hard", hard)] {
        if let Some(bytes) = bytes {
            fields.set_item(name, &Obj::int(bytes as i64)?)?;
        }
    }
    Ok(fields)
}

fn last_exit(_: &[Obj]) -> Py {
    match restart::last_exit() {
        Some(reason) => Obj::str(reason),
        None => Ok(Obj::none()),
    }
}
