//! Encrypted modules and signed payloads: they work, they hide what they say they hide, and whoever changes a
//! byte is found.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use pyrmware_payload::{MANIFEST, ROOT};
use serde_json::json;
use tempfile::TempDir;

use crate::support::flips::{Checksums, Dice, Victim};
use crate::support::task::{Ended, Task};
use crate::support::workspace::{self, workspace};
use crate::support::{self, Alone, Image};

/// The launcher's exit code for a payload that cannot be used.
const EXIT_PAYLOAD: i32 = 70;
/// Bytes that are changed, one at a time.
const FLIPS: usize = 1000;

/// The key, as `openssl rand -hex 32` writes it.
pub const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER: &str = "100102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// What is in the module that nobody is to read: a constant, names, a docstring, a regular expression.
pub const TELLTALES: [&str; 5] = [
    "4711 is the launch code",
    "start_the_reactor",
    "secret_word",
    "nobody is to read",
    "launch.*pattern",
];

/// The application `bunker`, and what its protection is made with.
pub struct Bunker {
    folder: TempDir,
    public: String,
}

pub static BUNKER: LazyLock<Bunker> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let pair = minisign::KeyPair::generate_unencrypted_keypair().expect("a key pair");
    let secret = pair.sk.to_box(None).expect("a secret key").into_string();
    for (name, text) in [("key", KEY), ("other", OTHER), ("short", "abc"), ("sign", &secret)] {
        fs::write(folder.path().join(name), text).expect("it is written");
    }
    Bunker { folder, public: pair.pk.to_base64() }
});

impl Bunker {
    /// A file of that name.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A project with these lines in its table `protect`.
    pub fn project(&self, name: &str, protect: &str) -> PathBuf {
        let project = self.path(name);
        let package = project.join("bunker");
        fs::create_dir_all(&package).expect("a folder is made");
        let table = "[project]\nname = \"bunker\"\nversion = \"1\"\nrequires-python = \">=3.10\"\n\
                     [tool.pyrmware]\nentry = \"bunker\"\n[tool.pyrmware.protect]\n";
        fs::write(project.join("pyproject.toml"), format!("{table}{protect}")).expect("written");
        let files = [
            ("__init__.py", ""),
            ("__main__.py", include_str!("sealed/main.py")),
            ("core.py", include_str!("sealed/core.py")),
        ];
        for (name, text) in files {
            fs::write(package.join(name), text).expect("it is written");
        }
        project
    }

    /// The image of such a project.
    pub fn image(&self, name: &str, protect: &str) -> Image {
        let out = self.path(&format!("{name}.image"));
        Image::of(&support::dist(&self.project(name, protect), &out).run().success())
    }

    /// Lines for a key from there.
    pub fn encrypted(&self, from: &str) -> String {
        let file = self.path("key");
        format!("mode = \"encrypted\"\nkey = \"{from}\"\nkey-file = \"{}\"\n", file.display())
    }

    /// A line for a signature.
    pub fn signed(&self) -> String {
        format!("sign = \"{}\"\n", self.path("sign").display())
    }
}

fn run(launcher: &Path, word: &str, variables: &[(&str, &str)]) -> Ended {
    let task = Task::new(launcher).clean_env().arg(word);
    variables.iter().fold(task, |task, (name, value)| task.env(name, value)).run()
}

#[track_caller]
fn refused(ended: &Ended, why: &str) {
    let line = format!("<3>bunker: {why}\n");
    assert_eq!((ended.code, ended.err()), (EXIT_PAYLOAD, line), "{ended}");
    assert_eq!(ended.out(), "", "nothing of the application has run");
}

fn shows(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}

#[test]
fn an_encrypted_module_works_with_its_key_and_shows_nothing_without() {
    let bunker = &*BUNKER;
    let plain = bunker.image("plain", "mode = \"bytecode\"\n");
    let image = bunker.image("env", &bunker.encrypted("env:BUNKER_KEY"));
    let open = fs::read(&plain.launcher).expect("it can be read");
    let closed = fs::read(&image.launcher).expect("it can be read");
    for text in TELLTALES {
        // Docstrings of the application stay by default; `secret_word` is in the main module, too.
        assert!(shows(&open, text), "{text}");
        assert!(!shows(&closed, text), "{text}");
    }
    // The bill knows what opens them, and what an ordinary launcher does without.
    assert_eq!(ciphers(&image), ["blake3", "chacha20poly1305"]);
    assert!(ciphers(&plain).is_empty());
    let alone = image.alone();
    let key = [("BUNKER_KEY", KEY)];
    for word in ["word", "spawn", "names", "fail"] {
        let expected = run(&plain.alone().launcher, word, &[]);
        let ended = run(&alone.launcher, word, &key);
        let same = |ended: &Ended| ended.err().replace("/plain", "").replace("/env", "");
        assert_eq!((ended.code, ended.out()), (expected.code, expected.out()), "{word}: {ended}");
        assert_eq!(last_line(&same(&ended)), last_line(&same(&expected)), "{word}");
    }
    assert_eq!(run(&alone.launcher, "dumpable", &key).out(), "0\n");
    assert_eq!(run(&plain.launcher, "dumpable", &[]).out(), "1\n");

    let none = "no key for the encrypted modules: ";
    let wrong = run(&alone.launcher, "word", &[("BUNKER_KEY", OTHER)]);
    let text = wrong.err();
    assert!(
        text.starts_with(&format!("<3>bunker: {none}env:BUNKER_KEY gives the key "))
            && text.contains(", they were encrypted with "),
        "{wrong}"
    );
    assert!(!text.contains(&OTHER[..16]) && wrong.code == EXIT_PAYLOAD && wrong.out().is_empty());
    refused(
        &run(&alone.launcher, "word", &[]),
        &format!("{none}there is no environment variable BUNKER_KEY"),
    );
    refused(
        &run(&alone.launcher, "word", &[("BUNKER_KEY", "abc")]),
        &format!("{none}env:BUNKER_KEY gives 3 bytes; a key is 32 bytes, or 64 hexadecimal digits"),
    );
}

/// The crates in a launcher's bill of materials that only sealed payloads need.
fn ciphers(image: &Image) -> Vec<&'static str> {
    let bill = fs::read_to_string(image.folder.join("bunker.cdx.json")).expect("it is there");
    let names = ["blake3", "chacha20poly1305", "minisign-verify"];
    let is_there = |name: &&str| bill.contains(&format!("pkg:cargo/{name}@"));
    names.into_iter().filter(is_there).collect()
}

fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_traceback_through_encrypted_modules_is_symbolicated() {
    let bunker = &*BUNKER;
    let image = bunker.image("traced", &bunker.encrypted("env:BUNKER_KEY"));
    let ended = run(&image.alone().launcher, "fail", &[("BUNKER_KEY", KEY)]);
    assert!(!ended.err().contains("return heat"), "{ended}");
    let symbols = image.folder.join("symbols");
    let told = support::xtask()
        .args(["symbolicate", "-", "--symbols"])
        .arg(symbols)
        .stdin(ended.stderr.clone())
        .run()
        .success();
    assert!(told.out().contains("return heat / (self.rods - 3)"), "{told}");
}

#[test]
fn keys_come_from_where_the_device_has_them() {
    let bunker = &*BUNKER;
    let file = bunker.path("device-key");
    let from = |kind: &str| format!("{kind}:{}", file.display());
    let launcher =
        |name: &str, from: &str| -> Alone { bunker.image(name, &bunker.encrypted(from)).alone() };
    let none = "no key for the encrypted modules: ";
    let word = "4711 is the hidden code\n";

    let by_file = launcher("file", &from("file"));
    let missing =
        format!("{none}reading {}: No such file or directory (os error 2)", file.display());
    refused(&run(&by_file.launcher, "word", &[]), &missing);
    let by_command = launcher("command", &format!("command:/bin/cat {}", file.display()));
    let ended = run(&by_command.launcher, "word", &[]);
    assert_eq!(ended.code, EXIT_PAYLOAD, "{ended}");
    assert!(
        ended
            .err()
            .ends_with(": no key for the encrypted modules: /bin/cat failed: exit status: 1\n")
    );
    fs::write(&file, format!("{KEY}\n")).expect("it is written");
    assert_eq!(run(&by_file.launcher, "word", &[]).out(), word);
    assert_eq!(run(&by_command.launcher, "spawn", &[]).out(), word);

    let by_credential = launcher("credential", "credential:device-key");
    refused(
        &run(&by_credential.launcher, "word", &[]),
        &format!(
            "{none}CREDENTIALS_DIRECTORY is not set; the unit needs LoadCredential=device-key:…"
        ),
    );
    let folder = bunker.folder.path().to_str().expect("UTF-8");
    let ended = run(&by_credential.launcher, "word", &[("CREDENTIALS_DIRECTORY", folder)]);
    assert_eq!(ended.out(), word);
    fs::remove_file(&file).expect("it is there");

    let description = format!("pyrmware-test-{}", std::process::id());
    let by_keyring = launcher("keyring", &format!("keyring:{description}"));
    let ended = run(&by_keyring.launcher, "word", &[]);
    assert!(
        ended.code == EXIT_PAYLOAD
            && ended.err().starts_with(&format!("<3>bunker: {none}finding the kernel's key user:")),
        "{ended}"
    );
    let key = Kernel::add(&description, KEY);
    assert_eq!(run(&by_keyring.launcher, "word", &[]).out(), word);
    drop(key);
}

#[test]
fn verbs_that_start_the_launcher_lend_it_the_key() {
    let bunker = &*BUNKER;
    let project = bunker.project("lent", &bunker.encrypted("env:BUNKER_KEY"));
    let out = bunker.path("lent.image");
    for (verb, told) in [("run", "4711 is the hidden code\n"), ("trace", ""), ("startup", "")] {
        let task = support::xtask().args([verb, "-q", "--project"]).arg(&project).arg("--out");
        let ended = task.arg(&out).args(["--", "word"]).run().success();
        assert!(ended.out().contains(told), "{verb}: {ended}");
    }
    let trace = fs::read_to_string(project.join("pyrmware.trace")).expect("it is written");
    assert!(trace.lines().any(|line| line == "bunker.core"), "{trace}");
}

/// A key in the user's keyring.
struct Kernel(libc::c_long);

impl Kernel {
    fn add(description: &str, text: &str) -> Kernel {
        const USER_KEYRING: libc::c_long = -4;
        let name = std::ffi::CString::new(description).expect("no NUL");
        // SAFETY: C strings and bytes that outlive the call.
        let key = unsafe {
            let (kind, name) = (c"user".as_ptr(), name.as_ptr());
            libc::syscall(libc::SYS_add_key, kind, name, text.as_ptr(), text.len(), USER_KEYRING)
        };
        assert!(key > 0, "the kernel takes no key: {}", std::io::Error::last_os_error());
        Kernel(key)
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        const KEYCTL_INVALIDATE: libc::c_int = 21;
        // SAFETY: numbers only.
        unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_INVALIDATE, self.0) };
    }
}

#[test]
fn an_embedded_key_is_warned_of() {
    let bunker = &*BUNKER;
    let project = bunker.project("embedded", "mode = \"encrypted\"\nkey = \"embedded\"\n");
    let out = bunker.path("embedded.image");
    let ended = support::dist(&project, &out).run().success();
    assert!(
        ended.err().contains("the key of the encrypted modules is in the launcher itself"),
        "{ended}"
    );
    let image = Image::of(&ended);
    let warnings = image.report["warnings"].to_string();
    assert!(warnings.contains("is in the launcher itself"), "{warnings}");
    let modules = ["bunker", "bunker.__main__", "bunker.core"].map(|name| (name, "encrypted"));
    assert_eq!(image.report["protect"], json!(std::collections::BTreeMap::from(modules)));
    assert_eq!(run(&image.alone().launcher, "word", &[]).out(), "4711 is the hidden code\n");
}

#[test]
fn the_builder_s_keys_that_cannot_be_used() {
    let bunker = &*BUNKER;
    let fails = |name: &str, protect: &str, texts: &[&str]| {
        let project = bunker.project(name, protect);
        let ended = support::dist(&project, &bunker.path("none")).run();
        assert!(ended.code != 0 && texts.iter().all(|text| ended.err().contains(text)), "{ended}");
    };
    let encrypted = "mode = \"encrypted\"\nkey = \"env:BUNKER_KEY\"\n";
    fails("no-key", encrypted, &["no key is given: make one with `openssl rand -hex 32`"]);
    let short = format!("{encrypted}key-file = \"{}\"\n", bunker.path("short").display());
    fails("short-key", &short, &["short has 3 bytes; a key is 32 bytes, or 64 hexadecimal digits"]);
    let gone = format!("{encrypted}key-file = \"{}\"\n", bunker.path("gone").display());
    fails("gone-key", &gone, &["reading the key of encrypted modules, ", "No such file"]);
    let both = "mode = \"encrypted\"\nkey = \"embedded\"\nkey-file = \"key\"\n";
    fails("both-keys", both, &["key = \"embedded\" and key-file exclude each other"]);
    let sign = format!("sign = \"{}\"\n", bunker.path("key").display());
    fails("no-signer", &sign, &["this is no secret key of minisign; `minisign -G` makes one"]);
    let pair = minisign::KeyPair::generate_encrypted_keypair(Some("right".into())).expect("a pair");
    let secret = pair.sk.to_box(None).expect("a secret key").into_string();
    fs::write(bunker.path("locked"), secret).expect("it is written");
    let sign = format!("sign = \"{}\"\n", bunker.path("locked").display());
    fails("password", &sign, &["has a password: give it in the environment variable"]);
    let project = bunker.project("password", &sign);
    let given = |word| {
        support::dist(&project, &bunker.path("none")).env("PYRMWARE_SIGN_PASSWORD", word).run()
    };
    let ended = given("wrong");
    assert!(ended.code != 0 && ended.err().contains("Wrong password for that key"), "{ended}");
    given("right").success();
    let plan = support::xtask().args(["plan", "--project"]).arg(&project).args(support::python());
    plan.run().success();
}

#[test]
fn the_same_inputs_give_the_same_sealed_launcher() {
    let bunker = &*BUNKER;
    let protect = bunker.encrypted("env:BUNKER_KEY") + &bunker.signed();
    let launchers = ["first", "second"].map(|name| bunker.image(name, &protect));
    let read = |image: &Image| fs::read(&image.launcher).expect("it can be read");
    assert!(read(&launchers[0]) == read(&launchers[1]), "two launchers differ");
}

/// Signed and locked down: at the start everything is verified.
#[test]
fn whoever_changes_a_byte_of_a_signed_payload_is_found() {
    let bunker = &*BUNKER;
    let project = bunker.project("signed", &bunker.signed());
    let locked = workspace("sealed-locked", "locked-down = true\n", "");
    let image = workspace::dist(&locked, &project, "host");
    let lazily = bunker.image("signed", &bunker.signed());
    for image in [&image, &lazily] {
        assert_eq!(ciphers(image), ["blake3", "minisign-verify"]);
        assert_eq!((&image.report["signed"], &image.report["protect"]), (&true.into(), &json!({})));
    }
    attack(&image, true, bunker);
    attack(&lazily, false, bunker);
}

/// Changes bytes of a launcher, one at a time, all over the payload: outside of it is the program, which cannot
/// check itself.
fn attack(image: &Image, at_start: bool, bunker: &Bunker) {
    let victim = Victim::of(image);
    let payload = victim.payload();
    payload.verify(&bunker.public).expect("it is signed");
    let (root, signature) = payload.signature().expect("it is signed");
    let minisign = minisign::SignatureBox::from_string(signature).expect("minisign's form");
    let public = minisign::PublicKey::from_base64(&bunker.public).expect("a key");
    let signed = std::io::Cursor::new(root);
    minisign::verify(&public, &minisign, signed, true, false, false).expect("minisign agrees");

    let within = |part: &[u8]| victim.within(part);
    let mut read: Vec<_> =
        payload.files().map(|file| (file.path.to_owned(), within(file.unchecked()))).collect();
    read.push((MANIFEST.to_owned(), within(payload.manifest())));
    read.push((ROOT.to_owned(), within(root)));
    let unread = within(signature.as_bytes());
    let word = |alone: &Alone| run(&alone.launcher, "word", &[]);
    let expected = word(&victim.alone);
    assert_eq!(expected.out(), "4711 is the hidden code\n", "{expected}");

    let mut dice = Dice(4);
    let (mut found, mut harmless) = (0, 0);
    for _ in 0..FLIPS {
        let at = victim.place.start + dice.below(victim.place.len());
        let ended = victim.flipped((at, dice.below(8)), Checksums::Stay, word);
        let inside = read.iter().find(|(_, range)| range.contains(&at));
        let refused = ended.code == EXIT_PAYLOAD && ended.out().is_empty();
        let same = ended.code == 0 && ended.out() == expected.out() && ended.err().is_empty();
        match inside {
            Some((path, _)) if at_start => assert!(refused, "{path} at {at}: {ended}"),
            // Of what was not read nothing is known.
            Some((path, _)) => assert!(refused || same, "{path} at {at}: {ended}"),
            // Names and sizes for `unzip`, which the launcher does not read; and the signature's comments.
            None => assert!(refused || same || unread.contains(&at), "{at}: {ended}"),
        }
        if refused { found += 1 } else { harmless += 1 }
    }
    assert!(found > 0 && (at_start || harmless > 0), "{found} found, {harmless} not");
    if at_start {
        // The rest is headers: some hundred bytes for each of a few hundred files.
        assert!(found > FLIPS * 9 / 10, "{found} found, {harmless} not");
    }
}
