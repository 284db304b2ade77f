//! What one bit does that somebody changes in the code of a launcher, form by form: what README's threat model
//! says, no more and no less. Whole signed payloads are in `sealed.rs`, ordinary ones in `damage.rs`.

use std::sync::Arc;
use std::time::Duration;

use crate::protect_native::{by_tool, vault};
use crate::sealed::{BUNKER, KEY};
use crate::support::flips::{Checksums, Dice, Victim};
use crate::support::{self, Alone, Ended, Image, Images};

/// Bits that are changed, one at a time.
const FLIPS: usize = 1000;
/// Of those after which an application may do anything, computing for ever included.
const FEW: usize = 100;
/// One that waits for ever is ended; one that computes is ended after a second of that.
const PATIENCE: Duration = Duration::from_secs(20);

/// The vault's image with these lines in its table `protect`, built once.
fn image(name: &str, protect: impl FnOnce() -> String) -> Arc<Image> {
    static IMAGES: Images = Images::new();
    IMAGES.get(name, || {
        let name = format!("flipped-{name}");
        let project = vault(&name, &protect(), &[]);
        support::dist(&project, &BUNKER.path(&format!("{name}.image"))).args(support::python())
    })
}

/// What launchers did in which one bit was another.
#[derive(Debug, Default)]
struct Outcomes {
    /// Exit code 70, and nothing of the application.
    refused: usize,
    /// As if nothing were.
    same: usize,
    /// Anything else: other words, tracebacks, crashes.
    other: Vec<String>,
}

/// Changes bits by chance in the vault's core.
fn flip(image: &Image, flips: usize, checksums: Checksums) -> Outcomes {
    let victim = Victim::of(image);
    let run = |alone: &Alone| -> Ended {
        let task = alone.task().env("BUNKER_KEY", KEY).arg("language");
        task.cpu_limit(1).limit(PATIENCE).run_or_kill().0
    };
    let expected = run(&victim.alone);
    assert!(expected.code == 0 && expected.out().ends_with("[0, 6, 12]\n"), "{expected}");
    let payload = victim.payload();
    // Nuitka makes one shared object of the package.
    let module = ["vault.core", "vault"].into_iter().find_map(|name| {
        let file = payload.module(name)?.file?;
        (name.ends_with("core") || file.path.ends_with(".so")).then_some(file)
    });
    let place = victim.within(module.expect("the core is there").unchecked());
    let mut dice = Dice(5);
    let mut outcomes = Outcomes::default();
    for _ in 0..flips {
        let at = place.start + dice.below(place.len());
        let ended = victim.flipped((at, dice.below(8)), checksums, run);
        let is = |code: i32, out: &[u8]| ended.code == code && ended.stdout == out;
        if is(70, b"") {
            outcomes.refused += 1;
        } else if is(0, &expected.stdout) && ended.stderr.is_empty() {
            outcomes.same += 1;
        } else {
            outcomes.other.push(format!("bit at {at:#x}: {ended}"));
        }
    }
    outcomes
}

/// Each one is refused.
#[track_caller]
fn notices(image: &Image) {
    let found = flip(image, FLIPS, Checksums::Stay);
    assert!(found.refused == FLIPS, "{found:#?}");
}

/// Some make another program of it.
#[track_caller]
fn is_changed(found: &Outcomes) {
    assert!(!found.other.is_empty(), "{found:#?}");
}

#[test]
fn bytecode_is_safe_from_accidents_and_open_to_everybody() {
    let image = image("bytecode", || by_tool("bytecode"));
    notices(&image);
    let found = flip(&image, FEW, Checksums::Follow);
    assert_eq!(found.refused, 0, "{found:#?}");
    is_changed(&found);
}

#[test]
fn encrypted_modules_are_what_they_were_or_are_refused() {
    let image = image("encrypted", || BUNKER.encrypted("env:BUNKER_KEY"));
    notices(&image);
    // Whoever cannot read it cannot change it either, unsigned as it is.
    let found = flip(&image, FLIPS, Checksums::Follow);
    assert!(found.other.is_empty() && found.refused > FLIPS / 2, "{found:#?}");
}

#[test]
fn pyarmor_hides_code_and_does_not_notice_that_it_is_changed() {
    let image = image("pyarmor", || by_tool("pyarmor"));
    notices(&image);
    is_changed(&flip(&image, FEW, Checksums::Follow));
}

/// What the dynamic linker reads is checked, code and constants are not: they are read as they are used.
fn compiled(tool: &str) {
    let found = flip(&image(tool, || by_tool(tool)), FLIPS, Checksums::Stay);
    assert!(found.refused > 0 && found.same > 0, "{found:#?}");
    is_changed(&found);
}

#[test]
fn machine_code_of_cython_is_changed_by_whoever_can_write_the_file() {
    compiled("cython");
}

#[test]
fn machine_code_of_nuitka_is_changed_by_whoever_can_write_the_file() {
    compiled("nuitka");
}

#[test]
fn signed_machine_code_is_what_it_was_or_is_refused() {
    notices(&image("signed", || BUNKER.signed() + &by_tool("cython")));
}
