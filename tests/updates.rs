//! Updates of the application without a new launcher: they are tried, they stay or are given up, and whatever
//! happens something whole runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::LazyLock;

use pyrmware_payload::{Payload, keys};
use tempfile::TempDir;

use crate::sealed::BUNKER;
use crate::support::gate::{self, Gate, UPDATE};
use crate::support::live::Live;
use crate::support::task::Ended;
use crate::support::workspace::workspace;
use crate::support::{self, Alone};

const EXEC: &str = "[package.metadata.pyrmware.memory]
hard = \"500 MiB\"
restart = \"exec\"
[package.metadata.pyrmware.service]
restarts = 0
back-off = \"0 s\"
";
const ZYGOTE: &str = "[package.metadata.pyrmware.memory]
hard = \"500 MiB\"
restart = \"zygote\"
grace = \"1 s\"
[package.metadata.pyrmware.service]
restarts = 0
back-off = \"0 s\"
";

/// A launcher of version 1, and updates for it.
struct Device<const N: usize> {
    alone: Alone,
    updates: [Vec<u8>; N],
}

/// The folder of updates of a device.
struct Store(TempDir);

impl Store {
    fn new() -> Store {
        let folder = tempfile::tempdir().expect("a folder can be made");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        Store(folder)
    }

    /// As whoever brings an update should.
    fn bring(&self, update: &[u8]) {
        let aside = self.path("aside");
        fs::write(&aside, update).expect("it is written");
        fs::rename(aside, self.path("next")).expect("it is renamed");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn variable(&self) -> (&'static str, String) {
        ("PYRMWARE_UPDATE_DIR", self.0.path().display().to_string())
    }

    /// What lies there.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("it can be listed");
        let name = |entry: std::io::Result<fs::DirEntry>| {
            entry.expect("it is listed").file_name().to_string_lossy().into_owned()
        };
        let mut names: Vec<_> = entries.map(name).collect();
        names.sort();
        names
    }

    fn refused(&self) -> String {
        let text = fs::read_to_string(self.path("refused")).expect("there is a reason");
        text.split_once(' ').expect("a build id").1.trim_end().to_owned()
    }
}

impl<const N: usize> Device<N> {
    /// The launcher with version 1 inside, and these versions as updates.
    fn of(gate: &Gate, versions: [&str; N]) -> Device<N> {
        let updates = versions.map(|version| gate.update(version));
        Device { alone: gate.dist("1").alone(), updates }
    }

    fn run(&self, store: &Store, acts: &[&str]) -> Ended {
        let (name, value) = store.variable();
        self.alone.task().env(name, value).args(acts).run()
    }

    fn live(&self, store: &Store, acts: &[&str]) -> Live {
        let (name, value) = store.variable();
        Live::start(&self.alone, acts, &[(name, &value)])
    }
}

/// The version that ran and what it said, without process ids.
#[track_caller]
fn said(ended: &Ended) -> Vec<String> {
    let main = |line: &str| match line.strip_prefix("main ") {
        Some(rest) => format!("main {}", rest.split(' ').next().unwrap_or_default()),
        None => line.to_owned(),
    };
    ended.out().lines().map(main).collect()
}

fn gate(name: &str, tables: &str) -> Gate {
    Gate::new(name, &format!("{UPDATE}{tables}"))
}

static EXEC_GATE: LazyLock<Gate> = LazyLock::new(|| gate("update", EXEC));
static DEVICE: LazyLock<Device<2>> = LazyLock::new(|| Device::of(&EXEC_GATE, ["2", "3"]));

#[test]
fn an_update_that_is_ready_stays_and_one_that_is_not_is_given_up() {
    let (device, store) = (&*DEVICE, Store::new());
    let [two, three] = &device.updates;
    assert_eq!(said(&device.run(&store, &[]).success()), ["main 1", "ready 1"]);
    assert!(store.names().is_empty(), "nothing is written where nothing has come");

    store.bring(two);
    let ended = device.run(&store, &[]).success();
    assert_eq!(said(&ended), ["main 2", "ready 2"]);
    let lines =
        "<5>gate: update: 2 is tried, start 1 of 3\n<5>gate: update: 2 is ready and stays\n";
    assert_eq!(ended.err(), lines);
    assert_eq!(store.names(), ["current"]);
    let ended = device.run(&store, &[]).success();
    assert_eq!(
        (said(&ended), ended.err()),
        (["main 2", "ready 2"].map(Into::into).into(), "".into())
    );

    // One that crashes is started three times; then what ran before runs again.
    store.bring(three);
    for (count, act, code) in [(1, "abort", -libc::SIGABRT), (2, "raise", 1), (3, "child", 3)] {
        let ended = device.run(&store, &[&format!("3={act}")]).exits(code);
        assert_eq!(said(&ended), ["main 3"]);
        let line = format!("<5>gate: update: 3 is tried, start {count} of 3\n");
        assert!(ended.err().starts_with(&line), "{ended}");
        assert_eq!(store.names(), ["current", "trial", "tries"]);
    }
    let ended = device.run(&store, &[]).success();
    assert_eq!(said(&ended), ["main 2", "ready 2"]);
    let why = "it was started 3 times and never ready";
    assert_eq!(ended.err(), format!("<4>gate: update: 3 is refused: {why}\n"));
    assert_eq!(store.refused(), format!("3: {why}"));
    assert!(!store.path("trial").exists() && !store.path("next").exists());

    // It is not tried again, unless that is wanted.
    store.bring(three);
    let ended = device.run(&store, &[]).success();
    assert_eq!(said(&ended), ["main 2", "ready 2"]);
    assert_eq!(ended.err(), "<4>gate: update: 3 is refused: 3 was refused before\n");
    fs::remove_file(store.path("refused")).expect("it is removed");
    fs::remove_file(store.path("tries")).expect("it is removed");
    store.bring(three);
    assert_eq!(said(&device.run(&store, &[]).success()), ["main 3", "ready 3"]);

    // Nor is an older one.
    store.bring(two);
    let ended = device.run(&store, &[]).success();
    assert_eq!(said(&ended), ["main 3", "ready 3"]);
    let why = "2 is not newer than 3, which is in use";
    assert_eq!(ended.err(), format!("<4>gate: update: 2 is refused: {why}\n"));
}

#[test]
fn what_an_update_starts_is_the_update() {
    let (device, store) = (&*DEVICE, Store::new());
    store.bring(&device.updates[0]);
    // On trial, and after; a helper is no start of the application.
    for _ in 0..2 {
        let ended = device.run(&store, &["2=helper"]).success();
        assert_eq!(said(&ended), ["main 2", "helper 2", "ready 2"]);
    }
    // Extension modules' code is read from there, too.
    let ended = device.run(&store, &["2=maps"]).success();
    assert_eq!(said(&ended), ["main 2", "mapped 1 True", "ready 2"]);
    // What has come and was never started is nobody's.
    store.bring(&device.updates[1]);
    let mut live = device.live(&store, &["3=helper", "2=helper"]);
    live.line("helper 3");
}

#[test]
fn an_update_that_hangs_is_started_anew() {
    let (device, store) = (&*DEVICE, Store::new());
    store.bring(&device.updates[0]);
    // Without anybody to start it: it becomes a new launcher each time.
    let ended = device.run(&store, &["2=hang"]).success();
    assert_eq!(said(&ended), ["main 2", "main 2", "main 2", "main 1", "ready 1"]);
    assert_eq!(ended.err().matches("update: 2 was not ready in time: starts again").count(), 3);
    assert!(ended.out().contains(" update\n"), "last_exit() tells: {ended}");
    assert_eq!(store.names(), ["refused", "tries"]);
}

#[test]
fn a_zygote_goes_back_too() {
    let gate = gate("update-zygote", ZYGOTE);
    let device = Device::of(&gate, ["2"]);
    for act in ["abort", "hang"] {
        let store = Store::new();
        store.bring(&device.updates[0]);
        let mut live = device.live(&store, &[&format!("2={act}"), "1=wait"]);
        let pid = live.pid();
        for _ in 1..=3 {
            live.line("main 2");
        }
        let main = live.line("main 1");
        live.line("ready 1");
        let why = if act == "abort" { "signal 6" } else { "update" };
        assert!(main.ends_with(why), "{main}");
        assert_eq!(live.pid(), pid, "one process answers for all of them");
        live.signal(libc::SIGTERM);
        let (code, lines) = live.end();
        assert_eq!(code, -libc::SIGTERM);
        // The two streams are in no order.
        let tried = lines.iter().filter(|line| line.contains("update: 2 is tried, start "));
        assert_eq!(tried.count(), 3, "{lines:?}");
        let why = "update: 2 is refused: it was started 3 times and never ready";
        assert!(lines.iter().any(|line| line.ends_with(why)), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("is not possible")), "{lines:?}");
    }
    // One by another key is nobody's.
    let store = Store::new();
    store.bring(&DEVICE.updates[0]);
    let mut live = device.live(&store, &["1=wait"]);
    live.line("update: 2 is refused: the payload is not as it was signed: .pyrmware-root");
    live.line("ready 1");
    // SAFETY: asks for a number.
    if unsafe { libc::geteuid() } == 0 {
        // Who answers for an application that has given up root has not.
        let store = Store::new();
        store.bring(&device.updates[0]);
        let mut live = device.live(&store, &["2=drop"]);
        live.line("update: 2 is ready and stays");
        assert_eq!(store.names(), ["current"]);
    }
    // One that is ready stays, and is no longer on trial when it crashes.
    let store = Store::new();
    store.bring(&device.updates[0]);
    let mut live = device.live(&store, &["2=wait"]);
    for last in ["None", "signal 9"] {
        let main = live.line("main 2");
        assert!(main.ends_with(last), "{main}");
        live.line("ready 2");
        let worker: i32 = main.split(' ').nth(2).and_then(|pid| pid.parse().ok()).expect("a pid");
        crate::support::live::kill(worker, libc::SIGKILL);
    }
    live.line("main 2");
    assert_eq!(store.names(), ["current"]);
}

#[test]
fn an_application_takes_updates_itself() {
    let (device, store) = (&*DEVICE, Store::new());
    let [two, three] = &device.updates;
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("it is written");
        path.display().to_string()
    };
    let take = |version: &str, path: &str| {
        let ended = device.run(&store, &[&format!("{version}=take@{path}")]).success();
        said(&ended).remove(1)
    };
    let (two, three) = (path("two", two), path("three", three));
    assert_eq!(take("1", &two), "took 2");
    assert_eq!(store.names(), ["next"]);
    // It is in use from its first start on, which it survives.
    assert_eq!(said(&device.run(&store, &[]).success()), ["main 2", "ready 2"]);
    assert_eq!(
        take("2", &two),
        format!("RuntimeError {two}: 2 is not newer than 2, which is in use")
    );
    let half = path("half", &fs::read(&three).expect("it can be read")[..100_000]);
    let fault = "not a Pyrmware payload: its end was not recognised";
    assert_eq!(take("2", &half), format!("RuntimeError {half}: {fault}"));
    let none = format!("{two}-none");
    let error = "No such file or directory";
    assert_eq!(take("2", &none), format!("FileNotFoundError [Errno 2] {error}: '{none}'"));
    assert_eq!(take("2", &three), "took 3");
    assert_eq!(said(&device.run(&store, &[]).success()), ["main 3", "ready 3"]);
    assert_eq!(store.names(), ["current"], "nothing lies about");
}

#[test]
fn what_is_no_update_for_this_launcher_is_refused() {
    let device = &*DEVICE;
    let two = &device.updates[0];
    let refuses = |update: &[u8], why: &str| {
        let store = Store::new();
        store.bring(update);
        let ended = device.run(&store, &[]).success();
        assert_eq!(said(&ended), ["main 1", "ready 1"]);
        assert_eq!(ended.err(), format!("<4>gate: update: {why}\n"));
        assert_eq!(store.names(), ["refused"]);
    };
    refuses(b"", "next is refused: not a Pyrmware payload: its end was not recognised");
    refuses(
        &two[..two.len() / 2],
        "next is refused: not a Pyrmware payload: its end was not recognised",
    );
    let payload = Payload::open(two).expect("a payload");
    let file = payload.file("gate.pyc").expect("it is in there");
    let at = file.unchecked().as_ptr() as usize - two.as_ptr() as usize + 40;
    let mut flipped = two.clone();
    flipped[at] ^= 1;
    refuses(&flipped, "2 is refused: the payload is not as it was signed: gate.pyc");
    assert_eq!(EXEC_GATE.update("2"), *two, "the same inputs, the same bytes");
    // What is older, or the same, has nothing to say.
    let one = EXEC_GATE.update("1");
    refuses(&one, "1 is refused: 1 is not newer than 1, which is in the launcher");
    let same = Payload::open(&one).expect("a payload");
    assert!(same.setting(keys::LAUNCHER).expect("it says").contains(" Python 3."));
}

#[test]
fn a_damaged_update_is_given_up_when_that_is_found() {
    let (device, store) = (&*DEVICE, Store::new());
    store.bring(&device.updates[0]);
    device.run(&store, &[]).success();
    let path = store.path("current");
    let mut bytes = fs::read(&path).expect("it can be read");
    let payload = Payload::open(&bytes).expect("a payload");
    let file = payload.file("gate.pyc").expect("it is in there");
    let at = file.unchecked().as_ptr() as usize - bytes.as_ptr() as usize + 40;
    bytes[at] ^= 1;
    fs::write(&path, bytes).expect("it is written");
    let fault = "the payload is not as it was signed: gate.pyc";
    let ended = device.run(&store, &[]).exits(70);
    assert_eq!(ended.err(), format!("<4>gate: update: 2 is refused: {fault}\n<3>gate: {fault}\n"));
    assert_eq!(said(&device.run(&store, &[]).success()), ["main 1", "ready 1"]);
}

#[test]
fn a_folder_that_cannot_be_trusted_or_written_changes_nothing() {
    let (device, store) = (&*DEVICE, Store::new());
    store.bring(&device.updates[0]);
    let next = store.path("next");
    fs::set_permissions(&next, fs::Permissions::from_mode(0o666)).expect("chmod");
    let ended = device.run(&store, &[]).success();
    assert_eq!(said(&ended), ["main 1", "ready 1"]);
    let why = "others than root and this user can write to it; chmod go-w";
    let line = format!("<4>gate: update: {} cannot be used: {why}\n", next.display());
    assert_eq!(ended.err(), line);
    assert_eq!(store.names(), ["next"]);
    fs::set_permissions(&next, fs::Permissions::from_mode(0o644)).expect("chmod");
    // What cannot be counted is not started.
    fs::create_dir(store.path("tries")).expect("a folder is made");
    let ended = device.run(&store, &[]).success();
    assert_eq!(said(&ended), ["main 1", "ready 1"]);
    assert!(ended.err().contains("update: 2 waits: tries cannot be counted in "), "{ended}");
    fs::remove_dir(store.path("tries")).expect("it is removed");
    assert_eq!(said(&device.run(&store, &[]).success()), ["main 2", "ready 2"]);
}

#[test]
fn what_cannot_be_updated_is_an_error_of_the_build() {
    let project = tempfile::tempdir().expect("a folder can be made");
    let table =
        "[project]\nname = \"gate\"\nversion = \"1\"\n[tool.pyrmware]\nentry = \"gate:main\"\n";
    fs::write(project.path().join("pyproject.toml"), table).expect("it is written");
    fs::write(project.path().join("gate.py"), gate::SOURCE).expect("it is written");
    let failed = |name: &str, tables: &str| {
        let folder = workspace(name, "", &format!("{UPDATE}{tables}"));
        let task = support::xtask().cwd(&folder).args(["dist", "--project"]).arg(project.path());
        let err = task.run().exits(1).err();
        let [project, folder] =
            [project.path(), &folder].map(|path| path.canonicalize().expect("it is there"));
        let err = err.replace(&project.display().to_string(), "PROJECT");
        err.replace(&folder.display().to_string(), "WORKSPACE")
    };
    assert_eq!(
        failed("update-unsigned", ""),
        "error: updates are taken from whoever holds the launcher's key, and there is none: say sign = \"KEY\" in \
         [tool.pyrmware.protect] of PROJECT/pyproject.toml, or leave out \
         [package.metadata.pyrmware.update] of WORKSPACE/app/Cargo.toml\n"
    );
    let signed = format!("{table}[tool.pyrmware.protect]\n{}", BUNKER.signed());
    fs::write(project.path().join("pyproject.toml"), signed).expect("it is written");
    let sidecar = "[package.metadata.pyrmware.device.host]\nextensions = \"sidecar\"\n";
    assert_eq!(
        failed("update-sidecar", sidecar),
        "error: device host has extension modules beside the launcher, and an update is one file: leave out \
         extensions = \"sidecar\", or [package.metadata.pyrmware.update] of WORKSPACE/app/Cargo.toml\n"
    );
}
