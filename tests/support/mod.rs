//! What every test needs: `xtask` as people call it, and launchers that are built once.

pub mod flips;
pub mod gate;
pub mod golden;
pub mod live;
pub mod shape;
pub mod task;
pub mod terminal;
pub mod workspace;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::time::{Duration, Instant};

use pyrmware_payload::Payload;
use serde_json::Value;
use tempfile::TempDir;

pub use task::Ended;
use task::Task;

/// The top folder of this workspace.
pub static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the workspace").to_owned()
});

/// A folder for tests below cargo's target folder; what is in it is reused by the next run.
pub fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// An application of `tests/apps`, or the sample.
pub fn project(name: &str) -> PathBuf {
    if name == SAMPLE { ROOT.join("python-app") } else { ROOT.join("tests/apps").join(name) }
}

/// The folder `python-app`, as tests name it.
pub const SAMPLE: &str = "python-app";

/// Long enough for a launcher to be linked from nothing while others are.
pub const BUILD_LIMIT: Duration = Duration::from_secs(900);

/// What comes to be there without a word. It is an error, of this name, when that takes longer than on any machine.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(since.elapsed() < task::LIMIT, "{what}: not within {} s", task::LIMIT.as_secs());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// `cargo xtask`, in this workspace.
pub fn xtask() -> Task {
    without_test_variables(Task::new(env!("CARGO_BIN_EXE_xtask")))
}

/// The same, run by another program with these words.
pub fn xtask_under(program: &str, words: &[&str]) -> Task {
    without_test_variables(Task::new(program).args(words).arg(env!("CARGO_BIN_EXE_xtask")))
}

/// `cargo`, in this workspace.
pub fn cargo() -> Task {
    without_test_variables(Task::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())))
}

/// As a shell starts it: without what cargo sets for tests.
fn without_test_variables(task: Task) -> Task {
    let mut task = task.cwd(&ROOT).limit(BUILD_LIMIT);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let of_this_test = ["CARGO_PKG_", "CARGO_BIN_EXE_", "CARGO_MANIFEST_", "PYRMWARE_"]
            .iter()
            .any(|prefix| text.starts_with(prefix));
        if of_this_test || text == "LD_LIBRARY_PATH" || text == "CARGO_PRIMARY_PACKAGE" {
            task = task.without_env(&name);
        }
    }
    task
}

/// `cargo xtask dist` of a project into a folder.
pub fn dist(project: &Path, out: &Path) -> Task {
    xtask()
        .args(["dist", "--message-format", "json", "--project"])
        .arg(project)
        .arg("--out")
        .arg(out)
}

/// What `xtask … --message-format json` printed: the last object with this `reason`.
pub fn event(ended: &Ended, reason: &str) -> Value {
    let text = String::from_utf8_lossy(&ended.stdout);
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON lines"));
    let last = events.rev().find(|event| event["reason"] == reason);
    last.unwrap_or_else(|| panic!("no {reason:?} in what xtask printed:\n{text}"))
}

/// A finished image folder.
#[derive(Debug)]
pub struct Image {
    /// The folder.
    pub folder: PathBuf,
    /// The launcher in it.
    pub launcher: PathBuf,
    /// Its `report.json`.
    pub report: Value,
}

impl Image {
    /// Reads the image that `dist` says it has written.
    pub fn of(ended: &Ended) -> Image {
        let event = event(ended, "image");
        Image::at(Path::new(event["launcher"].as_str().expect("a path")))
    }

    /// The image whose launcher this is.
    pub fn at(launcher: &Path) -> Image {
        let folder = launcher.parent().expect("a folder").to_owned();
        let report = fs::read(folder.join("report.json")).expect("the report is there");
        Image {
            folder,
            launcher: launcher.to_owned(),
            report: serde_json::from_slice(&report).expect("the report is JSON"),
        }
    }

    /// Where the payload is in the launcher's bytes.
    pub fn payload(&self, launcher: &[u8]) -> Range<usize> {
        // Its last line, which the program has too, without numbers.
        const LAST: &[u8] = b"pyrmware manifest at ";
        const NUMBERS: usize = "00000000 00000000".len();
        let size = self.report["bytes"]["payload"].as_u64().expect("a size") as usize;
        let ends = memchr::memmem::find_iter(launcher, LAST).map(|at| at + LAST.len() + NUMBERS);
        let mut ranges = ends.filter_map(|end| Some(end.checked_sub(size)?..end));
        let is_whole = |range: &Range<usize>| {
            launcher.get(range.clone()).is_some_and(|bytes| Payload::open(bytes).is_ok())
        };
        ranges.find(is_whole).expect("the payload is in the launcher")
    }

    /// The launcher copied alone into an empty folder, as it comes to a device.
    pub fn alone(&self) -> Alone {
        let folder = tempfile::tempdir().expect("a folder");
        let name = self.launcher.file_name().expect("a name");
        let launcher = folder.path().join(name);
        fs::copy(&self.launcher, &launcher).expect("the launcher is copied");
        for file in self.beside() {
            let to = folder.path().join(file);
            fs::create_dir_all(to.parent().expect("a folder")).expect("a folder is made");
            fs::copy(self.folder.join(file), to).expect("what belongs beside it is copied");
        }
        Alone { launcher, folder }
    }

    /// Files that belong beside the launcher: a shared libpython, where there is no other.
    pub fn beside(&self) -> impl Iterator<Item = &String> {
        self.report["sidecars"].as_object().expect("a table").keys()
    }
}

/// A launcher that has nothing beside it.
pub struct Alone {
    /// The launcher.
    pub launcher: PathBuf,
    /// The folder that it is in.
    pub folder: TempDir,
}

impl Alone {
    /// Runs it as `env -i PATH=/nonexistent ./app` in an empty folder.
    pub fn task(&self) -> Task {
        Task::new(&self.launcher).clean_env().env("PATH", "/nonexistent")
    }

    /// Makes its folder unwritable, which root does not notice.
    pub fn read_only(self) -> Alone {
        fs::set_permissions(self.folder.path(), fs::Permissions::from_mode(0o555)).expect("chmod");
        self
    }
}

/// Images by name, each of which is built when it is first asked for.
pub struct Images(Mutex<BTreeMap<String, Arc<OnceLock<Arc<Image>>>>>);

impl Images {
    /// None is built.
    pub const fn new() -> Images {
        Images(Mutex::new(BTreeMap::new()))
    }

    /// The image of that name, which this makes. Others may be made meanwhile.
    pub fn get(&self, name: &str, dist: impl FnOnce() -> Task) -> Arc<Image> {
        let place = {
            let mut images = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            images.entry(name.to_owned()).or_default().clone()
        };
        place.get_or_init(|| Arc::new(Image::of(&dist().run().success()))).clone()
    }
}

/// The image of an application with the interpreter that is chosen by default, built once in a run.
pub fn image(name: &str) -> Arc<Image> {
    static IMAGES: Images = Images::new();
    let out = scratch().join("images").join(name);
    IMAGES.get(name, || dist(&project(name), &out).args(python()))
}

/// What `cargo xtask plan` says of an application.
pub fn plan(name: &str) -> Value {
    let words = ["plan", "--message-format", "json", "--project"];
    event(&xtask().args(words).arg(project(name)).args(python()).run().success(), "plan")
}

/// `--python PREFIX` of the interpreter that `PYRMWARE_APPS_PYTHON` names, by its prefix or as `3.12`:
/// every launcher is then built with it.
pub fn python() -> Vec<String> {
    static PREFIX: LazyLock<Option<String>> = LazyLock::new(|| {
        let wanted = std::env::var("PYRMWARE_APPS_PYTHON").ok()?;
        if Path::new(&wanted).is_dir() {
            return Some(wanted);
        }
        let series = format!("{wanted}.");
        let found =
            interpreters().into_iter().find(|it| format!("{}.", it.version).starts_with(&series));
        let remedy = "`cargo xtask doctor` lists the usable ones";
        Some(found.unwrap_or_else(|| panic!("no Python {wanted} here; {remedy}")).prefix)
    });
    PREFIX.iter().flat_map(|prefix| ["--python".to_owned(), prefix.clone()]).collect()
}

/// An interpreter that can go into a launcher.
pub struct Interpreter {
    /// As in `3.11.7`.
    pub version: String,
    /// What `--python` takes.
    pub prefix: String,
}

/// All that `cargo xtask doctor` lists as usable.
pub fn interpreters() -> Vec<Interpreter> {
    let words = ["doctor", "--message-format", "json"];
    let doctor = event(&xtask().args(words).run().success(), "doctor");
    let findings = doctor["findings"].as_array().expect("a list").iter();
    let usable = findings.filter(|found| found["state"] == "ok" && found["prefix"].is_string());
    let found: Vec<_> = usable
        .map(|found| {
            let text = |key: &str| found[key].as_str().expect("a text");
            // "3.11.7 in /usr: …"
            let version = text("text").split(' ').next().expect("a version").to_owned();
            Interpreter { version, prefix: text("prefix").to_owned() }
        })
        .collect();
    assert!(!found.is_empty(), "no interpreter to test with: {doctor:#}");
    found
}

/// A copy of a project, to be changed.
pub fn copy_of(name: &str) -> TempDir {
    let to = tempfile::tempdir().expect("a folder");
    copy(&project(name), to.path());
    to
}

/// Copies what a folder holds, save what Python and tools leave in it.
pub fn copy(from: &Path, to: &Path) {
    let litter = |entry: &walkdir::DirEntry| entry.file_name() == "__pycache__";
    for entry in walkdir::WalkDir::new(from).into_iter().filter_entry(|entry| !litter(entry)) {
        let entry = entry.expect("the folder can be read");
        let target = to.join(entry.path().strip_prefix(from).expect("it is below"));
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target).expect("a folder is made");
        } else {
            fs::copy(entry.path(), &target).expect("a file is copied");
        }
    }
}

/// The workspace's files, tracked or new, in another folder.
pub fn clone_into(folder: &Path) {
    let list = Task::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .cwd(&ROOT)
        .run()
        .success();
    for path in list.out().split('\0').filter(|path| !path.is_empty()) {
        let (from, to) = (ROOT.join(path), folder.join(path));
        if from.is_file() {
            fs::create_dir_all(to.parent().expect("a folder")).expect("a folder is made");
            fs::copy(from, to).expect("a file is copied");
        }
    }
}
