//! What somebody who has the shipped file finds in it, form by form: as much as README's threat model says, and
//! no less, for a form that hides more than it says is not understood.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;

use crate::protect_native::{CONSTANTS, NAMES, by_tool, vault};
use crate::sealed::{BUNKER, TELLTALES};
use crate::support::{self, Alone, Image, ROOT};

/// Python 3.13 and later are not known to the decompiler.
const DECOMPILES: [&str; 3] = ["3.10", "3.11", "3.12"];
/// A line of the module's source, which the decompiler writes as it was.
const SOURCE: &str = "return heat / (self.rods - 3)";

/// The launcher of an application that decompiles others.
static ATTACKER: LazyLock<(tempfile::TempDir, Image)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let project = folder.path().join("project");
    support::copy(&ROOT.join("tests/attack"), &project);
    let attack = ROOT.join("xtask/src/python/attack.py");
    fs::copy(attack, project.join("attack.py")).expect("it is copied");
    let image = Image::of(&support::dist(&project, &folder.path().join("image")).run().success());
    (folder, image)
});

/// What was found in one launcher.
struct Found {
    image: Image,
    /// As `cargo xtask protect` counts it.
    sees: Value,
    /// What `unzip`, `marshal`, a decompiler and `dis` make of it.
    code: String,
    /// The file itself.
    bytes: Vec<u8>,
}

impl Found {
    /// Builds the bunker in a form, and attacks.
    fn of(name: &str, protect: &str) -> Found {
        let out = BUNKER.path(&format!("{name}.image"));
        Found::in_package("bunker", &BUNKER.project(name, protect), &out)
    }

    fn in_package(package: &str, project: &Path, out: &Path) -> Found {
        let told = support::xtask()
            .args(["protect", "--message-format", "json", "--project"])
            .arg(project)
            .arg("--out")
            .arg(out)
            .args(support::python())
            .run()
            .success();
        let event = support::event(&told, "protect");
        let launcher = Path::new(event["launcher"].as_str().expect("a path"));
        let image = Image::at(launcher);
        let words = [launcher.to_str().expect("a path"), package];
        let code = ATTACKER.1.alone().task().args(words).run().success().out();
        let bytes = fs::read(launcher).expect("it can be read");
        Found { image, sees: event["sees"].clone(), code, bytes }
    }

    #[track_caller]
    fn shows(&self, what: &str, expected: impl Fn(u64, u64) -> bool) {
        let part = |at: usize| self.sees[what][at].as_u64().expect("a number");
        assert!(part(1) > 0 && expected(part(0), part(1)), "{what}: {}", self.sees);
    }

    /// `strings FILE`.
    fn has(&self, text: &str) -> bool {
        memchr::memmem::find(&self.bytes, text.as_bytes()).is_some()
    }

    /// The launcher alone, with another constant in its code.
    fn changed(&self) -> Alone {
        let alone = self.image.alone();
        let mut bytes = self.bytes.clone();
        let at: Vec<usize> = memchr::memmem::find_iter(&self.bytes, "no rod").collect();
        assert!(!at.is_empty());
        at.into_iter().for_each(|at| bytes[at..at + 2].copy_from_slice(b"my"));
        fs::write(&alone.launcher, bytes).expect("it is written");
        alone
    }

    fn decompiles(&self) -> bool {
        let python = self.image.report["python"].as_str().expect("a version");
        assert!(self.code.contains("RETURN_VALUE"), "{}", self.code);
        DECOMPILES.iter().any(|version| python.starts_with(version))
    }
}

fn all(found: u64, all: u64) -> bool {
    found == all
}

fn none(found: u64, _: u64) -> bool {
    found == 0
}

#[test]
fn bytecode_is_read_by_everybody_but_it_has_no_source() {
    let found = Found::of("attacked-bytecode", "mode = \"bytecode\"\n");
    for what in ["functions", "docstrings", "names", "strings"] {
        found.shows(what, all);
    }
    found.shows("lines", none);
    assert!(TELLTALES.iter().all(|text| found.has(text)));
    assert!(!found.has(SOURCE));
    assert_eq!(found.code.contains(SOURCE), found.decompiles(), "{}", found.code);
}

#[test]
fn a_signature_hides_nothing() {
    let found = Found::of("attacked-signed", &BUNKER.signed());
    for what in ["functions", "docstrings", "names", "strings"] {
        found.shows(what, all);
    }
    assert_eq!(found.code.contains(SOURCE), found.decompiles(), "{}", found.code);
}

#[test]
fn of_encrypted_modules_only_their_names_are_seen() {
    let found = Found::of("attacked-encrypted", &BUNKER.encrypted("env:BUNKER_KEY"));
    for what in ["functions", "lines", "docstrings", "names", "strings"] {
        found.shows(what, none);
    }
    assert!(TELLTALES.iter().all(|text| !found.has(text)));
    assert!(found.has("bunker.core"), "names of modules are in the manifest");
    assert!(found.code.contains("file bunker/core.pyc") && !found.code.contains("RETURN_VALUE"));
}

#[test]
fn compiled_modules_show_names_and_no_bytecode_and_can_be_changed_unless_they_are_signed() {
    for mode in ["cython", "nuitka"] {
        let out = BUNKER.path(&format!("attacked-{mode}.image"));
        let found = Found::in_package(
            "vault",
            &vault(&format!("attacked-{mode}"), &by_tool(mode), &[]),
            &out,
        );
        for what in ["functions", "lines", "docstrings"] {
            found.shows(what, none);
        }
        for what in ["names", "strings"] {
            found.shows(what, all);
        }
        assert!(NAMES.iter().chain(&CONSTANTS).all(|text| found.has(text)), "{mode}");
        assert!(!found.code.contains("RETURN_VALUE"), "{mode}: {}", found.code);
        let ended = found.changed().task().arg("fail").run();
        assert!(ended.code == 1 && ended.err().ends_with("LookupError: my rod\n"), "{ended}");
    }
    let protect = BUNKER.signed() + &by_tool("cython");
    let out = BUNKER.path("attacked-signed-cython.image");
    let found = Found::in_package("vault", &vault("attacked-signed", &protect, &[]), &out);
    let ended = found.changed().task().arg("fail").run();
    assert!(ended.code == 70 && !ended.err().contains("my rod"), "{ended}");
}

#[test]
fn of_obfuscated_modules_only_names_of_files_are_seen() {
    let out = BUNKER.path("attacked-pyarmor.image");
    let found =
        Found::in_package("vault", &vault("attacked-pyarmor", &by_tool("pyarmor"), &[]), &out);
    for what in ["functions", "lines", "docstrings"] {
        found.shows(what, none);
    }
    assert!(NAMES.iter().chain(&CONSTANTS).all(|text| !found.has(text)));
    assert!(found.code.contains("file vault/core.pyc"), "{}", found.code);
    assert!(!found.code.contains("start_the_reactor"), "{}", found.code);
}
