//! Thin: takes the payload from the path that the pipeline names, links libpython.
//!
//! Runs no program, needs no network, writes to `OUT_DIR` only, and declares what it reads:
//!
//! | variable | who sets it | meaning |
//! |---|---|---|
//! | `PYRMWARE_PAYLOAD` | `cargo xtask dist` | the payload, a file; unset: the launcher is built without one |
//! | `PYRMWARE_PUBLIC_KEY` | `cargo xtask dist` | minisign's public key, without which no payload is taken; read by main.rs |
//! | `PYRMWARE_LINK` | `cargo xtask dist` | a file of arguments for the linker that bring libpython in, one per line |
//! | `DEP_PYTHON_PYO3_CONFIG` | pyo3-ffi | the interpreter that pyo3-ffi was configured for |

use std::env;
use std::fs;
use std::path::PathBuf;

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
    println!("cargo:rustc-check-cfg=cfg(wrapped_libpython)");
    payload();
    match env_path("PYRMWARE_LINK") {
        Some(arguments) => {
            println!("cargo:rerun-if-changed={}", arguments.display());
            link_as_told(&arguments);
        }
        None => link_for_development(),
    }
}

/// Names the file that main.rs includes; an empty one says "built without a payload". Cargo learns from
/// main.rs itself that it depends on the file: declared here, it would take the library with it.
fn payload() {
    let payload = env_path("PYRMWARE_PAYLOAD").unwrap_or_else(|| {
        let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
        let empty = PathBuf::from(out).join("empty-payload");
        fs::write(&empty, []).expect("an empty file can be written into OUT_DIR");
        empty
    });
    println!("cargo:rustc-env=PYRMWARE_PAYLOAD_FILE={}", payload.display());
}

/// `dist` has looked the interpreter up: its arguments are complete.
fn link_as_told(arguments: &PathBuf) {
    let text = fs::read_to_string(arguments).unwrap_or_else(|error| {
        panic!("PYRMWARE_LINK names {}, which cannot be read: {error}", arguments.display())
    });
    if text.contains("--wrap=_PyDict_LoadGlobal") {
        println!("cargo:rustc-cfg=wrapped_libpython");
    }
    for argument in text.lines() {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}

/// A bare `cargo build` links whatever interpreter pyo3-ffi found. Without the run path the launcher
/// would not start on a machine whose libpython is in a folder of its own, and could not say that it
/// was built without a payload.
fn link_for_development() {
    pyo3_build_config::add_libpython_rpath_link_args();
    if !pyo3_build_config::get().shared() {
        // What a static libpython itself needs; nothing where the C library has it all.
        for library in ["m", "dl", "util", "pthread"] {
            println!("cargo:rustc-link-arg=-l{library}");
        }
    }
}

/// The path that a variable, declared as an input, names; empty counts as unset.
fn env_path(name: &str) -> Option<PathBuf> {
    println!("cargo:rerun-if-env-changed={name}");
    env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from)
}
