//! A launcher whose payload is damaged says so in one line and exits with 70, or was not hurt.

use std::fs;
use std::ops::Range;

use pyrmware_payload::{FORMAT_VERSION, Payload, keys};

use crate::support::flips::Dice;
use crate::support::task::{Ended, Task};
use crate::support::{self, Alone};

/// The launcher's exit code for a payload that cannot be used.
const EXIT_PAYLOAD: i32 = 70;
/// The launcher's exit code for a launcher that cannot be used.
const EXIT_CONFIG: i32 = 78;
/// Of each kind of damage.
const ROUNDS: usize = 25;

/// A launcher of `hello`, taken apart.
struct Victim {
    alone: Alone,
    bytes: Vec<u8>,
    payload: Range<usize>,
    manifest: Range<usize>,
    whole: Ended,
}

impl Victim {
    fn new() -> Victim {
        let image = support::image("hello");
        let alone = image.alone();
        let bytes = fs::read(&alone.launcher).expect("the launcher can be read");
        let payload = image.payload(&bytes);
        let found = Payload::open(&bytes[payload.clone()]).expect("it is whole");
        let start = found.manifest().as_ptr() as usize - bytes.as_ptr() as usize;
        let manifest = start..start + found.manifest().len();
        let whole = run(&alone);
        assert_eq!((whole.code, whole.out()), (0, "hello\n1 'damaged?'\n".into()));
        Victim { alone, bytes, payload, manifest, whole }
    }

    /// Runs the launcher with these bytes in the place of its own.
    fn with(&self, at: usize, bytes: &[u8]) -> Ended {
        self.write(|launcher| launcher[at..at + bytes.len()].copy_from_slice(bytes))
    }

    fn write(&self, change: impl FnOnce(&mut Vec<u8>)) -> Ended {
        let mut launcher = self.bytes.clone();
        change(&mut launcher);
        fs::write(&self.alone.launcher, launcher).expect("the launcher can be written");
        run(&self.alone)
    }

    /// As it was before, or one line and 70.
    #[track_caller]
    fn survives(&self, ended: &Ended, what: &str) -> bool {
        let same = (ended.code, &ended.stdout, &ended.stderr)
            == (0, &self.whole.stdout, &self.whole.stderr);
        assert!(same || is_refusal(ended), "{what}: {ended}");
        same
    }

    /// Damages the manifest and puts its checksum right.
    fn forged(&self, change: impl FnOnce(&mut [u8])) -> Ended {
        self.write(|launcher| forge(&mut launcher[self.manifest.clone()], change))
    }

    /// Where in the launcher the record of a setting is.
    fn setting(&self, key: &str) -> usize {
        let payload = Payload::open(&self.bytes[self.payload.clone()]).expect("it is whole");
        let value = payload.setting(key).expect("it has the setting");
        let strings_end = self.manifest.end;
        let wanted = (value.as_ptr() as usize - self.bytes.as_ptr() as usize, value.len());
        let number = |at: usize| {
            u32::from_le_bytes(self.bytes[at..at + 4].try_into().expect("four bytes")) as usize
        };
        let strings = strings_end - number(self.manifest.start + 56);
        let first = self.manifest.start + 60;
        let records = (0..number(self.manifest.start + 24)).map(|index| first + 16 * index);
        let mut found = records.filter(|at| {
            let key_at = strings + number(*at);
            let same_key = &self.bytes[key_at..key_at + number(at + 4)] == key.as_bytes();
            same_key && (strings + number(at + 8), number(at + 12)) == wanted
        });
        found.next().expect("the record is there") - self.manifest.start
    }
}

fn run(alone: &Alone) -> Ended {
    alone.task().arg("damaged?").run()
}

/// One line, with the journal's priority, and the exit code.
fn is_refusal(ended: &Ended) -> bool {
    let text = ended.err();
    let line = text.strip_suffix('\n').unwrap_or_default();
    ended.code == EXIT_PAYLOAD
        && ["<3>hello: ", "<3>pyrmware: "].iter().any(|start| line.starts_with(start))
        && !line.contains('\n')
}

fn forge(manifest: &mut [u8], change: impl FnOnce(&mut [u8])) {
    change(manifest);
    let crc = crc32fast::hash(&manifest[20..]);
    manifest[16..20].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn flipped_bytes_are_noticed_or_harmless() {
    let victim = Victim::new();
    let payload = Payload::open(&victim.bytes[victim.payload.clone()]).expect("it is whole");
    let base = victim.bytes.as_ptr() as usize;
    let files: Vec<Range<usize>> = payload
        .files()
        .filter(|file| !file.is_empty())
        .map(|file| {
            let start = file.bytes().expect("it is whole").as_ptr() as usize - base;
            start..start + file.len()
        })
        .collect();
    let mut dice = Dice(1);
    let mut noticed = 0;
    for round in 0..ROUNDS {
        // Files of all sizes alike, the manifest, and what is between them.
        let file = &files[dice.below(files.len())];
        for place in [file, &victim.manifest, &victim.payload] {
            let at = place.start + dice.below(place.len());
            let flipped = victim.bytes[at] ^ (1 << dice.below(8));
            let same = victim
                .survives(&victim.with(at, &[flipped]), &format!("round {round}, bit at {at:#x}"));
            noticed += usize::from(!same);
        }
    }
    // Every bit of the manifest is checked.
    assert!(noticed >= ROUNDS, "only {noticed} noticed");
}

#[test]
fn what_the_application_needs_is_checked_when_it_is_used() {
    let victim = Victim::new();
    let payload = Payload::open(&victim.bytes[victim.payload.clone()]).expect("it is whole");
    for name in ["encodings", "encodings.utf_8", "hello", "hello.__main__", "hello.modes"] {
        let file = payload.module(name).expect("it is there").file.expect("it has code");
        let start =
            file.bytes().expect("it is whole").as_ptr() as usize - victim.bytes.as_ptr() as usize;
        let ended = victim.with(start + file.len() / 2, &[0xff, 0x00, 0xff]);
        assert!(is_refusal(&ended), "{name}: {ended}");
        let said = format!("the payload is damaged: wrong checksum of {}\n", file.path);
        assert!(ended.err().ends_with(&said), "{name}: {ended}");
    }
}

#[test]
fn of_an_extension_module_is_checked_what_is_read_to_load_it() {
    let image = support::image("native");
    let alone = image.alone();
    let bytes = fs::read(&alone.launcher).expect("the launcher can be read");
    let payload = Payload::open(&bytes[image.payload(&bytes)]).expect("it is whole");
    let file = payload.module("_cffi_backend").and_then(|module| module.file);
    let file = file.expect("cryptography needs it");
    let mut parts = Vec::new();
    let load = file.load.expect("nothing of it runs while it is relocated");
    load.parts(|at, part| parts.push(at..at + part.len())).expect("they are whole");
    let place = file.unchecked().as_ptr() as usize - bytes.as_ptr() as usize;
    let flipped = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[place + at] ^= 1;
        fs::write(&alone.launcher, bytes).expect("the launcher can be written");
        let program = "import _cffi_backend; print('loaded')";
        alone.task().env("PYRMWARE_PYTHON", "1").args(["-c", program]).run()
    };
    let said = format!("the payload is damaged: wrong checksum of {}", file.path);
    refused(&flipped(parts[0].end - 1), "native", &said);
    // Nobody reads the table of sections.
    let ended = flipped(file.len() - 1);
    assert_eq!((ended.code, ended.out()), (0, "loaded\n".into()), "{ended}");
}

#[test]
fn zeroed_pages_are_noticed_or_harmless() {
    const PAGE: usize = 4096;
    let victim = Victim::new();
    let mut dice = Dice(2);
    let last_page = victim.manifest.start / PAGE * PAGE;
    let random: Vec<usize> = (0..ROUNDS)
        .map(|_| (victim.payload.start + dice.below(victim.payload.len() - PAGE)) / PAGE * PAGE)
        .collect();
    for at in random.into_iter().chain([last_page, last_page + PAGE]) {
        let start = at.max(victim.payload.start);
        let end = (at + PAGE).min(victim.payload.end);
        victim.survives(&victim.with(start, &vec![0; end - start]), &format!("page at {at:#x}"));
    }
}

#[test]
fn a_payload_that_ends_early_or_is_another_file_is_refused() {
    let victim = Victim::new();
    let (payload, bytes) = (victim.payload.clone(), &victim.bytes);
    let text = "not a Pyrmware payload: its end was not recognised";
    for keep in [0, 1, 1000, payload.len() / 2, payload.len() - 1] {
        let start = payload.start + keep;
        refused(&victim.with(start, &vec![0; payload.end - start]), "pyrmware", text);
    }
    // A whole one, moved: as when the file that holds it was cut and joined.
    let moved = [&[0; 4096], &bytes[payload.start..payload.end - 4096]].concat();
    refused(&victim.with(payload.start, &moved), "pyrmware", text);
    let mut zip = vec![0; payload.len()];
    let end = zip.len() - 22;
    zip[..4].copy_from_slice(b"PK\x03\x04");
    zip[end..end + 4].copy_from_slice(b"PK\x05\x06");
    refused(&victim.with(payload.start, &zip), "pyrmware", text);
}

#[test]
fn what_was_made_for_another_launcher_is_refused_with_the_reason() {
    let victim = Victim::new();
    let manifest = victim.manifest.start;
    let (ours, other) = (FORMAT_VERSION, FORMAT_VERSION + 1);
    refused(
        &victim.with(manifest + 8, &other.to_le_bytes()),
        "pyrmware",
        &format!("the payload has format version {other}, this launcher reads version {ours}"),
    );
    refused(
        &victim.with(manifest, b"FOREIGN!"),
        "pyrmware",
        "not a Pyrmware payload: its end was not recognised",
    );
    let shorter = (victim.payload.len() as u32 - 1).to_le_bytes();
    refused(
        &victim.forged(|manifest| manifest[20..24].copy_from_slice(&shorter)),
        "pyrmware",
        "the payload is truncated",
    );
    let image = support::image("hello");
    let full = image.report["python"]["version"].as_str().or(image.report["python"].as_str());
    let full = full.expect("the report names Python's version").to_owned();
    let minor = full.rsplit_once('.').expect("three numbers").0.to_owned();

    let python = victim.setting(keys::PYTHON);
    let ended = victim.forged(|manifest| manifest[python + 12] -= 1);
    let cut = &minor[..minor.len() - 1];
    refused(
        &ended,
        "hello",
        &format!("the payload is for Python {cut}, this launcher runs Python {minor}"),
    );

    let magic = victim.setting(keys::MAGIC);
    let payload = Payload::open(&victim.bytes[victim.payload.clone()]).expect("it is whole");
    let number = payload.setting(keys::MAGIC).expect("it has one");
    let cut = &number[..number.len() - 1];
    let ended = victim.forged(|manifest| manifest[magic + 12] -= 1);
    refused(
        &ended,
        "hello",
        &format!("the payload's bytecode has magic number {cut}, Python {full} has {number}"),
    );
}

#[test]
fn a_missing_entry_or_setting_is_refused_with_its_name() {
    let victim = Victim::new();
    let entry = victim.setting(keys::ENTRY);
    // "hello" becomes "hell", and "entry" becomes "entr": both stay sorted.
    let ended = victim.forged(|manifest| manifest[entry + 12] -= 1);
    refused(&ended, "hello", "the payload has no module hell");
    let ended = victim.forged(|manifest| manifest[entry + 4] -= 1);
    refused(&ended, "hello", "the payload's manifest has no setting \"entry\"");
    let ended = victim.forged(|manifest| manifest[entry + 12] = 0);
    refused(&ended, "hello", "the payload's setting entry = \"\" cannot be understood");
}

#[test]
fn a_manifest_that_lies_kills_nobody() {
    let victim = Victim::new();
    let mut dice = Dice(3);
    for round in 0..ROUNDS {
        let at = 24 + dice.below(victim.manifest.len() - 24);
        let value = dice.below(256) as u8;
        let ended = victim.forged(|manifest| manifest[at] = value);
        assert!(ended.code >= 0, "round {round}, {value} at {at:#x}: {ended}");
    }
}

#[track_caller]
fn refused(ended: &Ended, name: &str, why: &str) {
    assert_eq!((ended.code, ended.err()), (EXIT_PAYLOAD, format!("<3>{name}: {why}\n")), "{ended}");
    assert_eq!(ended.out(), "");
}

#[test]
fn a_bare_launcher_says_how_to_build_a_real_one() {
    let words = ["build", "--package", "pyrmware-launcher", "--message-format", "json"];
    let built = support::cargo().args(words).run().success();
    let text = built.out();
    let program = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .find_map(|message| message["executable"].as_str().map(str::to_owned))
        .expect("cargo names the program");
    let ended = Task::new(program).clean_env().run().exits(EXIT_CONFIG);
    assert_eq!(ended.err(), "<3>pyrmware: built without a payload; run `cargo xtask dist`\n");
    assert_eq!(ended.out(), "");
}
