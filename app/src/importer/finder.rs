//! The meta-path finder and loader: one object for every module of the payload.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3_ffi as ffi;
use pyrmware_payload::{Kind, Module, PYC_HEADER, Part, SealedModule, nameless_module};

use super::{
    below_root, class, extension, first, intact, patterns, runtime, sealed, source, timing,
};
use crate::object::{Obj, Py, function, import, import_error, os_error, without_exception};

/// What every import needs, looked up once.
struct Handles {
    loader: Obj,
    module_spec: Obj,
    spec_keywords: Obj,
    fix_filename: Obj,
    exec: Obj,
    run_without_frames: Obj,
    gc_thresholds: Obj,
    set_gc_thresholds: Obj,
}

static HANDLES: OnceLock<Handles> = OnceLock::new();

fn handles() -> &'static Handles {
    HANDLES.get().expect("set by install")
}

/// Makes the finder; it is also the loader of every module it finds.
pub fn install(native: &Obj) -> Py {
    let methods = [
        ("find_spec", function!("find_spec", find_spec, native)?),
        ("create_module", function!("create_module", create_module, native)?),
        ("exec_module", function!("exec_module", exec_module, native)?),
        ("load_module", function!("load_module", load_module, native)?),
        ("get_code", function!("get_code", get_code, native)?),
        ("get_source", function!("get_source", get_source, native)?),
        ("get_data", function!("get_data", get_data, native)?),
        ("get_filename", function!("get_filename", get_filename, native)?),
        ("is_package", function!("is_package", is_package, native)?),
        ("get_resource_reader", function!("get_resource_reader", get_resource_reader, native)?),
        ("invalidate_caches", function!("invalidate_caches", invalidate_caches, native)?),
        ("find_distributions", function!("find_distributions", find_distributions, native)?),
    ];
    let loader = class("PayloadImporter", &methods)?.call(&[])?;
    let bootstrap = import("_frozen_importlib")?;
    let handles = Handles {
        module_spec: bootstrap.attr("ModuleSpec")?,
        spec_keywords: Obj::tuple(&[&Obj::str("origin")?, &Obj::str("is_package")?])?,
        fix_filename: import("_imp")?.attr("_fix_co_filename")?,
        exec: import("builtins")?.attr("exec")?,
        run_without_frames: bootstrap.attr("_call_with_frames_removed")?,
        loader: loader.clone(),
        gc_thresholds: import("gc")?.attr("get_threshold")?,
        set_gc_thresholds: import("gc")?.attr("set_threshold")?,
    };
    let _ = HANDLES.set(handles);
    native.set_attr("loader", &loader)?;
    native.set_attr("spec_of", &function!("spec_of", spec_of, native)?)?;
    native.set_attr("submodules", &function!("submodules", submodules, native)?)?;
    native.set_attr("before", &function!("before", before_device_s, native)?)?;
    native.set_attr("after", &function!("after", after_device_s, native)?)?;
    Ok(loader)
}

/// `find_spec(name, path=None, target=None)`: a namespace package is left to the path hook, so that it may have portions elsewhere.
fn find_spec(args: &[Obj]) -> Py {
    let name = first(args)?;
    let plain = name.plain();
    match plain.and_then(|name| source().payload.module(name)) {
        Some(module) if module.kind != Kind::Namespace => spec(name, &module),
        None if !source().stdlib.is_empty() => match plain.and_then(adjusted) {
            Some(filename) => {
                let path = args.get(1).cloned().unwrap_or_else(Obj::none);
                runtime("stdlib")?.attr("find_spec")?.call(&[name, &Obj::str(filename)?, &path])
            }
            None => Ok(Obj::none()),
        },
        _ => Ok(Obj::none()),
    }
}

/// The file of a module of the standard library to which something is done before or after it is run. The
/// payload's is recognised by it.
fn adjusted(name: &str) -> Option<&'static str> {
    match name {
        "ssl" => Some(SSL),
        "ctypes" => Some(CTYPES),
        "importlib.resources.readers" => Some(READERS),
        _ => None,
    }
}

const SSL: &str = "ssl.py";
const CTYPES: &str = "ctypes/__init__.py";
const READERS: &str = "importlib/resources/readers.py";

fn before(filename: &str) -> Py<()> {
    match filename {
        SSL => runtime("tls")?.attr("configure")?.call(&[]).map(drop),
        CTYPES => runtime("libraries")?.attr("configure")?.call(&[]).map(drop),
        _ => Ok(()),
    }
}

fn after(filename: &str, module: &Obj) -> Py<()> {
    match filename {
        READERS => runtime("resources")?.attr("keep_to_folders")?.call(&[module]).map(drop),
        patterns::COMPILER => patterns::install(module),
        _ => Ok(()),
    }
}

/// `before(filename)`, for a module of the device's.
fn before_device_s(args: &[Obj]) -> Py {
    before(first(args)?.to_str()?)?;
    Ok(Obj::none())
}

/// `after(filename, module)`, for a module of the device's.
fn after_device_s(args: &[Obj]) -> Py {
    let [filename, module, ..] = args else {
        return Err(import_error("after takes two arguments"));
    };
    after(filename.to_str()?, module)?;
    Ok(Obj::none())
}

fn spec(name: &Obj, module: &Module<'_>) -> Py {
    let handles = handles();
    let root = &source().root;
    let origin = Obj::str(&format!("{root}/{}", module.filename))?;
    let spec = handles.module_spec.call_with(
        &[name, &handles.loader, &origin, &Obj::bool(module.package)?],
        Some((&handles.spec_keywords, 2)),
    )?;
    spec.set_attr("_set_fileattr", &Obj::bool(true)?)?;
    if module.kind == Kind::Bytecode {
        // Else importlib computes a `__pycache__` path for every module.
        spec.set_attr("_cached", &Obj::str(&format!("{root}/{}c", module.filename))?)?;
    }
    if module.package {
        let folder = module.filename.rsplit_once('/').map_or("", |(folder, _)| folder);
        spec.attr("submodule_search_locations")?.append(&Obj::str(&format!("{root}/{folder}"))?)?;
    }
    Ok(spec)
}

fn create_module(args: &[Obj]) -> Py {
    let spec = first(args)?;
    let name = spec.attr("name")?;
    match source().payload.module(name.to_str()?) {
        Some(module) if module.kind == Kind::Extension => {
            let _span = timing::enter(&name);
            extension::create(spec, &module)
        }
        _ => Ok(Obj::none()),
    }
}

fn exec_module(args: &[Obj]) -> Py {
    let module = first(args)?;
    let spec = module.attr("__spec__")?;
    let _span = timing::enter(&spec.attr("name")?);
    let origin = spec.attr("origin")?;
    let filename = below_root(&origin).unwrap_or_default();
    if !filename.ends_with(".py") {
        return import("_imp")?.attr("exec_dynamic")?.call(&[module]);
    }
    before(filename)?;
    let code = code(filename, &origin)?;
    // By way of importlib, so that its frames are cut from tracebacks as usual.
    let handles = handles();
    // SAFETY: a module's dictionary, borrowed: asking for `__dict__` would bind what is lazy.
    let globals = unsafe { Obj::borrowed(ffi::PyModule_GetDict(module.as_ptr()))? };
    let _calm = Calm::enter()?;
    #[cfg(wrapped_libpython)]
    let _running = super::lazy::Running::enter(&globals, &code, filename)?;
    let done = handles.run_without_frames.call(&[&handles.exec, &code, &globals])?;
    after(filename, module)?;
    Ok(done)
}

/// While modules are imported nearly everything that is made stays: looking for garbage among it
/// again and again is in vain. Until this is dropped the youngest generation may grow.
struct Calm {
    depth: &'static AtomicUsize,
    /// The threshold before the outermost import.
    before: Option<Obj>,
}

/// Objects that the youngest generation may have while modules are imported.
const CALM: i64 = 100_000;

impl Calm {
    fn enter() -> Py<Calm> {
        static DEPTH: AtomicUsize = AtomicUsize::new(0);
        if DEPTH.fetch_add(1, Ordering::Relaxed) > 0 {
            return Ok(Calm { depth: &DEPTH, before: None });
        }
        let before = handles().gc_thresholds.call(&[])?;
        let before = before.attr("__getitem__")?.call(&[&Obj::int(0)?])?;
        handles().set_gc_thresholds.call(&[&Obj::int(CALM)?])?;
        Ok(Calm { depth: &DEPTH, before: Some(before) })
    }
}

impl Drop for Calm {
    fn drop(&mut self) {
        self.depth.fetch_sub(1, Ordering::Relaxed);
        let Some(before) = &self.before else { return };
        // A module that failed has left its exception.
        without_exception(|| {
            let now = handles().gc_thresholds.call(&[])?;
            // Unless a module has set them itself.
            if now.attr("__getitem__")?.call(&[&Obj::int(0)?])?.to_int()? == CALM {
                handles().set_gc_thresholds.call(&[before])?;
            }
            Ok(())
        });
    }
}

fn load_module(args: &[Obj]) -> Py {
    let shim = import("_frozen_importlib")?.attr("_load_module_shim")?;
    shim.call(&[&handles().loader, first(args)?])
}

/// The code object of a source path below the virtual folder.
pub fn code(filename: &str, origin: &Obj) -> Py {
    let Some(file) = source().payload.file(&format!("{filename}c")) else {
        return Err(import_error(&format!("the payload has no code for {filename}")));
    };
    let bytes = intact(file.bytes());
    match SealedModule::of(bytes) {
        None => unmarshal(bytes.get(PYC_HEADER..).unwrap_or_default(), origin),
        Some(module) => {
            sealed::open(file.path, Part::Code, module.code, |code| unmarshal(code, origin))
        }
    }
}

/// The code object in bytes whose checksum was right, with its place for tracebacks, unless it tells none.
pub fn unmarshal(bytes: &[u8], origin: &Obj) -> Py {
    // SAFETY: pointer and length describe the bytes; what follows the object is not read.
    let code = unsafe {
        Obj::owned(ffi::PyMarshal_ReadObjectFromString(bytes.as_ptr().cast(), bytes.len() as _))?
    };
    super::pages::has_read(bytes.len());
    let told = code.attr("co_filename")?;
    if told.plain().and_then(nameless_module).is_none() {
        handles().fix_filename.call(&[&code, origin])?;
    }
    Ok(code)
}

fn known(name: &Obj) -> Py<Module<'static>> {
    name.plain().and_then(|name| source().payload.module(name)).ok_or_else(|| {
        import_error(&format!(
            "the payload has no module {:?}",
            name.plain().unwrap_or("of that name")
        ))
    })
}

fn get_code(args: &[Obj]) -> Py {
    let module = known(first(args)?)?;
    match module.kind {
        Kind::Bytecode => {
            #[cfg(wrapped_libpython)]
            super::lazy::hand_out(module.filename);
            code(module.filename, &origin(&module)?)
        }
        _ => Ok(Obj::none()),
    }
}

fn origin(module: &Module<'_>) -> Py {
    Obj::str(&format!("{}/{}", source().root, module.filename))
}

/// The source, where the payload carries it or a `symbols` folder is at hand; else `None`.
fn get_source(args: &[Obj]) -> Py {
    let module = known(first(args)?)?;
    // A shared object's source, where that is Python, lies where it was.
    let filename = match module.kind {
        Kind::Extension => Cow::Owned(source_of(module.filename)),
        _ => Cow::Borrowed(module.filename),
    };
    match super::files::source_text(&filename) {
        Some(bytes) => import("_frozen_importlib_external")?
            .attr("decode_source")?
            .call(&[&Obj::bytes(&bytes)?]),
        None => Ok(Obj::none()),
    }
}

/// `package/module.py` of `package/module.cpython-311-x86_64-linux-gnu.so`.
fn source_of(object: &str) -> String {
    let name = object.rfind('/').map_or(0, |at| at + 1);
    let end = object[name..].find('.').map_or(object.len(), |dot| name + dot);
    format!("{}.py", &object[..end])
}

fn get_data(args: &[Obj]) -> Py {
    let path = first(args)?;
    match below_root(path).and_then(|path| source().payload.file(path)) {
        Some(file) => Obj::bytes(intact(file.bytes())),
        None => Err(os_error(libc::ENOENT, path)),
    }
}

fn get_filename(args: &[Obj]) -> Py {
    origin(&known(first(args)?)?)
}

fn is_package(args: &[Obj]) -> Py {
    Obj::bool(known(first(args)?)?.package)
}

fn get_resource_reader(args: &[Obj]) -> Py {
    let module = known(first(args)?)?;
    // Of a module that is no package, too: the folder that it lies in.
    let folder = module.filename.rsplit_once('/').map_or("", |(folder, _)| folder);
    let folder = Obj::str(&format!("{}/{folder}", source().root))?;
    runtime("resources")?.attr("Reader")?.call(&[&folder])
}

fn invalidate_caches(_: &[Obj]) -> Py {
    Ok(Obj::none())
}

/// Distributions are found by `importlib.metadata` itself, on the virtual folder in `sys.path`.
fn find_distributions(_: &[Obj]) -> Py {
    Obj::tuple(&[])
}

/// `spec_of(name, tail_path)`: for the path hook: the spec of the module at this place below the virtual folder
/// (dotted), under the name that was asked for; `False` for a namespace package, `None` for nothing.
fn spec_of(args: &[Obj]) -> Py {
    let [name, place, ..] = args else { return Err(import_error("spec_of takes two arguments")) };
    match place.plain().and_then(|place| source().payload.module(place)) {
        None => Ok(Obj::none()),
        Some(module) if module.kind == Kind::Namespace => Obj::bool(false),
        Some(module) => spec(name, &module),
    }
}

/// `submodules(package)`: [(name's last part, whether it is a package)], sorted. As elsewhere, a
/// folder without `__init__` is not told.
fn submodules(args: &[Obj]) -> Py {
    let list = Obj::list(&[])?;
    let all = first(args)?.plain().into_iter().flat_map(|name| source().payload.submodules(name));
    for module in all.filter(|module| module.kind != Kind::Namespace) {
        let tail = module.name.rsplit('.').next().unwrap_or(module.name);
        list.append(&Obj::tuple(&[&Obj::str(tail)?, &Obj::bool(module.package)?])?)?;
    }
    Ok(list)
}
