//! A Rust with standard libraries for other machines, for a machine whose own has none and gets none from rustup:
//! that of a Debian whose Rust is young enough, unpacked into the tools folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::dist::resolve::cross::has_std;
use crate::paths::Paths;
use crate::sysroot::apt::{self, Apt};
use crate::sysroot::unpack;
use crate::target::{TARGETS, Target};
use crate::ui::Ui;

/// The variable in which the tests find the compiler.
pub(super) const VARIABLE: &str = "PYRMWARE_DEVICES_RUSTC";
/// The release whose package `rustc-web` is young enough, and old enough to stay.
const SUITE: &str = "trixie";
/// The machines that are tested.
const MACHINES: [&str; 3] = ["amd64", "arm64", "armhf"];

/// The compiler that knows the machines; none: the one that cargo calls does.
pub(super) fn for_devices(paths: &Paths, ui: &Ui) -> Result<Option<PathBuf>> {
    if targets().all(|target| has_std(&target).unwrap_or(false)) {
        return Ok(None);
    }
    let folder = paths.tools().join(format!("rust-{SUITE}"));
    let rustc = folder.join("usr/bin/rustc");
    if !works(&rustc) {
        ui.status("Installing", format_args!("Rust of Debian {SUITE} into {}", folder.display()));
        make(&folder)?;
        ensure!(works(&rustc), "{} does not work on this machine", rustc.display());
    }
    Ok(Some(rustc))
}

fn targets() -> impl Iterator<Item = Target> {
    TARGETS.into_iter().filter(|target| MACHINES.contains(&target.debian))
}

fn works(rustc: &Path) -> bool {
    Command::new(rustc).arg("-vV").output().is_ok_and(|output| output.status.success())
}

/// Unpacks the compiler with what it needs, and the standard libraries of all machines. It then runs with its own
/// C library, whatever that of this machine is.
fn make(folder: &Path) -> Result<()> {
    apt::require_tools()?;
    let parent = folder.parent().context("a tool is in a folder")?;
    std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    let aside = tempfile::Builder::new().prefix(".new-").tempdir_in(parent)?;
    let sources = apt::sources(SUITE)?;
    let apt = Apt::new(&aside.path().join("apt"), &MACHINES, &sources)?;
    apt.update(&sources, SUITE)?;
    let mut packages = needed(&apt)?;
    packages.insert("rustc-web".to_owned());
    packages.extend(MACHINES.map(|machine| format!("libstd-rust-web-dev:{machine}")));
    let files = apt.download(&packages)?;
    let root = aside.path().join("root");
    unpack::into(&files, &root)?;
    independent(&root, folder)?;
    let _ = std::fs::remove_dir_all(folder);
    std::fs::rename(&root, folder).with_context(|| format!("cannot write {}", folder.display()))
}

/// What the compiler's library needs, and no compiler of C, which `rustc-web` depends on: this machine has one.
fn needed(apt: &Apt) -> Result<BTreeSet<String>> {
    let first = apt.depends("libstd-rust-web-dev", false)?;
    let library = first
        .into_iter()
        .find(|name| name.starts_with("libstd-rust-"))
        .context("libstd-rust-web-dev depends on no library of Rust")?;
    apt.depends(&library, true)
}

/// Makes programs and libraries find each other in the folder that will be theirs.
fn independent(root: &Path, folder: &Path) -> Result<()> {
    const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
    let entries = root.join(LIBRARIES).read_dir().context("listing the libraries of Rust")?;
    for entry in entries {
        let path = entry.context("listing the libraries of Rust")?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ours = name.starts_with("libLLVM") || name.starts_with("librustc_driver");
        if ours && name.contains(".so") && !path.is_symlink() {
            patchelf(&["--force-rpath", "--set-rpath", "$ORIGIN"], &path)?;
        }
    }
    let libraries = folder.join(LIBRARIES).display().to_string();
    let loader = format!("{libraries}/ld-linux-x86-64.so.2");
    for name in ["rustc", "rustdoc"] {
        let path = root.join("usr/bin").join(name);
        if path.is_file() {
            let words = ["--set-interpreter", &loader, "--force-rpath", "--set-rpath", &libraries];
            patchelf(&words, &path)?;
        }
    }
    Ok(())
}

fn patchelf(words: &[&str], file: &Path) -> Result<()> {
    let mut command = Command::new("patchelf");
    super::passes(command.args(words).arg(file), "patchelf")
}
