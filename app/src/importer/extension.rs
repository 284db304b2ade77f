//! Extension modules out of the payload: through memory files, or beside the launcher.
//!
//! A memory file needs no writable folder and no file beside the launcher; once the module is loaded it is
//! freed again but for what is written to ([`release`]); where the payload knows what the dynamic linker reads,
//! no more than that is put into it ([`parts`]). Libraries that a wheel brings are loaded first, in the order that the
//! pipeline computed: the dynamic linker then finds them by their SONAME.

mod parts;
mod release;

pub use parts::remember_arguments;

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_int};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use pyrmware_payload::{self as payload, Kind, Module, SIDECAR_DIR};

use super::{below_root, first, intact, pages, source};
use crate::object::{Obj, Py, function, import, import_error};

/// `_imp.create_dynamic`, which has the dynamic linker open a path.
static CREATE_DYNAMIC: OnceLock<Obj> = OnceLock::new();

/// Payload path -> the path under which it was loaded: a module that is imported again must get the same one.
static LOADED: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// Lets `importlib.machinery.ExtensionFileLoader` load from the virtual folder, and gives the Python
/// half what it needs.
pub fn install(native: &Obj) -> Py<()> {
    let imp = import("_imp")?;
    let _ = CREATE_DYNAMIC.set(imp.attr("create_dynamic")?);
    imp.set_attr("create_dynamic", &function!("create_dynamic", create_dynamic, &imp)?)?;
    native.set_attr("library", &function!("library", library, native)?)
}

fn original_create_dynamic() -> &'static Obj {
    CREATE_DYNAMIC.get().expect("set by install")
}

fn create_dynamic(args: &[Obj]) -> Py {
    let spec = first(args)?;
    match below_root(&spec.attr("origin")?).and_then(extension_at) {
        Some(module) => create(spec, &module),
        None => original_create_dynamic().call(&args.iter().collect::<Vec<_>>()),
    }
}

/// The extension module whose file is at this path below the virtual folder.
fn extension_at(filename: &str) -> Option<Module<'static>> {
    let (folder, file) = filename.rsplit_once('/').unwrap_or(("", filename));
    let stem = file.split('.').next().unwrap_or(file);
    let name = [&folder.replace('/', "."), stem].join(".");
    let name = name.strip_suffix(".__init__").unwrap_or(&name);
    let module = source().payload.module(name.trim_start_matches('.'))?;
    (module.kind == Kind::Extension && module.filename == filename).then_some(module)
}

/// `create_module` for an extension module.
pub fn create(spec: &Obj, module: &Module<'_>) -> Py {
    let (path, memory) = match (module.sidecar, module.file) {
        (true, _) => (beside(module.filename), None),
        (false, Some(file)) => {
            for library in source().payload.libraries(module) {
                preload(&library)?;
            }
            match parts::load(&file, flags()?) {
                Some(path) => (path, None),
                None => memory_path(&file),
            }
        }
        (false, None) => {
            return Err(import_error(&format!(
                "the payload has no file for module {}",
                module.name
            )));
        }
    };
    let origin = spec.attr("origin")?;
    spec.set_attr("origin", &Obj::str(&path)?)?;
    let created = original_create_dynamic().call(&[spec]);
    spec.set_attr("origin", &origin)?;
    if let (Some(memory), Some(file)) = (memory, module.file) {
        match created {
            Ok(_) => settle(&path, &memory, &file),
            // The next attempt starts anew.
            Err(_) => drop(loaded().remove(file.path)),
        }
    }
    let created = created?;
    // Single-phase modules are given the path that was opened.
    let _ = created.set_attr("__file__", &origin);
    Ok(created)
}

/// How the interpreter has the dynamic linker open extension modules.
fn flags() -> Py<c_int> {
    let flags = import("sys")?.attr("getdlopenflags")?.call(&[])?.to_int()?;
    Ok(c_int::try_from(flags).unwrap_or(libc::RTLD_NOW))
}

/// Where a file lies that is kept beside the launcher.
fn beside(filename: &str) -> String {
    let folder = source().root.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{folder}/{SIDECAR_DIR}/{filename}")
}

/// `library(path below the folder)`: the path by which `dlopen` finds this shared object, `None`
/// when there is no such file.
fn library(args: &[Obj]) -> Py {
    let name = first(args)?.plain().unwrap_or_default();
    if let Some(file) = source().payload.file(name) {
        return Obj::str(&preload(&file)?);
    }
    let path = beside(name);
    if std::path::Path::new(&path).is_file() { Obj::str(&path) } else { Ok(Obj::none()) }
}

/// Loads a library and gives the path by which the dynamic linker knows it.
fn preload(library: &payload::File<'_>) -> Py<String> {
    if let Some(path) = parts::load(library, libc::RTLD_LAZY | libc::RTLD_LOCAL) {
        return Ok(path);
    }
    let (path, memory) = memory_path(library);
    let Some(memory) = memory else { return Ok(path) }; // loaded before
    let name = CString::new(path.as_str()).map_err(|_| import_error("a path with a NUL"))?;
    // SAFETY: loading a library runs its initialisers, as the dynamic linker would for DT_NEEDED.
    unsafe {
        if libc::dlopen(name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_LOCAL).is_null() {
            let why = CStr::from_ptr(libc::dlerror()).to_string_lossy().into_owned();
            loaded().remove(library.path);
            return Err(import_error(&format!("{}: {why}", library.path)));
        }
    }
    settle(&path, &memory, library);
    Ok(path)
}

/// What was loaded from this memory file needs little of it any more.
fn settle(path: &str, memory: &File, file: &payload::File<'_>) {
    if let Ok(path) = CString::new(path) {
        release::release(&path, memory, source().payload.bytes(), file.unchecked());
    }
    seal(memory);
}

fn loaded() -> std::sync::MutexGuard<'static, BTreeMap<String, String>> {
    LOADED.lock().unwrap_or_else(|poison| poison.into_inner())
}

/// The path under which the dynamic linker can open this file; with the open memory file when it is new.
///
/// The linker knows a library by the path it was opened with, and descriptors are reused: each path is
/// made unlike all others by repeated `./`, so that the descriptor can be closed once the library is loaded.
fn memory_path(file: &payload::File<'_>) -> (String, Option<File>) {
    let mut loaded = loaded();
    if let Some(path) = loaded.get(file.path) {
        return (path.clone(), None);
    }
    let memory = unsealed(file);
    let path = path_of(&memory);
    loaded.insert(file.path.to_owned(), path.clone());
    (path, Some(memory))
}

fn path_of(memory: &File) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let unlike = "./".repeat(COUNT.fetch_add(1, Ordering::Relaxed));
    format!("/proc/self/fd/{unlike}{}", memory.as_raw_fd())
}

/// What is copied at once.
const PIECE: usize = 1 << 20;

/// A sealed copy in memory, close-on-exec.
pub fn memory_file(file: &payload::File<'_>) -> File {
    let memory = unsealed(file);
    seal(&memory);
    memory
}

fn seal(memory: &File) {
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE | libc::F_SEAL_SEAL;
    // SAFETY: a plain system call on a descriptor of ours; the seals are not essential.
    unsafe { libc::fcntl(memory.as_raw_fd(), libc::F_ADD_SEALS, seals) };
}

fn unsealed(file: &payload::File<'_>) -> File {
    let mut memory = empty(file);
    intact(file.pieces(PIECE, |piece| {
        if memory.write_all(piece).is_err() {
            refused("writing a memory file", file)
        }
        pages::forget(piece);
    }));
    // SAFETY: a plain system call on a descriptor of ours.
    unsafe { libc::lseek(memory.as_raw_fd(), 0, libc::SEEK_SET) };
    memory
}

fn refused(what: &str, file: &payload::File<'_>) -> ! {
    let error = std::io::Error::last_os_error();
    crate::log::fatal(
        crate::log::EXIT_PAYLOAD,
        &format!(
            "{what} for {} failed: {error}; a kernel that refuses memory files needs [package.metadata.pyrmware.device] extensions = \"sidecar\"",
            file.path
        ),
    )
}

/// A memory file for this file, with nothing in it.
fn empty(file: &payload::File<'_>) -> File {
    let base = file.path.rsplit('/').next().unwrap_or(file.path);
    let name = CString::new(base).unwrap_or_default();
    // SAFETY: the name is a C string; a descriptor that is returned is ours.
    unsafe {
        let fd = libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING);
        if fd < 0 {
            refused("memfd_create", file)
        }
        File::from_raw_fd(fd)
    }
}
