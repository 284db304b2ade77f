//! How libpython gets into the launcher: what pyo3-ffi and the linker are told.

use std::path::Path;

use anyhow::{Context, Result};

use crate::config::HOST;
use crate::dist::pack::elf;
use crate::dist::resolve::{Cross, LinkPlan, Plan};

/// The file that pyo3-ffi reads instead of asking an interpreter. It tells nothing to the linker:
/// [`arguments`] do.
pub fn pyo3_config(plan: &Plan) -> String {
    let (major, minor) = plan.interpreter.version;
    let folder = plan.link.library().parent().unwrap_or(Path::new("/"));
    let shared = !plan.link.is_static();
    format!(
        "implementation=CPython\n\
         version={major}.{minor}\n\
         shared={shared}\n\
         lib_name=python{major}.{minor}\n\
         lib_dir={}\n\
         suppress_build_script_link_lines=true\n",
        folder.display(),
    )
}

/// What a launcher with a static libpython offers to extension modules. All of it would keep every
/// function of Rust's standard library in, for who knows who calls them.
pub const EXPORTS: &str = "{ Py*; _Py*; };\n";

/// What the linker takes for `libgcc_s.so`, which Rust's standard library asks for to show where it panics:
/// the part of it that is meant to be linked statically. One library less to be found and read at each start.
pub const UNWINDER: &str = "INPUT(-lgcc_eh)\n";

/// The linker's arguments, for app/build.rs. `exports` is a file with [`EXPORTS`], `libraries` a folder with
/// [`UNWINDER`].
pub fn arguments(plan: &Plan, exports: &Path, libraries: &Path) -> Vec<String> {
    let mut arguments = plan.cross.as_ref().map(Cross::arguments).unwrap_or_default();
    if plan.target.contains("-gnu") {
        arguments.push(format!("-L{}", libraries.display()));
    }
    match &plan.link {
        LinkPlan::StaticPic(archive) | LinkPlan::StaticFixed(archive) => {
            // Whole, and visible: extension modules use what the launcher itself does not.
            arguments.push("-Wl,--whole-archive".to_owned());
            arguments.push(archive.display().to_string());
            arguments.push("-Wl,--no-whole-archive".to_owned());
            arguments.extend(wraps(plan.interpreter.version));
            // A list, because --export-dynamic-symbol with patterns is younger than some toolchains.
            arguments.push(format!("-Wl,--dynamic-list={}", exports.display()));
            arguments
                .extend(plan.interpreter.libraries.link.iter().map(|name| format!("-l{name}")));
            // rustc puts these before the archive; what only the archive needs is looked for after it.
            arguments.extend(["-lgcc", "-lc"].map(str::to_owned));
            if matches!(plan.link, LinkPlan::StaticPic(_)) && is_for_here(plan) && knows_packed() {
                // libpython has 36,000 places with an address, 24 bytes each elsewhere: 860 KiB of
                // flash, all read at each start. At a fixed address there are none, but that saves
                // hardly more, and every attacker would know it.
                arguments.push("-Wl,-z,pack-relative-relocs".to_owned());
            }
        }
        LinkPlan::Shared(library) => {
            // By its file: its SONAME is what the launcher then asks for, without a development link.
            arguments.push(library.display().to_string());
            arguments.push("-Wl,-rpath,$ORIGIN".to_owned());
        }
        LinkPlan::System(library) => {
            arguments.push(library.display().to_string());
            let folder = plan.on_device(library.parent().unwrap_or(Path::new("/")));
            if !is_searched(&folder) {
                arguments.push(format!("-Wl,-rpath,{}", folder.display()));
            }
        }
    }
    arguments
}

/// Whether the launcher runs where it is built, with the C library of that machine.
fn is_for_here(plan: &Plan) -> bool {
    plan.config.device.name == HOST && plan.config.device.target.is_none()
}

/// Whether the dynamic linker of this machine's C library knows packed relocations (`DT_RELR`).
#[cfg(target_env = "gnu")]
fn knows_packed() -> bool {
    // SAFETY: a static string of the C library.
    let version = unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) };
    let mut numbers = version.to_bytes().split(|byte| *byte == b'.').map(|number| {
        std::str::from_utf8(number).ok().and_then(|number| number.parse::<u32>().ok())
    });
    (numbers.next().flatten(), numbers.next().flatten()) >= (Some(2), Some(36))
}

#[cfg(not(target_env = "gnu"))]
fn knows_packed() -> bool {
    false
}

/// Functions of libpython that the launcher stands before: those with which the evaluation loop looks
/// up globals, and the last that runs before modules are torn down, for lazy bindings; and one that does
/// much in vain. A shared libpython calls its own.
fn wraps(version: (u8, u8)) -> [String; 4] {
    let load_name =
        if version < (3, 13) { "PyDict_GetItemWithError" } else { "PyMapping_GetOptionalItem" };
    ["_PyDict_LoadGlobal", load_name, "_PyAtExit_Call", "PyAST_Check"]
        .map(|name| format!("-Wl,--wrap={name}"))
}

/// Whether a device's dynamic linker looks into the folder unasked: /usr/lib, /lib64, /usr/lib/arm-linux-gnueabihf.
fn is_searched(folder: &Path) -> bool {
    let below = |top: &str| folder.strip_prefix(top).ok().map(|below| below.components().count());
    let library = |usual: &str| matches!(below(usual), Some(0 | 1));
    ["/lib", "/lib64", "/usr/lib", "/usr/lib64"].into_iter().any(library)
}

/// The name under which a shared libpython is looked for beside the launcher.
pub fn soname(library: &Path) -> Result<String> {
    let bytes = std::fs::read(library).with_context(|| format!("reading {}", library.display()))?;
    let dynamic = elf::dynamic(&bytes).with_context(|| format!("reading {}", library.display()))?;
    let name = library.file_name().map(|name| name.to_string_lossy().into_owned());
    dynamic.soname.or(name).context("libpython has no name")
}
