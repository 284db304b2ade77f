//! CPython inside the launcher: configured, started in two phases, run, ended.

mod config;
mod depart;
mod main;
#[cfg(wrapped_libpython)]
mod shortcuts;

use pyo3_ffi as ffi;
use pyrmware_payload::startup::marks;

use crate::action::{Action, Run};
use crate::importer::{self, timing};
use crate::log::{self, EXIT_PAYLOAD, EXIT_PYTHON};
use crate::memory;
use crate::object::Py;
use crate::supervisor::{self, Role};
use crate::update;

/// Version of the libpython that is linked: ("3.11", "3.11.2").
pub fn version() -> (&'static str, &'static str) {
    // SAFETY: a static string of libpython, valid before initialisation.
    let text = unsafe { std::ffi::CStr::from_ptr(ffi::Py_GetVersion()) };
    let full = text.to_str().unwrap_or_default().split(' ').next().unwrap_or_default();
    let minor_end = full.match_indices('.').nth(1).map_or(full.len(), |(at, _)| at);
    (&full[..minor_end], full)
}

/// Starts Python, runs, ends Python; gives the exit code. With a zygote it returns so in each process that runs
/// the application, and in the one that looks after them.
pub fn run(action: Action) -> i32 {
    let role = match supervisor::begin(&action) {
        Role::Done(code) => return code,
        role => role,
    };
    if let Some(file) = &action.startup {
        timing::record(file);
    }
    if let Some(file) = &action.trace {
        importer::trace::record(file);
    }
    if action.memory.is_some() {
        memory::watch_arenas();
    }
    if let Err(failure) = config::initialize_core(&action) {
        return failure.report();
    }
    timing::mark(marks::CORE);
    let Action {
        payload,
        executable,
        magic,
        stdlib,
        run,
        report_pruned,
        symbols,
        memory,
        service,
        ..
    } = action;
    importer::prepare(payload, executable, importer::Options { stdlib, report_pruned, symbols });
    check_magic(magic);
    started(importer::install());
    if let Err(failure) = config::initialize_main() {
        return failure.report();
    }
    started(importer::complete());
    started(memory::snapshot::install());
    if let Some(settings) = &memory {
        started(memory::install(settings));
    }
    if service.is_some() {
        started(supervisor::install());
        started(update::install());
    }
    timing::mark(marks::PYTHON);
    let imported = match (role, &run, &service) {
        (Role::Zygote(zygote), Run::Application(entry), Some(service)) => {
            let imported = main::preload(entry, &service.preload);
            zygote.serve(&imported);
            imported
        }
        (Role::Alone(Some(alone)), ..) => {
            started(supervisor::begin_to_speak());
            alone.start();
            Ok(())
        }
        _ => Ok(()),
    };
    if let Some(settings) = memory {
        memory::start(settings);
    }
    match run {
        Run::Interpreter => main::interpreter(),
        Run::Application(entry) => main::application(&entry, imported),
        Run::Check(entry) => main::check(&entry),
    }
}

/// The importer itself must come up; without it there is no Python to print a traceback with.
fn started(result: Py<()>) {
    if result.is_err() {
        // SAFETY: an exception is set.
        unsafe { ffi::PyErr_Print() };
        log::fatal(EXIT_PYTHON, "Python could not start: the importer failed (see above)");
    }
}

fn check_magic(wanted: i64) {
    let found = crate::object::import("_frozen_importlib_external")
        .and_then(|external| external.attr("_RAW_MAGIC_NUMBER"))
        .and_then(|magic| Ok(magic.to_int()? & 0xffff));
    match found {
        Ok(found) if found == wanted => {}
        Ok(found) => log::fatal(
            EXIT_PAYLOAD,
            &format!(
                "the payload's bytecode has magic number {wanted}, Python {} has {found}",
                version().1
            ),
        ),
        Err(_) => started(Err(crate::object::Raised)),
    }
}
