//! Modules that tools compile or obfuscate: they work as on stock Python, show no source and all that the tools
//! leave in sight, are the same bytes wherever they are made, and are made once.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use pyrmware_payload::{Kind, Payload};
use tempfile::TempDir;

use crate::sealed::BUNKER;
use crate::support::task::{Ended, Task};
use crate::support::workspace::{self, workspace};
use crate::support::{self, Image, Images, golden};

/// The folder of the applications `vault`.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

/// A project with these lines in its table `protect`; with further files, at their paths.
pub fn vault(name: &str, protect: &str, files: &[(&str, &str)]) -> PathBuf {
    let project = FOLDER.path().join(name);
    let table = "[project]\nname = \"vault\"\nversion = \"1\"\nrequires-python = \">=3.10\"\n\
                 [tool.pyrmware]\nentry = \"vault.start:main\"\n[tool.pyrmware.verify]\n\
                 command = [\"language\"]\n";
    let table = format!("{table}[tool.pyrmware.protect]\n{protect}");
    let own = [
        ("pyproject.toml", table.as_str()),
        ("vault/__init__.py", include_str!("protect_native/__init__.py")),
        ("vault/core.py", include_str!("protect_native/core.py")),
        ("vault/start.py", include_str!("protect_native/start.py")),
        ("vault/data/words.txt", include_str!("protect_native/words.txt")),
    ];
    for (path, text) in own.iter().chain(files) {
        let file = project.join(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder is made");
        fs::write(file, text).expect("it is written");
    }
    project
}

/// The vault's image by a tool, built once. Its docstrings are out.
fn image(mode: &str) -> Arc<Image> {
    static IMAGES: Images = Images::new();
    IMAGES.get(mode, || dist(mode))
}

/// Lines for a tool's form, with docstrings left out.
pub fn by_tool(mode: &str) -> String {
    format!("mode = \"{mode}\"\n[tool.pyrmware.optimize]\ndocstrings = \"strip\"\n")
}

fn dist(mode: &str) -> Task {
    let project = vault(mode, &by_tool(mode), &[]);
    let out = FOLDER.path().join(format!("{mode}.image"));
    support::dist(&project, &out).args(support::python())
}

/// What stock Python says to a word.
fn stock(word: &str) -> Ended {
    let project = vault("stock", "", &[]);
    let plan = support::plan("hello");
    let program = plan["interpreter"]["program"].as_str().expect("a program");
    let code = "import sys; from vault.start import main; sys.exit(main())";
    let task = Task::new(program).clean_env().env("PYTHONPATH", project);
    task.env("PYTHONDONTWRITEBYTECODE", "1").args(["-c", code, word]).run()
}

fn works(mode: &str) {
    behaves(&image(mode), mode);
}

/// As stock Python does.
fn behaves(image: &Image, mode: &str) {
    let alone = image.alone();
    for word in ["language", "data", "spawn"] {
        let (ours, theirs) = (alone.task().arg(word).run(), stock(word));
        let all = |ended: &Ended| (ended.code, ended.out(), ended.err());
        assert_eq!(all(&ours), all(&theirs), "{mode}, {word}");
    }
}

/// Real paths, lines and source texts, as stock Python has them; functions by their names, or by longer ones.
fn is_symbolicated(mode: &str) {
    let image = image(mode);
    let ended = image.alone().task().arg("fail").run().exits(1);
    assert!(!ended.err().contains("return heat"), "{ended}");
    let task = support::xtask().args(["symbolicate", "-", "--symbols"]);
    let read =
        task.arg(image.folder.join("symbols")).stdin(ended.stderr.clone()).run().success().out();
    let core = FOLDER.path().canonicalize().expect("it is there").join(mode).join("vault/core.py");
    let text = include_str!("protect_native/core.py");
    for (function, line) in [
        ("start_the_reactor", "return heat / (self.rods - 3)"),
        ("fail", "raise LookupError(\"no rod\") from error"),
    ] {
        let number = text.lines().position(|text| text.trim() == line).expect("it is there") + 1;
        let frame = format!("  File \"{}\", line {number}, in ", core.display());
        let mut lines = read.lines().skip_while(|text| !text.starts_with(&frame));
        let said = lines.next().unwrap_or_else(|| panic!("{frame}:\n{read}"));
        assert!(said.ends_with(function), "{said}");
        assert_eq!(lines.next().map(str::trim), Some(line), "{read}");
    }
    assert!(read.contains("in main\n    getattr(core, what)()\n") || mode == "cython", "{read}");
}

/// What whoever has the launcher sees: `shown` and not `hidden`; nothing of any source, of the machine, and no
/// bytecode of the module by itself.
fn shows(mode: &str, shown: &[&str], hidden: &[&str]) {
    let launcher = fs::read(&image(mode).launcher).expect("it can be read");
    let sees = |text: &str| memchr::memmem::find(&launcher, text.as_bytes()).is_some();
    for text in shown {
        assert!(sees(text), "{mode} hides {text:?}");
    }
    let never = [
        "return heat",
        "must not ship",
        "The docstring of the core",
        "in the vault nobody",
        "Is described",
        "A rod has a docstring",
        "/.new-",
    ];
    let here = [FOLDER.path(), support::ROOT.as_path()].map(|path| path.display().to_string());
    for text in never.iter().chain(hidden).copied().chain(here.iter().map(String::as_str)) {
        assert!(!sees(text), "{mode} shows {text:?}");
    }
}

pub const NAMES: [&str; 2] = ["start_the_reactor", "LAUNCH_CODE"];
pub const CONSTANTS: [&str; 2] = ["4711 is the launch code", "no rod"];

/// The shared objects that are modules of the vault, by path.
fn objects(image: &Image) -> BTreeMap<String, Vec<u8>> {
    let launcher = fs::read(&image.launcher).expect("it can be read");
    let payload = Payload::open(&launcher[image.payload(&launcher)]).expect("it is whole");
    let own = payload.modules().filter(|module| module.name.split('.').next() == Some("vault"));
    let objects = own.filter(|module| module.kind == Kind::Extension);
    let file = |module: pyrmware_payload::Module<'_>| {
        let file = module.file.expect("a file");
        (file.path.to_owned(), file.bytes().expect("it is whole").to_vec())
    };
    objects.map(file).collect()
}

#[test]
fn cython_compiles_each_module() {
    works("cython");
    is_symbolicated("cython");
    shows("cython", &[NAMES.as_slice(), &CONSTANTS].concat(), &["core.pyc"]);
    let image = image("cython");
    assert_eq!(objects(&image).len(), 3);
    let forms = ["vault", "vault.core", "vault.start"].map(|name| (name, "cython"));
    assert_eq!(image.report["protect"], serde_json::json!(BTreeMap::from(forms)));
    assert_eq!(image.report["signed"], false);
}

#[test]
fn nuitka_compiles_each_package() {
    works("nuitka");
    is_symbolicated("nuitka");
    shows("nuitka", &[NAMES.as_slice(), &CONSTANTS].concat(), &["core.pyc"]);
    assert_eq!(objects(&image("nuitka")).len(), 1);
}

#[test]
fn pyarmor_obfuscates_each_module() {
    works("pyarmor");
    is_symbolicated("pyarmor");
    shows(
        "pyarmor",
        &["pyarmor_runtime", "vault/core.pyc"],
        &[NAMES.as_slice(), &CONSTANTS].concat(),
    );
}

#[test]
fn what_is_made_is_the_same_elsewhere_and_is_made_once() {
    let beside = "[package.metadata.pyrmware.device.gateway]\nextensions = \"sidecar\"\n";
    let clone = workspace("protect-native", "locked-down = true\n", beside);
    for mode in ["cython", "nuitka"] {
        let protect = BUNKER.signed() + &by_tool(mode);
        let project = vault(&format!("elsewhere/{mode}"), &protect, &[]);
        let image = workspace::dist(&clone, &project, "gateway");
        let own = image.beside().filter_map(|path| path.strip_prefix("lib/"));
        let own = own.filter(|path| path.starts_with("vault"));
        let read = |path: &str| fs::read(image.folder.join("lib").join(path)).expect("it is there");
        let there: BTreeMap<_, _> = own.map(|path| (path.to_owned(), read(path))).collect();
        let here = objects(&self::image(mode));
        assert!(here == there, "{mode} makes other bytes in another folder");
        // There they lie beside a launcher that is signed and locked down.
        behaves(&image, mode);
        let warnings = image.report["warnings"].to_string();
        assert!(warnings.contains("beside the launcher are not part of the signed"), "{warnings}");
    }
    let record = FOLDER.path().join("processes");
    let file = record.to_str().expect("UTF-8");
    let strace = ["-f", "-qq", "--seccomp-bpf", "-e", "trace=execve", "-s", "200", "-o", file];
    for mode in ["cython", "nuitka", "pyarmor"] {
        let folder = image(mode).folder.clone();
        let task = support::xtask_under("strace", &strace).args(["dist", "--quiet", "--project"]);
        let task = task.arg(FOLDER.path().join(mode)).arg("--out").arg(folder);
        let ended = task.args(support::python()).run().success();
        let started = fs::read_to_string(&record).expect("a record");
        assert!(started.contains("execve("), "{ended}");
        let tool = format!("\"-m\", \"{}", if mode == "pyarmor" { "pyarmor.cli" } else { mode });
        assert!(!started.contains(&tool), "{mode} ran again");
    }
}

/// What goes wrong, in one file: nothing is compiled for long.
#[test]
fn what_a_tool_cannot_do_is_told_with_the_remedy() {
    let unbound = "def fail():\n    held = 1\n\n    def inner():\n        return held\n\n    del held\n    return inner\n";
    let large = format!("VALUES = [\n{}]\n\n\n{}", "    \"text\",\n".repeat(10), {
        let function =
            |n| format!("def f{n}(a, b, c):\n    return [a + {n}, b * {n}, c - {n}, a, b]\n\n\n");
        (0..1500).map(function).collect::<String>()
    });
    let in_core = "import vault.odd\n";
    let start = format!("{in_core}{}", include_str!("protect_native/start.py"));
    let odd =
        |text: &str| vec![("vault/odd.py", text.to_owned()), ("vault/start.py", start.clone())];
    let mut text = String::new();
    for (name, protect, files) in [
        ("refused-cython", "mode = \"bytecode\"\nmodes.\"vault.odd\" = \"cython\"\n", odd(unbound)),
        (
            "refused-pyarmor",
            "mode = \"bytecode\"\nmodes.\"vault.odd\" = \"pyarmor\"\n",
            odd(&large),
        ),
        ("refused-nuitka", "mode = \"bytecode\"\nmodes.\"vault.core\" = \"nuitka\"\n", Vec::new()),
        ("refused-namespace", "mode = \"nuitka\"\n", Vec::new()),
    ] {
        let files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let project = vault(name, protect, &files);
        if name == "refused-namespace" {
            fs::remove_file(project.join("vault/__init__.py")).expect("it was there");
        }
        let out = FOLDER.path().join(format!("{name}.image"));
        let words = ["dist", "--quiet", "--project"];
        let task = support::xtask().args(words).arg(&project).arg("--out").arg(&out);
        let ended = task.args(support::python()).run().exits(1);
        assert!(!out.exists(), "{ended}");
        text += &ended.err().replace(&FOLDER.path().display().to_string(), "[folder]");
    }
    golden::check("protect_native/refused.txt", &text);

    let project = vault("offline", &by_tool("cython"), &[]);
    let target = FOLDER.path().join("empty");
    let words = ["dist", "--quiet", "--offline", "--project"];
    let task = support::xtask().args(words).arg(&project).env("CARGO_TARGET_DIR", target);
    let ended = task.args(support::python()).run().exits(1);
    assert!(
        ended.err().contains("Cython 3.3.1 is not installed for Python 3.")
            && ended.err().contains("--offline forbids to fetch it; run once without --offline"),
        "{ended}"
    );
}
