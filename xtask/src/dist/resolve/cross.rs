//! What it takes to build for another machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::config::Device;
use crate::dist::link::rustflags;
use crate::paths::Paths;
use crate::python::{Interpreter, remedy, sysroot};
use crate::target::Target;

/// Another machine.
#[derive(Debug, Clone)]
pub struct Cross {
    /// Which.
    pub target: Target,
    /// The folder with its libraries and headers.
    pub sysroot: PathBuf,
    /// Where libraries are in there, in the order in which they are looked for.
    pub folders: Vec<PathBuf>,
    /// Who links; none: cargo's configuration says it.
    pub linker: Option<PathBuf>,
}

impl Cross {
    /// Looks everything up.
    ///
    /// # Errors
    /// The interpreter is in no sysroot; there is no linker, or Rust has no standard library for the target.
    pub fn of(
        triple: &str,
        interpreter: &Interpreter,
        device: &Device,
        paths: &Paths,
    ) -> Result<Cross> {
        let (target, prefix) = (Target::of(triple)?, &interpreter.prefix);
        let sysroot = sysroot::root_of(prefix).with_context(|| {
            format!(
                "{} is in no sysroot: a launcher for another machine needs its C library too, with headers, beside \
                 `usr`",
                prefix.display()
            )
        })?;
        require_std(&target)?;
        Ok(Cross {
            folders: folders(&sysroot, &target),
            linker: linker(&target, device, paths)?,
            target,
            sysroot,
        })
    }

    /// What the linker needs besides what rustc says: the sysroot, and where in it Debian has libraries.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![format!("--sysroot={}", self.sysroot.display())];
        for folder in self.folders.iter().map(|folder| folder.display()) {
            // Start files are looked for by -B; and what libraries need themselves by -rpath-link.
            arguments.push(format!("-B{folder}"));
            arguments.push(format!("-L{folder}"));
            arguments.push(format!("-Wl,-rpath-link,{folder}"));
        }
        arguments
    }

    /// The compiler of C, and what it is told of the sysroot.
    pub fn compiler(&self) -> (String, Vec<String>) {
        let (gcc, _) = self.target.gcc();
        // A compiler of the device's own kind links as well; what else links need not compile.
        let linker = self.linker.as_ref().map(|linker| linker.display().to_string());
        let gcc = linker.filter(|linker| linker.ends_with("-gcc")).unwrap_or(gcc);
        let mut words = vec![format!("--sysroot={}", self.sysroot.display())];
        if let Some(folder) = self.folders.first().map(|folder| folder.display()) {
            words.extend([format!("-B{folder}"), format!("-L{folder}")]);
        }
        (gcc, words)
    }

    /// Whether the linker finds `lib<name>` in the sysroot.
    pub fn has_library(&self, name: &str) -> bool {
        ["so", "a"].iter().any(|end| {
            self.folders.iter().any(|folder| folder.join(format!("lib{name}.{end}")).is_file())
        })
    }
}

/// The folders of libraries, as the dynamic linker of the device knows them.
fn folders(sysroot: &Path, target: &Target) -> Vec<PathBuf> {
    let wide = if target.bits == 64 { "lib64" } else { "lib" };
    let names = [
        format!("usr/lib/{}", target.gnu),
        format!("lib/{}", target.gnu),
        format!("usr/{wide}"),
        wide.to_owned(),
        "usr/lib".to_owned(),
        "lib".to_owned(),
    ];
    let mut found = Vec::new();
    for folder in names.iter().filter_map(|name| sysroot.join(name).canonicalize().ok()) {
        // `lib` is most often a link to `usr/lib`.
        if folder.is_dir() && !found.contains(&folder) {
            found.push(folder);
        }
    }
    found
}

/// Who links: the device's key, what cargo is configured with, GNU's cross compiler.
fn linker(target: &Target, device: &Device, paths: &Paths) -> Result<Option<PathBuf>> {
    if let Some(linker) = &device.linker {
        let found = which::which(linker);
        return found.map(Some).with_context(|| {
            format!("cannot find {}, the linker of device {}", linker.display(), device.name)
        });
    }
    let variable = target.cargo_variable("LINKER");
    if std::env::var_os(variable).is_some() || rustflags::has_linker(&paths.root, target.triple) {
        return Ok(None);
    }
    let (name, package) = target.gcc();
    let native = super::runs_natively(target.triple).then_some("cc");
    let names = [Some(name.as_str()), native];
    let found = names.into_iter().flatten().find_map(|name| which::which(name).ok());
    found.map(Some).with_context(|| {
        format!(
            "no linker for {}: {name} is not on PATH; remedy: {}, or name another one with `linker` in \
             [package.metadata.pyrmware.device.{}]",
            target.triple,
            remedy::install(&[package]),
            device.name
        )
    })
}

/// Refuses a Rust without the target's standard library: cargo would say so after minutes, and for each crate.
fn require_std(target: &Target) -> Result<()> {
    ensure!(
        has_std(target)?,
        "Rust's standard library for {} is not there; remedy: {}",
        target.triple,
        std_remedy(target)
    );
    Ok(())
}

/// Whether the rustc that cargo calls has the target's standard library.
///
/// # Errors
/// It does not start, or does not know the target.
pub(crate) fn has_std(target: &Target) -> Result<bool> {
    let rustc = super::rustc();
    let mut command = Command::new(&rustc);
    command.args(["--print", "target-libdir", "--target", target.triple]).stdin(Stdio::null());
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", Path::new(&rustc).display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} knows no target {}: {}", Path::new(&rustc).display(), target.triple, said.trim());
    }
    let own = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let is_std = |entry: &std::fs::DirEntry| {
        entry.file_name().to_str().is_some_and(|name| name.starts_with("libstd-"))
    };
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    Ok(std::iter::once(own).chain(searched(&flags)).any(|folder| {
        folder.read_dir().is_ok_and(|entries| entries.flatten().any(|entry| is_std(&entry)))
    }))
}

/// The folders of `-L` among rustc's flags: Yocto has the standard library of a device in its sysroot.
fn searched(flags: &str) -> impl Iterator<Item = PathBuf> {
    let mut words = flags.split_whitespace();
    std::iter::from_fn(move || {
        let word = words.find(|word| word.starts_with("-L"))?;
        let folder = if word == "-L" { words.next()? } else { &word[2..] };
        // The kind of what is looked for there: `native=`, `crate=`.
        Some(folder.split_once('=').map_or(folder, |(_, folder)| folder).into())
    })
}

/// What brings Rust's standard library for a target.
fn std_remedy(target: &Target) -> String {
    let rustup = format!("`rustup target add {}`", target.triple);
    let own = "or name a rustc that has it in the variable RUSTC (Debian: rustc-web and libstd-rust-web-dev)";
    match std::env::var_os("RUSTC").is_none() && which::which("rustup").is_ok() {
        true => format!("{rustup}, {own}"),
        false => format!("{rustup} where Rust comes from rustup, {own}"),
    }
}

/// Everything that `doctor` looks for: name, and what was found or is missing.
pub(crate) fn examine(
    target: &Target,
    device: &Device,
    paths: &Paths,
) -> [(&'static str, Result<String>); 2] {
    let std =
        require_std(target).map(|()| format!("Rust's standard library for {}", target.triple));
    let linker = linker(target, device, paths).map(|linker| match linker {
        Some(linker) => linker.display().to_string(),
        None => "as cargo is configured".to_owned(),
    });
    [("target", std), ("linker", linker)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_standard_library_has_a_remedy() {
        let target = Target::of("riscv64gc-unknown-linux-gnu").unwrap();
        assert!(std_remedy(&target).starts_with("`rustup target add riscv64gc-unknown-linux-gnu`"));
    }

    #[test]
    fn the_standard_library_may_be_where_flags_say() {
        let found: Vec<_> = searched("-Ca -L /a/lib -Cb -Lnative=/b").collect();
        assert_eq!(found, [Path::new("/a/lib"), Path::new("/b")]);
    }

    #[test]
    fn folders_of_a_sysroot_are_named_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let target = Target::of("aarch64-unknown-linux-gnu").unwrap();
        std::fs::create_dir_all(root.join("usr/lib/aarch64-linux-gnu")).unwrap();
        std::os::unix::fs::symlink("usr/lib", root.join("lib")).unwrap();
        let found = folders(&root, &target);
        assert_eq!(found, [root.join("usr/lib/aarch64-linux-gnu"), root.join("usr/lib")]);
    }
}
