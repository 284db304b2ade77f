//! Imports out of the payload: a meta-path finder for modules, a path hook and a read-only virtual
//! folder below the launcher's path for everything that asks for files.
//!
//! The hot path (find a module, run its code) is here in Rust. What is asked for rarely (resources,
//! folder listings, messages about pruned modules) is Python in `python/_pyrmware_runtime`, packed
//! like every other module and imported when it is first needed. Metadata, `pkgutil`, `pathlib` and
//! the like need no code of their own: they work on the virtual folder.

mod extension;
mod files;
mod finder;
#[cfg(wrapped_libpython)]
mod lazy;
mod pages;
mod patterns;
pub mod sealed;
pub mod timing;
pub mod trace;

use std::sync::OnceLock;

pub use extension::remember_arguments;

use pyrmware_payload::{Fault, Payload, keys};

use crate::log;
use crate::object::{Obj, Py, function, import};

/// What the importer works with; set once, before Python starts.
struct Source {
    payload: Payload<'static>,
    /// The launcher's absolute path: the virtual folder.
    root: String,
    /// Folders of the device's standard library; none: the payload has it.
    stdlib: Vec<&'static str>,
    /// Tell on stderr which pruned modules are asked for.
    report_pruned: bool,
    /// Folder of sources for tracebacks.
    symbols: Option<std::path::PathBuf>,
}

static SOURCE: OnceLock<Source> = OnceLock::new();

fn source() -> &'static Source {
    SOURCE.get().expect("the importer is installed before Python runs")
}

/// Where the importer takes its modules from, and what it tells.
pub struct Options {
    /// Folders of the device's standard library; none: the payload has it.
    pub stdlib: Vec<&'static str>,
    /// Tell on stderr which pruned modules are asked for.
    pub report_pruned: bool,
    /// Folder of sources for tracebacks.
    pub symbols: Option<std::path::PathBuf>,
}

/// Names the payload and the virtual folder. Called once, before Python starts.
pub fn prepare(payload: Payload<'static>, root: String, options: Options) {
    let Options { stdlib, report_pruned, symbols } = options;
    let _ = SOURCE.set(Source { payload, root, stdlib, report_pruned, symbols });
}

/// The package in whose shared object a module is.
pub fn object_with(module: &str) -> Option<&str> {
    source().payload.object_with(module)
}

/// First phase: the interpreter's core runs, nothing but built-in and frozen modules was imported.
pub fn install() -> Py<()> {
    let sys = import("sys")?;
    let modules = sys.attr("modules")?;
    let native = sys.attr("__class__")?.call(&[&Obj::str("_pyrmware")?])?;
    modules.set_item("_pyrmware", &native)?;

    if source().payload.setting(keys::LAZY) == Ok("true") {
        #[cfg(wrapped_libpython)]
        lazy::install()?;
        #[cfg(not(wrapped_libpython))]
        log::fatal(
            log::EXIT_PAYLOAD,
            "the payload has lazy bindings, which this launcher does not know",
        );
    }
    if let Ok(build) = source().payload.setting(keys::BUILD) {
        native.set_attr("build", &Obj::str(build)?)?;
    }
    files::install(&native)?;
    extension::install(&native)?;
    let finder = finder::install(&native)?;
    sys.attr("meta_path")?.insert(0, &finder)?;
    trace::install(&native)
}

/// Second phase: `importlib` is complete; the virtual folder gets its path hook, pruned modules their last finder.
pub fn complete() -> Py<()> {
    let native = import("_pyrmware")?;
    let sys = import("sys")?;
    sys.attr("path_hooks")?.insert(0, &function!("path_hook", path_hook, &native)?)?;
    if !source().stdlib.is_empty() {
        sys.attr("path")?.insert(0, &Obj::str(&source().root)?)?;
    }
    let class =
        class("PrunedFinder", &[("find_spec", function!("find_spec", find_pruned, &native)?)])?;
    sys.attr("meta_path")?.append(&class.call(&[])?)?;
    place_frozen(&sys)
}

/// Modules that libpython has frozen are placed in the virtual folder, as they are in the folder of
/// the standard library elsewhere, or in the device's: `os.__file__`. CPython forgets `PyConfig.stdlib_dir`.
#[cfg(Py_3_11)]
fn place_frozen(sys: &Obj) -> Py<()> {
    let root = source().stdlib.first().copied().unwrap_or(&source().root);
    sys.set_attr("_stdlib_dir", &Obj::str(root)?)?;
    // Imported before there was a place; all others take it from `sys`.
    for name in ["_frozen_importlib_external", "abc", "codecs", "io", "zipimport"] {
        let module = import(name)?;
        let state = module.attr("__spec__")?.attr("loader_state")?;
        let place = state.attr("origname")?.to_str()?.replace('.', "/");
        let file = Obj::str(&format!("{root}/{place}.py"))?;
        state.set_attr("filename", &file)?;
        module.set_attr("__file__", &file)?;
    }
    Ok(())
}

#[cfg(not(Py_3_11))]
fn place_frozen(_: &Obj) -> Py<()> {
    Ok(()) // it has frozen nothing that has a file
}

/// Code and path of a script that is a module's file in the virtual folder; none for all others.
pub fn script(path: &Obj) -> Py<Option<(Obj, Obj)>> {
    match below_root(path) {
        Some(filename) if source().payload.file(&format!("{filename}c")).is_some() => {
            #[cfg(wrapped_libpython)]
            lazy::hand_out(filename);
            Ok(Some((finder::code(filename, path)?, path.clone())))
        }
        _ => Ok(None),
    }
}

/// A class whose methods are functions of ours: they are not bound, so they take no `self`.
fn class(name: &str, methods: &[(&str, Obj)]) -> Py {
    let namespace = Obj::dict()?;
    namespace.set_item("__module__", &Obj::str("_pyrmware")?)?;
    for (name, method) in methods {
        namespace.set_item(name, method)?;
    }
    let kind = import("builtins")?.attr("type")?;
    kind.call(&[&Obj::str(name)?, &Obj::tuple(&[])?, &namespace])
}

/// The Python half's module `name`.
fn runtime(name: &str) -> Py {
    import(&format!("_pyrmware_runtime.{name}"))
}

fn path_hook(args: &[Obj]) -> Py {
    runtime("finder")?.attr("path_hook")?.call(&[first(args)?])
}

/// The last finder of all: explains what was pruned.
fn find_pruned(args: &[Obj]) -> Py {
    let name = first(args)?;
    let Some(text) = name.plain() else { return Ok(Obj::none()) };
    let Some(reason) = source().payload.pruned(text) else {
        trace::tell(&format!("? {text}"));
        return Ok(Obj::none());
    };
    if source().report_pruned || trace::is_on() {
        let asker = timing::asker()?;
        let by = asker.as_ref().and_then(|(by, ..)| by.plain()).unwrap_or("the launcher");
        let pair = format!("{text} {by}");
        let known = source().payload.setting(keys::DONE_WITHOUT);
        if !known.is_ok_and(|lines| lines.lines().any(|line| line == pair)) {
            trace::tell(&format!("! {pair}"));
            if source().report_pruned {
                let text = format!("pruned module asked for: {text}, by {by}");
                log::line(log::Priority::Warning, &text);
            }
        }
    }
    runtime("pruned")?.attr("find_spec")?.call(&[name, &Obj::str(reason)?])
}

fn first(args: &[Obj]) -> Py<&Obj> {
    args.first().ok_or_else(|| crate::object::type_error("missing argument"))
}

/// A damaged payload is not an ImportError: an application that catches those must not run on with half of its code.
fn intact<T>(result: Result<T, Fault>) -> T {
    result.unwrap_or_else(|fault| broken(&fault))
}

fn broken(fault: &Fault) -> ! {
    crate::update::damaged(fault);
    log::fatal(log::EXIT_PAYLOAD, &fault.to_string())
}

/// The path below the launcher's virtual folder; none for every other path.
fn below_root(path: &Obj) -> Option<&str> {
    path.plain()?.strip_prefix(source().root.as_str())?.strip_prefix('/')
}
