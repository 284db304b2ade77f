//! What a device could not load is refused where the launcher is built.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::support::task::Task;
use crate::{AARCH64, task};

/// A C library of tomorrow, as far as linking asks for it.
const LIBC: &str = "int tomorrow(void) { return 1; }\n";
const PROBE: &str = "int tomorrow(void);\nint PyInit_probe(void) { return tomorrow(); }\n";

/// An application that imports an extension module of its own, which `link` makes in the folder.
fn refused(link: impl FnOnce(&Path)) -> String {
    let folder = TempDir::new().expect("a folder");
    let write =
        |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    write(
        "pyproject.toml",
        "[project]\nname = \"probing\"\nversion = \"1\"\n[tool.pyrmware]\nentry = \"probing\"\n",
    );
    write("probing.py", "import probe\n");
    write("libc.c", LIBC);
    write("probe.c", PROBE);
    write("libc.map", "GLIBC_2.17 { };\nGLIBC_2.99 { tomorrow; };\n");
    write("odd.map", "ODD_1 { tomorrow; };\n");
    link(folder.path());
    task("dist", &AARCH64, folder.path()).run().exits(1).err()
}

fn compile(compiler: &str, folder: &Path, words: &[&str]) {
    Task::new(compiler)
        .args(["-shared", "-fPIC", "-nostdlib"])
        .args(words)
        .cwd(folder)
        .run()
        .success();
}

/// Makes a library of this name, and the module that needs it.
fn with_library(folder: &Path, soname: &str, map: &str) {
    let (name, map) = (format!("-Wl,-soname,{soname}"), format!("-Wl,--version-script={map}"));
    let library = folder.join("made");
    fs::create_dir(&library).expect("a folder is made");
    compile("aarch64-linux-gnu-gcc", folder, &[&name, &map, "-o", "made/lib.so", "libc.c"]);
    compile("aarch64-linux-gnu-gcc", folder, &["-o", "probe.so", "probe.c", "made/lib.so"]);
    fs::remove_dir_all(library).expect("it is removed");
}

#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn a_module_for_another_architecture() {
    let said = refused(|folder| compile("cc", folder, &["-o", "probe.so", "probe.c"]));
    assert!(said.contains("probe of "), "{said}");
    assert!(said.contains("it is built for x86-64, the launcher for aarch64"), "{said}");
}

#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn a_module_for_a_younger_c_library() {
    let said = refused(|folder| with_library(folder, "libc.so.6", "libc.map"));
    let expected = "it needs glibc 2.99 (libc.so.6), and the device's sysroot has 2.36";
    assert!(said.contains(expected), "{said}");
}

#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn a_module_for_another_c_library() {
    let said = refused(|folder| with_library(folder, "libc.musl-aarch64.so.1", "odd.map"));
    assert!(said.contains("it is built for another C library"), "{said}");
}

#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn a_module_whose_library_nobody_has() {
    let said = refused(|folder| with_library(folder, "libodd.so.1", "odd.map"));
    let expected = "it needs libodd.so.1, which neither the device's sysroot nor the payload has";
    assert!(said.contains(expected), "{said}");
}

#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn a_dependency_without_a_wheel_for_the_device() {
    let folder = TempDir::new().expect("a folder");
    let text = "[project]\nname = \"probing\"\nversion = \"1\"\nrequires-python = \">=3.11\"\n\
        dependencies = [\"pywin32==308\"]\n[tool.pyrmware]\nentry = \"probing\"\n";
    fs::write(folder.path().join("pyproject.toml"), text).expect("written");
    fs::write(folder.path().join("probing.py"), "").expect("written");
    let said = task("dist", &AARCH64, folder.path()).run().exits(1).err();
    assert!(said.contains("has no wheel for Python 3.11 on aarch64"), "{said}");
}
