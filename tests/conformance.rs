//! CPython's own tests inside a launcher and on stock Python, test by test.
//!
//! `conformance.md` says how it works, and lists every difference with its cause: the list is what is
//! asserted here, in both directions.

#[expect(dead_code, reason = "shared with the other end-to-end tests")]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest, Sha256};

use support::{Image, ROOT, task};

/// Test id -> how it ended.
type Outcomes = BTreeMap<String, Outcome>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// `ok`, `fail`, `error`, `skip`, …
    kind: String,
    /// What the test said.
    detail: String,
}

/// A test that did not end as on stock Python.
struct Difference {
    test: String,
    stock: String,
    launcher: String,
    detail: String,
}

/// A test module ends after this time, whatever it waits for.
const LIMIT: Duration = Duration::from_secs(300);

#[test]
fn tests_of_cpython_end_as_on_stock_python() {
    let python = Python::find();
    let launchers = Kind::ALL.map(|kind| Launcher::build(kind, &python));
    let modules = modules();
    let sides = Sides { launchers, stock: python.stock(), cache: python.cache() };
    let results = sides.compare_all(&modules);

    let missing = |stock: &Outcomes, name: &str| {
        stock.get(name).is_some_and(|outcome| outcome.kind == "missing")
    };
    for (name, _) in results.iter().filter(|(name, found)| missing(&found.stock, name)) {
        println!("{name} is not there");
    }
    let wrong: Vec<String> =
        sides.launchers.iter().flat_map(|launcher| launcher.surprises(&python, &results)).collect();
    assert!(wrong.is_empty(), "{} surprises:\n{}", wrong.len(), wrong.join("\n"));
    for launcher in &sides.launchers {
        // A hundred megabytes for each version and kind that nobody looks at.
        let image = launcher.program.parent().expect("an image folder");
        fs::remove_dir_all(image).expect("it is removed");
    }
}

#[test]
fn every_row_of_the_list_is_understood() {
    let rows = all_rows();
    assert!(!rows.is_empty(), "conformance.md has a table of differences");
    let patterns: BTreeSet<&String> = rows.iter().map(|row| &row.pattern).collect();
    assert_eq!(patterns.len(), rows.len(), "one row for each pattern");
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}: {} -> {}", self.test, self.stock, self.launcher)?;
        let lines: Vec<&str> = self.detail.trim().lines().collect();
        for line in &lines[lines.len().saturating_sub(12)..] {
            writeln!(f, "    {line}")?;
        }
        Ok(())
    }
}

/// An interpreter that has CPython's tests.
struct Python {
    prefix: PathBuf,
    /// `3.11`
    version: String,
    /// `3.11.7`
    full: String,
}

impl Python {
    /// The first that `cargo xtask doctor` lists and that fits `PYRMWARE_CONFORMANCE_PYTHON`.
    fn find() -> Python {
        let wanted = std::env::var("PYRMWARE_CONFORMANCE_PYTHON").unwrap_or_default();
        let words = ["doctor", "--message-format", "json"];
        let doctor = support::event(&support::xtask().args(words).run().success(), "doctor");
        let findings = doctor["findings"].as_array().expect("a list");
        let found = findings.iter().filter(|found| found["state"] == "ok").find_map(|found| {
            let prefix = PathBuf::from(found["prefix"].as_str()?);
            let full = found["text"].as_str()?.split(' ').next()?.to_owned();
            let version = full.rsplit_once('.')?.0.to_owned();
            let python = Python { prefix, version, full };
            let fits = wanted.is_empty() || python.version == wanted || python.full == wanted;
            (fits && python.has_tests()).then_some(python)
        });
        found.unwrap_or_else(|| {
            panic!(
                "no interpreter{} with CPython's tests: install one of python.org, pyenv or uv, or the \
                 package libpython3-testsuite of the distribution",
                if wanted.is_empty() { wanted } else { format!(" {wanted}") }
            )
        })
    }

    /// Distributions leave the tests out, and `test.support` in.
    fn has_tests(&self) -> bool {
        let lib = self.prefix.join(format!("lib/python{}", self.version));
        lib.join("test/test_importlib/__init__.py").is_file()
    }

    /// As like the launcher as `python3` can be.
    fn stock(&self) -> Vec<PathBuf> {
        let program = self.prefix.join("bin").join(format!("python{}", self.version));
        let runner = ROOT.join("tests/conformance/conformance/__main__.py");
        let mut words = vec![program];
        words.extend(["-I", "-S", "-B", "-X", "utf8"].map(PathBuf::from));
        words.push(runner);
        words
    }

    /// What stock Python said is kept: for this interpreter and this runner.
    fn cache(&self) -> PathBuf {
        let mut hash = Sha256::new();
        hash.update(include_bytes!("conformance/conformance/__main__.py"));
        hash.update(self.prefix.as_os_str().as_encoded_bytes());
        let hash: String = hash.finalize()[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        support::scratch().join("conformance").join(format!("{}-{hash}", self.full))
    }
}

/// A line of a list: a module, and what of it is not run, by parts of names.
#[derive(Clone, Debug)]
struct Module {
    name: String,
    without: Vec<String>,
    /// The launchers in which it runs.
    kinds: &'static [Kind],
}

/// The modules to run: `PYRMWARE_CONFORMANCE` is `all`, or names them; else the short list.
fn modules() -> Vec<Module> {
    let list = |name: &str, kinds: &'static [Kind]| {
        let text = fs::read_to_string(ROOT.join("tests/conformance").join(name)).expect("a list");
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let modules = lines.map(|line| {
            let mut words = line.split_whitespace().map(str::to_owned);
            Module { name: words.next().expect("a name"), without: words.collect(), kinds }
        });
        modules.collect::<Vec<Module>>()
    };
    let short = || list("short.txt", &Kind::ALL);
    let all = || [short(), list("long.txt", &[Kind::Plain])].concat();
    match std::env::var("PYRMWARE_CONFORMANCE") {
        Ok(word) if word == "all" => all(),
        Ok(names) => {
            let known = |name: &str| all().into_iter().find(|module| module.name == name);
            let other = |name: &str| Module {
                name: name.to_owned(),
                without: Vec::new(),
                kinds: &[Kind::Plain],
            };
            names.split(',').map(|name| known(name).unwrap_or_else(|| other(name))).collect()
        }
        Err(_) => short(),
    }
}

/// What is done to the modules of a launcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing.
    Plain,
    /// What `dist` does unless it is told otherwise.
    Optimized,
}

impl Kind {
    const ALL: [Kind; 2] = [Kind::Plain, Kind::Optimized];

    fn name(self) -> &'static str {
        match self {
            Kind::Plain => "plain",
            Kind::Optimized => "optimized",
        }
    }
}

struct Launcher {
    kind: Kind,
    program: PathBuf,
    rows: Vec<Row>,
}

impl Launcher {
    fn build(kind: Kind, python: &Python) -> Launcher {
        let plain = ROOT.join("tests/conformance");
        let copy = tempfile::tempdir().expect("a folder");
        let project = match kind {
            Kind::Plain => &plain,
            Kind::Optimized => {
                without_choices(&plain, copy.path());
                copy.path()
            }
        };
        let out = support::scratch().join("images");
        let out = out.join(format!("conformance-{}-{}", kind.name(), python.full));
        let dist = support::dist(project, &out).arg("--python").arg(&python.prefix).run();
        let mut rows = rows(&python.version);
        rows.retain(|row| kind == Kind::Optimized || !row.optimized);
        Launcher { kind, program: Image::of(&dist.success()).launcher, rows }
    }

    /// Whether conformance.md lists it.
    fn expects(&self, difference: &Difference) -> bool {
        self.rows.iter().any(|row| fits(&row.pattern, &difference.test))
    }

    /// Differences without a row, and rows without a difference.
    fn surprises(&self, python: &Python, results: &BTreeMap<String, Found>) -> Vec<String> {
        let results: Vec<(&Outcomes, &[Difference])> = results
            .values()
            .filter_map(|found| Some((&found.stock, found.differences(self.kind)?)))
            .collect();
        let tests: usize = results.iter().map(|(stock, _)| stock.len()).sum();
        let differ: Vec<&Difference> = results.iter().flat_map(|(_, differ)| *differ).collect();
        println!(
            "Python {}, {}: {} modules, {tests} tests, {} of them not as on stock Python",
            python.full,
            self.kind.name(),
            results.len(),
            differ.len()
        );
        let mut wrong: Vec<String> = differ
            .iter()
            .filter(|difference| !self.expects(difference))
            .map(|difference| format!("{}: {difference}", self.kind.name()))
            .collect();
        for row in self.rows.iter().filter(|row| !row.sometimes) {
            let ran = results
                .iter()
                .flat_map(|(stock, _)| *stock)
                .any(|(test, stock)| fits(&row.pattern, test) && stock.kind != "skip");
            let is_different = differ.iter().any(|difference| fits(&row.pattern, &difference.test));
            if ran && !is_different {
                wrong.push(format!(
                    "{}: conformance.md: {} is as on stock Python now",
                    self.kind.name(),
                    row.pattern
                ));
            }
        }
        wrong
    }
}

/// Copies the project without its choices of what is done to modules.
fn without_choices(project: &Path, to: &Path) {
    let package = "conformance";
    fs::create_dir(to.join(package)).expect("a folder is made");
    for file in project.join(package).read_dir().expect("the package is there") {
        let file = file.expect("it can be read").path();
        if file.is_file() {
            let name = file.file_name().expect("a name");
            fs::copy(&file, to.join(package).join(name)).expect("it is copied");
        }
    }
    let text = fs::read_to_string(project.join("pyproject.toml")).expect("a project");
    let (before, choices) = text.split_once("[tool.pyrmware.optimize]\n").expect("choices");
    let (_, after) = choices.split_once("\n[").expect("another table");
    fs::write(to.join("pyproject.toml"), format!("{before}[{after}")).expect("it is written");
}

/// What came of a module.
struct Found {
    stock: Outcomes,
    differ: Vec<(Kind, Vec<Difference>)>,
}

impl Found {
    /// None: it does not run in this launcher.
    fn differences(&self, kind: Kind) -> Option<&[Difference]> {
        let found = self.differ.iter().find(|(other, _)| *other == kind);
        found.map(|(_, differ)| differ.as_slice())
    }
}

struct Sides {
    launchers: [Launcher; 2],
    stock: Vec<PathBuf>,
    cache: PathBuf,
}

impl Sides {
    /// As many modules at a time as keep the cores busy, for half of the time of these tests is waiting.
    fn compare_all(&self, modules: &[Module]) -> BTreeMap<String, Found> {
        let queue = Mutex::new(modules.iter());
        let results = Mutex::new(BTreeMap::new());
        let next = || queue.lock().expect("no thread panics with it").next();
        let work = || {
            while let Some(module) = next() {
                let started = Instant::now();
                let found = self.compare(module);
                println!("{:>4} s {}", started.elapsed().as_secs(), module.name);
                results
                    .lock()
                    .expect("no thread panics with it")
                    .insert(module.name.clone(), found);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..2 * std::thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(work);
            }
        });
        results.into_inner().expect("no thread panicked")
    }

    fn compare(&self, module: &Module) -> Found {
        let stock = self.stock(module, true);
        let launchers = self.launchers.iter().filter(|it| module.kinds.contains(&it.kind));
        let differ = launchers.map(|it| (it.kind, self.differences(it, module, &stock))).collect();
        Found { stock, differ }
    }

    /// A surprise counts that is seen twice: some tests measure time, on a machine that is busy.
    fn differences(
        &self,
        launcher: &Launcher,
        module: &Module,
        stock: &Outcomes,
    ) -> Vec<Difference> {
        let program = std::slice::from_ref(&launcher.program);
        let mut first = differences(stock, &outcomes(program, module));
        if !first.iter().all(|difference| launcher.expects(difference)) {
            let second = differences(&self.stock(module, false), &outcomes(program, module));
            let again: BTreeSet<&String> =
                second.iter().map(|difference| &difference.test).collect();
            first.retain(|found| launcher.expects(found) || again.contains(&found.test));
        }
        first
    }

    fn stock(&self, module: &Module, cached: bool) -> Outcomes {
        let name = [std::slice::from_ref(&module.name), &module.without[..]].concat().join(",");
        let kept = self.cache.join(name);
        if cached && kept.is_file() {
            return read(&kept);
        }
        fs::create_dir_all(&self.cache).expect("a folder is made");
        // Where the launchers' are: the names of sockets there must not be too long on one side only.
        let folder = tempfile::tempdir().expect("a folder");
        let results = folder.path().join("results");
        run(&self.stock, module, &results, folder.path());
        let aside = tempfile::NamedTempFile::new_in(&self.cache).expect("a file");
        fs::copy(&results, aside.path()).expect("the results are copied");
        aside.persist(&kept).expect("the results are kept");
        read(&kept)
    }
}

/// What the tests of a module say in a folder of their own.
fn outcomes(program: &[PathBuf], module: &Module) -> Outcomes {
    let folder = tempfile::tempdir().expect("a folder");
    let results = folder.path().join("results");
    run(program, module, &results, folder.path());
    read(&results)
}

/// Runs one module in an empty folder; how the process ended is added to its results.
fn run(program: &[PathBuf], module: &Module, results: &Path, folder: &Path) {
    let (temporary, log) = (folder.join("tmp"), folder.join("log"));
    fs::create_dir(&temporary).expect("a folder is made");
    let stream =
        || Stdio::from(File::options().append(true).create(true).open(&log).expect("a log"));
    let mut command = Command::new(&program[0]);
    command
        .args(&program[1..])
        .arg(results)
        .arg(&module.name)
        .args(&module.without)
        .arg(format!("--limit={}", LIMIT.as_secs()))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("TMPDIR", &temporary)
        .env("LANG", "C.UTF-8")
        .current_dir(&temporary)
        .stdin(Stdio::null())
        .stdout(stream())
        .stderr(stream())
        .process_group(0);
    // SAFETY: only async-signal-safe calls between fork and exec.
    unsafe { command.pre_exec(task::default_signals) };
    let mut child = command.spawn().expect("the program starts");
    let group = -child.id().cast_signed();
    let (over, wait) = channel::<()>();
    let watch = std::thread::spawn(move || {
        // The runner keeps to the limit by itself, unless it hangs in C.
        if wait.recv_timeout(LIMIT + Duration::from_secs(30)).is_err_and(|e| e == TIMEOUT) {
            // SAFETY: a system call on numbers; the group's leader has not been waited for.
            unsafe { libc::kill(group, libc::SIGKILL) };
        }
    });
    let status = child.wait().expect("a child can be waited for");
    drop(over);
    watch.join().expect("the watch ends");
    // SAFETY: as above, save that only processes which tests left behind can still be in the group.
    unsafe { libc::kill(group, libc::SIGKILL) };
    let code = status.code().or(status.signal().map(|signal| -signal)).expect("it has ended");
    let said = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    let end = serde_json::json!({
        "test": format!("{} (exit code)", module.name),
        "outcome": code.to_string(),
        "detail": said.lines().rev().take(30).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n"),
    });
    let mut text = fs::read(results).unwrap_or_default();
    text.extend(format!("\n{end}\n").bytes());
    fs::write(results, text).expect("the results are written");
}

const TIMEOUT: std::sync::mpsc::RecvTimeoutError = std::sync::mpsc::RecvTimeoutError::Timeout;

/// A test that started and of which nothing more is known did not end.
fn read(results: &Path) -> Outcomes {
    let text = fs::read_to_string(results).expect("there are results");
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let text = |line: &Value, key: &str| line[key].as_str().map(str::to_owned);
    lines
        .filter_map(|line| {
            let kind = text(&line, "outcome").unwrap_or_else(|| "did not end".to_owned());
            let detail = text(&line, "detail").unwrap_or_default();
            Some((text(&line, "test")?, Outcome { kind, detail }))
        })
        .collect()
}

fn differences(stock: &Outcomes, launcher: &Outcomes) -> Vec<Difference> {
    let not_run = Outcome { kind: "not run".to_owned(), detail: String::new() };
    let tests: BTreeSet<&String> = stock.keys().chain(launcher.keys()).collect();
    tests
        .into_iter()
        .map(|test| {
            (test, stock.get(test).unwrap_or(&not_run), launcher.get(test).unwrap_or(&not_run))
        })
        .filter(|(_, stock, launcher)| stock.kind != launcher.kind)
        .map(|(test, stock, launcher)| Difference {
            test: test.clone(),
            stock: stock.kind.clone(),
            launcher: launcher.kind.clone(),
            detail: launcher.detail.clone(),
        })
        .collect()
}

/// A row of conformance.md: | `pattern` | versions | cause |
struct Row {
    pattern: String,
    versions: Vec<String>,
    /// It may also end as on stock Python.
    sometimes: bool,
    /// It does so in a plain launcher.
    optimized: bool,
}

impl Row {
    fn read(line: &str) -> Option<Row> {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let pattern = cells.next()?.strip_suffix('`').expect("a pattern in backticks").to_owned();
        let mut versions: Vec<String> =
            cells.next().expect("a column of versions").split(", ").map(str::to_owned).collect();
        let mut marked = |mark: &str| {
            let before = versions.len();
            versions.retain(|word| word != mark);
            versions.len() < before
        };
        let (sometimes, optimized) = (marked("sometimes"), marked("optimized"));
        let known = |word: &String| word == "all" || word.starts_with("3.");
        assert!(versions.iter().all(known) && !versions.is_empty(), "versions of {pattern}");
        let cause = cells.next().and_then(|cause| cause.strip_suffix(" |"));
        assert!(cause.is_some_and(|cause| cause.len() > 8), "{pattern} has a cause");
        Some(Row { pattern, versions, sometimes, optimized })
    }
}

/// The table of differences.
fn all_rows() -> Vec<Row> {
    let text = fs::read_to_string(ROOT.join("tests/conformance.md")).expect("the list is there");
    let (_, table) = text.split_once("## Differences").expect("a chapter of that name");
    table.lines().filter_map(Row::read).collect()
}

/// The rows that speak of this version.
fn rows(version: &str) -> Vec<Row> {
    let mut rows = all_rows();
    rows.retain(|row| row.versions.iter().any(|word| word == "all" || word == version));
    rows
}

/// `*` stands for any text.
fn fits(pattern: &str, test: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == test };
    let Some(tail) = test.strip_prefix(head) else { return false };
    tail.char_indices().map(|(at, _)| at).chain([tail.len()]).any(|at| fits(rest, &tail[at..]))
}
