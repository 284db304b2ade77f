//! What tests need of the machine: installed where that is ours to do, else said.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::paths::Paths;
use crate::python::{candidates, remedy};
use crate::ui::Ui;

/// The version whose format and lints hold for this repository.
const RUFF: &str = "0.17.6";

/// Debian's packages: an interpreter whose library can be linked, pip, what tests look through, and a device that ssh
/// reaches.
const PACKAGES: [&str; 7] = [
    "libexpat1-dev",
    "libpython3-dev",
    "openssh-client",
    "openssh-server",
    "python3-pip",
    "strace",
    "zlib1g-dev",
];

/// What packages are installed with, and the root that they are installed into.
const PACKAGED: [&str; 4] = ["mmdebstrap", "rpm", "systemd-container", "util-linux"];

/// What a virtual machine and its disks are made with.
const VIRTUAL: [&str; 4] = ["cpio", "e2fsprogs", "qemu-system-x86", "xz-utils"];

/// What launchers for other machines are linked with and run in, what makes a Rust for them, containers, and virtual
/// machines with their disks.
const CROSS: [&str; 13] = [
    "cpio",
    "crun",
    "e2fsprogs",
    "gcc-aarch64-linux-gnu",
    "gcc-arm-linux-gnueabihf",
    "libc6-dev-arm64-cross",
    "libc6-dev-armhf-cross",
    "mmdebstrap",
    "patchelf",
    "podman",
    "qemu-system-arm",
    "qemu-user-static",
    "xz-utils",
];

/// Installs what a fresh Debian lacks. Elsewhere, and for those who may not install, the tests say
/// themselves what they miss: another interpreter may well do.
pub(super) fn prepare(ui: &Ui) -> Result<()> {
    prepare_with(&PACKAGES, ui)
}

/// Installs what packages of launchers are tried with.
pub(super) fn prepare_packaged(ui: &Ui) -> Result<()> {
    prepare_with(&PACKAGED, ui)
}

fn prepare_with(packages: &[&'static str], ui: &Ui) -> Result<()> {
    if let Some(missing) = install_missing(packages, ui)? {
        ui.note(format_args!(
            "not installed: {}; remedy: {}",
            missing.join(", "),
            install(&missing)
        ));
    }
    Ok(())
}

/// Why there is no virtual machine of a device.
pub(super) const DEVICE: &str = "the device is a virtual x86_64 machine of Debian's packages; remedy: test on Debian for x86_64";

/// Whether virtual machines of a device can be made here.
pub(super) fn is_debian() -> bool {
    cfg!(all(target_os = "linux", target_arch = "x86_64")) && which::which("apt-get").is_ok()
}

/// Installs what virtual machines of a device are made with.
pub(super) fn prepare_virtual(ui: &Ui) -> Result<()> {
    prepare(ui)?;
    ensure!(is_debian(), "{DEVICE}");
    require(&VIRTUAL, "the device is a virtual machine, for which packages are missing", ui)
}

/// Installs what launchers for other machines are built with and run in.
pub(super) fn prepare_cross(ui: &Ui) -> Result<()> {
    prepare(ui)?;
    ensure!(
        is_debian(),
        "launchers for other machines are tested with Debian's packages; remedy: test on Debian for x86_64"
    );
    require(&CROSS, "launchers for other machines need packages that are missing", ui)
}

/// Installs packages; `lacking` says what it means that they are not there.
fn require(packages: &[&'static str], lacking: &str, ui: &Ui) -> Result<()> {
    let missing = install_missing(packages, ui)?;
    ensure!(missing.is_none(), "{lacking}; remedy: {}", install(&missing.unwrap_or_default()));
    Ok(())
}

/// Installs packages that this machine has not; gives them where that is not ours to do.
fn install_missing(packages: &[&'static str], ui: &Ui) -> Result<Option<Vec<&'static str>>> {
    let missing = missing(packages);
    if missing.is_empty() {
        return Ok(None);
    }
    if !is_root() {
        return Ok(Some(missing));
    }
    ui.status("Installing", missing.join(" "));
    apt(&["update"])?;
    apt(&[&["install", "--yes", "--no-install-recommends"], missing.as_slice()].concat())?;
    Ok(None)
}

/// Which packages this machine has not; none where there is no dpkg.
fn missing(packages: &[&'static str]) -> Vec<&'static str> {
    let installed = |package: &&&str| {
        let mut query = Command::new("dpkg-query");
        let output = query.args(["--show", "--showformat=${db:Status-Status}", package]).output();
        output.map_or(true, |output| output.stdout == b"installed")
    };
    packages.iter().filter(|package| !installed(package)).copied().collect()
}

fn apt(words: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(["--quiet", "--quiet"]).args(words).env("DEBIAN_FRONTEND", "noninteractive");
    super::passes(&mut command, &format!("apt-get {}", words.join(" ")))
}

fn install(packages: &[&str]) -> String {
    remedy::install(&packages.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
}

#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    // The folder of this process belongs to its effective user.
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

/// Who watches what a launcher opens.
pub(super) fn require_strace() -> Result<()> {
    ensure!(
        which::which("strace").is_ok(),
        "the end-to-end tests look at launchers with strace, which is not there; remedy: {}",
        install(&["strace"])
    );
    Ok(())
}

/// ruff of the pinned version: the one on PATH, else one that pip puts into the tools folder.
pub(super) fn ruff(paths: &Paths, ui: &Ui) -> Result<PathBuf> {
    let folder = paths.tools().join(format!("ruff-{RUFF}"));
    let own = folder.join("bin/ruff");
    for program in [Path::new("ruff"), &own] {
        if is_ruff(program) {
            return Ok(program.to_owned());
        }
    }
    prepare(ui)?;
    ui.status("Installing", format_args!("ruff {RUFF} into {}", folder.display()));
    let python = python_with_pip()?;
    let mut pip = Command::new(&python);
    pip.args(["-I", "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--upgrade"])
        .args(["--no-deps", "--only-binary=:all:", &format!("ruff=={RUFF}"), "--target"])
        .arg(&folder);
    super::passes(&mut pip, "pip install ruff")?;
    ensure!(is_ruff(&own), "pip has put no ruff {RUFF} into {}", folder.display());
    Ok(own)
}

fn is_ruff(program: &Path) -> bool {
    let output = Command::new(program).arg("--version").output();
    output.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout).trim() == format!("ruff {RUFF}")
    })
}

fn python_with_pip() -> Result<PathBuf> {
    let has_pip = |python: &PathBuf| {
        let output = Command::new(python).args(["-I", "-m", "pip", "--version"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let remedy = || {
        format!(
            "no Python here has pip, which installs ruff; remedy: {}",
            install(&["python3-pip"])
        )
    };
    candidates().into_iter().find(has_pip).with_context(remedy)
}
