//! What a device has: the libraries of its sysroot, and which versions of their symbols.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::{Object, elf};

/// The libraries of a sysroot, read as they are asked for.
#[derive(Debug)]
pub struct Libraries<'a> {
    folders: &'a [PathBuf],
    machine: Option<(u16, bool)>,
    /// Name -> the versions that it defines; none: it is not there.
    known: RefCell<BTreeMap<String, Option<BTreeSet<String>>>>,
}

impl<'a> Libraries<'a> {
    /// Those in these folders, for the machine of this target.
    pub fn new(folders: &'a [PathBuf], target: &str) -> Libraries<'a> {
        Libraries { folders, machine: elf::machine(target), known: RefCell::default() }
    }

    /// Why the device cannot load an object of which `bundled` libraries are in the payload, one clause.
    pub fn fault(&self, object: &Object, bundled: &BTreeMap<String, String>) -> Option<String> {
        for library in object.needed.iter().filter(|name| !bundled.contains_key(*name)) {
            let Some(defined) = self.versions(library) else {
                return Some(format!(
                    "it needs {library}, which neither the device's sysroot nor the payload has; if the device has it, \
                     add it to the sysroot"
                ));
            };
            let asked = object.versions.iter().filter(|(of, _)| of == library);
            let mut lacking = asked.map(|(_, version)| version).filter(|it| !defined.contains(*it));
            if let Some(version) = lacking.next() {
                return Some(too_new(library, version, &defined));
            }
        }
        None
    }

    /// The versions that a library of the device defines, or none where the device has no such library.
    fn versions(&self, name: &str) -> Option<BTreeSet<String>> {
        if let Some(known) = self.known.borrow().get(name) {
            return known.clone();
        }
        let found = self.folders.iter().find_map(|folder| {
            let headers = elf::open(&folder.join(name)).ok()??;
            let suits = self.machine.is_none_or(|machine| machine == headers.machine);
            suits.then_some(headers.defined)
        });
        self.known.borrow_mut().insert(name.to_owned(), found.clone());
        found
    }
}

/// `GLIBC_2.38` says more than a name: which release of the C library it takes.
fn too_new(library: &str, version: &str, defined: &BTreeSet<String>) -> String {
    let Some(needed) = version.strip_prefix("GLIBC_") else {
        return format!(
            "it needs {version} of {library}, which the device's {library} does not have"
        );
    };
    let theirs =
        newest(defined).map(|(major, minor)| format!("{major}.{minor}")).unwrap_or_default();
    format!("it needs glibc {needed} ({library}), and the device's sysroot has {theirs}")
}

/// The newest release among the versions that a C library defines: 2 and 36.
fn newest(defined: &BTreeSet<String>) -> Option<(u32, u32)> {
    defined.iter().filter_map(|version| numbers(version.strip_prefix("GLIBC_")?)).max()
}

/// The release of glibc that shared objects need at least: 2 and 34.
pub fn needed<'a>(objects: impl IntoIterator<Item = &'a Object>) -> Option<(u32, u32)> {
    let versions = objects.into_iter().flat_map(|object| &object.versions);
    versions.filter_map(|(_, version)| numbers(version.strip_prefix("GLIBC_")?)).max()
}

/// 2 and 36 of "2.36".
pub fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// The release of the C library in these folders: 2 and 36.
pub fn glibc(folders: &[PathBuf], target: &str) -> Option<(u32, u32)> {
    newest(&Libraries::new(folders, target).versions("libc.so.6")?)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const TARGET: &str = "x86_64-unknown-linux-gnu";

    /// A folder with a C library of which the compiler of this machine makes as much as is asked for.
    fn sysroot(versions: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("libc.c"), "int here(void) { return 1; }").unwrap();
        std::fs::write(path("libc.map"), versions).unwrap();
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-nostdlib", "-Wl,-soname,libc.so.6"]);
        compiler.arg(format!("-Wl,--version-script={}", path("libc.map").display()));
        let made = compiler.arg("-o").arg(path("libc.so.6")).arg(path("libc.c")).status();
        assert!(made.unwrap().success());
        folder
    }

    fn object(needed: &[&str], versions: &[(&str, &str)]) -> Object {
        let own = |text: &str| text.to_owned();
        Object {
            needed: needed.iter().map(|name| own(name)).collect(),
            versions: versions.iter().map(|(of, version)| (own(of), own(version))).collect(),
            ..Object::default()
        }
    }

    #[test]
    fn a_c_library_that_is_too_old_is_found_before_the_device_does() {
        if !cfg!(target_arch = "x86_64") {
            return;
        }
        let folder = sysroot("GLIBC_2.2.5 { here; };\nGLIBC_2.36 { };\n");
        let folders = [folder.path().to_owned()];
        assert_eq!(glibc(&folders, TARGET), Some((2, 36)));
        let device = Libraries::new(&folders, TARGET);
        let fault = |object: &Object| device.fault(object, &BTreeMap::new());
        assert_eq!(fault(&object(&["libc.so.6"], &[("libc.so.6", "GLIBC_2.2.5")])), None);
        assert_eq!(
            fault(&object(&["libc.so.6"], &[("libc.so.6", "GLIBC_2.38")])).as_deref(),
            Some("it needs glibc 2.38 (libc.so.6), and the device's sysroot has 2.36")
        );
        assert_eq!(
            fault(&object(&["libc.so.6"], &[("libc.so.6", "OTHER_1")])).as_deref(),
            Some("it needs OTHER_1 of libc.so.6, which the device's libc.so.6 does not have")
        );
        // A library of another machine is none of the device's.
        assert_eq!(glibc(&folders, "aarch64-unknown-linux-gnu"), None);
    }

    #[test]
    fn a_library_comes_from_the_sysroot_or_with_the_payload() {
        let device = Libraries::new(&[], TARGET);
        let object = object(&["libodd.so.1"], &[]);
        let fault = device.fault(&object, &BTreeMap::new()).unwrap();
        assert!(fault.starts_with("it needs libodd.so.1, which neither"), "{fault}");
        let bundled =
            BTreeMap::from([("libodd.so.1".to_owned(), "odd.libs/libodd.so.1".to_owned())]);
        assert_eq!(device.fault(&object, &bundled), None);
    }
}
