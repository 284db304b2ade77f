//! Running Python code as the main program, and ending as `python3` ends.

use pyo3_ffi as ffi;
use pyrmware_payload::Entry;
use pyrmware_payload::startup::marks;

use super::depart::depart;
use crate::importer::{self, timing};
use crate::log::{self, EXIT_PAYLOAD, Priority};
use crate::object::{Obj, Py, Raised, import, inspect_exception, without_exception};

/// What `python3` returns when the standard streams cannot be flushed at the end.
const EXIT_FINALIZE: i32 = 120;

/// Acts as `python3` on the arguments.
pub fn interpreter() -> i32 {
    let script = quit_and_exit().and_then(|()| {
        let argv = import("sys")?.attr("argv")?;
        importer::script(&argv.attr("__getitem__")?.call(&[&Obj::int(0)?])?)
    });
    match script {
        Ok(None) => {}
        Ok(Some((code, origin))) => return end(run_script(code, origin)),
        Err(raised) => return end(Err(raised)),
    }
    // SAFETY: Python is initialised; this ends it.
    unsafe { ffi::Py_RunMain() }
}

/// Runs the application, unless what it imports has failed.
pub fn application(entry: &Entry, imported: Py<()>) -> i32 {
    let result = imported.and_then(|()| started(entry));
    timing::mark(marks::END);
    end(result)
}

/// Finds the entry's code without running it. Where a shared object has it only that knows: it is loaded.
pub fn check(entry: &Entry) -> i32 {
    let found = match importer::object_with(entry.module()) {
        Some(package) => import(package),
        None => main_module(entry.module()).and_then(|name| {
            let loader = import("_pyrmware")?.attr("loader")?;
            loader.attr("get_code")?.call(&[&Obj::str(&name)?])
        }),
    };
    match end(found.map(drop)) {
        0 => 0,
        _ => EXIT_PAYLOAD,
    }
}

/// Imports what the application does before its first line, and these modules: after a `+`, with all that waits
/// for first use. Then nothing is garbage, and what there is stays as it is: processes that are forked share it.
pub fn preload(entry: &Entry, modules: &[String]) -> Py<()> {
    match entry {
        Entry::Module(module) => drop(main_module(module)?),
        Entry::Function { module, .. } => drop(import(module)?),
    }
    let sys = import("sys")?;
    for name in modules {
        let (whole, name) =
            name.strip_prefix('+').map_or((false, name.as_str()), |name| (true, name));
        let before = if whole { module_names(&sys)? } else { Vec::new() };
        match import(name).and_then(|_| if whole { bind_all(&sys, before) } else { Ok(()) }) {
            Ok(()) => {}
            // Whoever asks for it again gets the error.
            Err(raised) => {
                raised.forget();
                if whole {
                    let text = format!(
                        "the module {name} cannot be imported before the application starts"
                    );
                    log::line(Priority::Warning, &text);
                }
            }
        }
    }
    // What waits in them would be written by every process.
    for stream in ["stdout", "stderr"] {
        let stream = sys.attr(stream)?;
        // One that is closed has nothing, and its error is the application's to find.
        let flushed = stream.attr("flush").and_then(|flush| flush.call(&[]));
        let _ = flushed.map_err(Raised::forget);
    }
    let gc = import("gc")?;
    gc.attr("collect")?.call(&[])?;
    gc.attr("freeze")?.call(&[]).map(drop)
}

fn module_names(sys: &Obj) -> Py<Vec<String>> {
    let names = sys.attr("modules")?.items()?;
    Ok(names.iter().filter_map(|name| name.plain().map(str::to_owned)).collect())
}

/// Binds every name of the modules that were not there before, and of those that this brings, as if no import
/// were lazy.
fn bind_all(sys: &Obj, mut before: Vec<String>) -> Py<()> {
    loop {
        let now = module_names(sys)?;
        let new: Vec<&String> = now.iter().filter(|name| !before.contains(name)).collect();
        if new.is_empty() {
            return Ok(());
        }
        for name in new {
            // A name whose statement fails is left for whoever asks for it.
            let bound = import(name).and_then(|module| module.attr("__dict__"));
            let _ = bound.map_err(Raised::forget);
        }
        before = now;
    }
}

fn started(entry: &Entry) -> Py<()> {
    quit_and_exit()?;
    match entry {
        Entry::Module(module) => run_module(module),
        Entry::Function { module, function } => {
            let mut target = import(module)?;
            for name in function.split('.') {
                target = target.attr(name)?;
            }
            timing::mark(marks::MAIN);
            let status = target.call(&[])?;
            // As a console script does: `sys.exit(function())`.
            Err(system_exit(&status))
        }
    }
}

fn system_exit(status: &Obj) -> Raised {
    // SAFETY: the exception's type is a live static, the value a live object.
    unsafe { ffi::PyErr_SetObject(ffi::PyExc_SystemExit, status.as_ptr()) };
    Raised
}

/// `exit` and `quit`, which `site` would have put there.
fn quit_and_exit() -> Py<()> {
    let quitter = import("_sitebuiltins")?.attr("Quitter")?;
    let builtins = import("builtins")?;
    for name in ["quit", "exit"] {
        let eof = Obj::str("Ctrl-D (i.e. EOF)")?;
        builtins.set_attr(name, &quitter.call(&[&Obj::str(name)?, &eof])?)?;
    }
    Ok(())
}

/// The module that runs for `name`: a package's is its `__main__`. Parents are imported, as `python -m` does.
fn main_module(name: &str) -> Py<String> {
    let native = import("_pyrmware")?;
    let is_package = native.attr("loader")?.attr("is_package")?.call(&[&Obj::str(name)?])?;
    let name =
        if is_package.is(&Obj::bool(true)?) { format!("{name}.__main__") } else { name.to_owned() };
    if let Some((parent, _)) = name.rsplit_once('.') {
        import(parent)?;
    }
    Ok(name)
}

/// What `runpy.run_module(alter_sys=True)` does for `python -m`, without importing `runpy` and what it
/// imports; `sys.argv[0]` stays what the launcher was called.
fn run_module(name: &str) -> Py<()> {
    let name = Obj::str(&main_module(name)?)?;
    let loader = import("_pyrmware")?.attr("loader")?;
    let spec = loader.attr("find_spec")?.call(&[&name])?;
    let code = loader.attr("get_code")?.call(&[&name])?;
    let globals = import("__main__")?.attr("__dict__")?;
    globals.set_item("__name__", &Obj::str("__main__")?)?;
    globals.set_item("__file__", &spec.attr("origin")?)?;
    globals.set_item("__cached__", &spec.attr("cached")?)?;
    globals.set_item("__doc__", &Obj::none())?;
    globals.set_item("__loader__", &loader)?;
    globals.set_item("__package__", &spec.attr("parent")?)?;
    globals.set_item("__spec__", &spec)?;
    timing::mark(marks::MAIN);
    evaluate(&code, &globals)
}

/// What `python3 script.py` does, for a script that is a module's file in the virtual folder.
fn run_script(code: Obj, origin: Obj) -> Py<()> {
    let globals = import("__main__")?.attr("__dict__")?;
    globals.set_item("__file__", &origin)?;
    globals.set_item("__cached__", &Obj::none())?;
    globals.set_item("__loader__", &import("_pyrmware")?.attr("loader")?)?;
    evaluate(&code, &globals)
}

fn evaluate(code: &Obj, globals: &Obj) -> Py<()> {
    // SAFETY: code and dictionary are live; a value that is no code object gives SystemError.
    let result = unsafe {
        Obj::owned(ffi::PyEval_EvalCode(code.as_ptr(), globals.as_ptr(), globals.as_ptr()))
    };
    result.map(drop)
}

/// What `SystemExit` says, if that is the exception that is set: a number, `None`, or what is to be printed.
fn exit_code() -> Option<Obj> {
    let mut code = None;
    // SAFETY: the exception's type is a live static.
    if unsafe { ffi::PyErr_ExceptionMatches(ffi::PyExc_SystemExit) } != 0 {
        inspect_exception(|exit| {
            code = Some(exit.attr("code")?);
            Ok(())
        });
    }
    code
}

/// Whether the exception that is set is `SystemExit` for an exit code of 0.
fn exits_with_zero() -> bool {
    let mut zero = false;
    let code = exit_code();
    without_exception(|| {
        if let Some(code) = code {
            zero = code.is(&Obj::none()) || code.equals(&Obj::int(0)?)?;
        }
        Ok(())
    });
    zero
}

/// Prints what was raised, unless it is the usual end. `PyErr_Print` would end Python for any `SystemExit`.
fn tell_end() {
    let Some(code) = exit_code() else {
        // SAFETY: an exception is set.
        return unsafe { ffi::PyErr_Print() };
    };
    // SAFETY: a live object.
    if code.is(&Obj::none()) || unsafe { ffi::PyLong_Check(code.as_ptr()) } != 0 {
        return;
    }
    // What `sys.exit("text")` says.
    without_exception(|| {
        let print = import("builtins")?.attr("print")?;
        let (names, stderr) = (Obj::tuple(&[&Obj::str("file")?])?, import("sys")?.attr("stderr")?);
        print.call_with(&[&code, &stderr], Some((&names, 1))).map(drop)
    });
}

/// Prints what was raised, ends Python; gives the exit code. `SystemExit` ends the process in here.
fn end(result: Py<()>) -> i32 {
    // SAFETY: Python is initialised and is not used after this.
    unsafe {
        let mut code = 0;
        let mut interrupted = false;
        if result.is_ok() || exits_with_zero() {
            crate::supervisor::ends_well();
        }
        if crate::supervisor::restart::is_followed() {
            if let Err(raised) = result {
                tell_end();
                raised.forget();
            }
            depart();
            return code;
        }
        if let Err(Raised) = result {
            code = 1;
            interrupted = ffi::PyErr_ExceptionMatches(ffi::PyExc_KeyboardInterrupt) != 0;
            ffi::PyErr_Print();
        }
        if ffi::Py_FinalizeEx() < 0 {
            code = EXIT_FINALIZE;
        }
        if interrupted {
            // So that the parent (a shell) sees that it was the signal.
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            libc::kill(libc::getpid(), libc::SIGINT);
        }
        code
    }
}
