//! What a user can get wrong, and what he is told: exit code 1, the text in `golden/errors/`, and the
//! last image untouched.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::task::{Ended, Task};
use crate::support::{self, ROOT, golden};

/// An application in a folder of its own, with an image from earlier.
struct Project {
    dir: tempfile::TempDir,
}

const HEAD: &str = "[project]\nname = \"demo\"\nversion = \"1.0\"\n";
const ENTRY: &str = "[tool.pyrmware]\nentry = \"demo\"\n";

impl Project {
    /// `pyproject.toml` with this text, and a module `demo` that can be run.
    fn new(pyproject: &str) -> Project {
        let project = Project { dir: tempfile::tempdir().expect("a folder") };
        project.write("app/pyproject.toml", pyproject);
        project.write("app/demo.py", "print('demo')\n");
        project.write("image/report.json", "the last image");
        project.write("image/demo", "the last launcher");
        project
    }

    fn with_dependencies(list: &str) -> Project {
        Project::new(&format!("{HEAD}dependencies = [{list}]\n{ENTRY}"))
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder is made");
        fs::write(path, text).expect("a file is written");
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// `cargo xtask dist` of it.
    fn dist(&self) -> Task {
        support::xtask()
            .args(["dist", "--quiet", "--project"])
            .arg(self.path("app"))
            .arg("--out")
            .arg(self.path("image"))
    }

    /// Fails with the text of a golden file.
    #[track_caller]
    fn fails(&self, name: &str, task: Task) -> Ended {
        let ended = self.fails_somehow(task);
        golden::check(&format!("errors/{name}.txt"), &self.filtered(&ended.err()));
        ended
    }

    /// Fails with these words in this order, where the rest is another tool's.
    #[track_caller]
    fn fails_with(&self, task: Task, words: &[&str]) {
        let ended = self.fails_somehow(task);
        let text = self.filtered(&ended.err());
        let mut rest = text.as_str();
        for word in words {
            let Some((_, after)) = rest.split_once(word) else {
                panic!("{word:?} is not (any more) in\n{text}");
            };
            rest = after;
        }
    }

    #[track_caller]
    fn fails_somehow(&self, task: Task) -> Ended {
        let ended = task.run().exits(1);
        assert_eq!(ended.out(), "", "{ended}");
        assert!(ended.err().starts_with("error: "), "{ended}");
        assert!(!ended.err().contains("panicked"), "{ended}");
        let left: Vec<String> = self
            .dir
            .path()
            .read_dir()
            .expect("it can be read")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .filter(|name| name.contains("image"))
            .collect();
        assert_eq!(left, ["image"], "nothing is left beside the image: {ended}");
        let report = fs::read_to_string(self.path("image/report.json"));
        assert_eq!(report.expect("the last image is there"), "the last image");
        ended
    }

    /// Without the names of this machine's folders and versions.
    fn filtered(&self, text: &str) -> String {
        let plan = support::plan("hello");
        let python = |key: &str| plan["interpreter"][key].as_str().expect("a text").to_owned();
        let version = python("version");
        let minor = version.rsplit_once('.').expect("three numbers").0;
        let folder = self.dir.path().canonicalize().expect("it is there");
        let mut text = text.to_owned();
        for (found, name) in [
            (folder.display().to_string(), "[folder]"),
            (self.dir.path().display().to_string(), "[folder]"),
            (ROOT.display().to_string(), "[workspace]"),
            (python("prefix"), "[prefix]"),
            (format!("Python {version}"), "Python [version]"),
            (format!("python{minor}"), "python[minor]"),
            (plan["target"].as_str().expect("a triple").to_owned(), "[host]"),
        ] {
            text = text.replace(&found, name);
        }
        text
    }
}

#[test]
fn a_container_without_its_engine() {
    let project = Project::new(&format!("{HEAD}{ENTRY}"));
    // All that is needed before.
    let tools = project.path("tools");
    fs::create_dir(&tools).expect("a folder is made");
    for tool in ["cargo", "rustc"] {
        let found = which::which(tool).expect("it is on PATH");
        std::os::unix::fs::symlink(found, tools.join(tool)).expect("a link is made");
    }
    for engine in ["podman", "docker"] {
        let task =
            project.dist().args(["--container", engine, "--image", "any"]).env("PATH", &tools);
        let text = format!("there is no {engine} on PATH, which --container asks for; remedy: ");
        project.fails_with(task, &[&text, engine]);
    }
}

#[test]
fn keys() {
    for (name, more) in [
        ("unknown-key", "[tool.pyrmware]\nentyr = \"demo\"\n"),
        ("unknown-table", "[tool.pyrmware]\nentry = \"demo\"\n[tool.pyrmware.prunes]\nkeep = []\n"),
        ("key-of-the-device-side", "[tool.pyrmware]\nentry = \"demo\"\ntarget = \"x\"\n"),
        ("wrong-type", "[tool.pyrmware]\nentry = [\"demo\"]\n"),
        (
            "wrong-type-in-list",
            "[tool.pyrmware]\nentry = \"demo\"\n[tool.pyrmware.prune]\nkeep = [1]\n",
        ),
        ("bad-value", "[tool.pyrmware]\nentry = \"demo.py\"\n"),
        (
            "bad-size",
            "[tool.pyrmware]\nentry = \"demo\"\n[tool.pyrmware.budget]\nsize = \"12 MBit\"\n",
        ),
        ("no-entry", ""),
        ("several-scripts", "[project.scripts]\na = \"demo:a\"\nb = \"demo:b\"\n"),
        (
            "keep-and-drop",
            "[tool.pyrmware]\nentry = \"demo\"\n[tool.pyrmware.prune]\nkeep = [\"json\"]\ndrop = [\"json\"]\n",
        ),
        (
            "no-such-protection",
            "[tool.pyrmware]\nentry = \"demo\"\n[tool.pyrmware.protect]\nmode = \"secret\"\n",
        ),
        ("no-toml", "[tool.pyrmware\n"),
    ] {
        let project = Project::new(&format!("{HEAD}{more}"));
        project.fails(name, project.dist());
    }
}

#[test]
fn the_device_side() {
    for (name, more, device) in [
        ("device-unknown-key", "[package.metadata.pyrmware.device.gw]\ntarge = \"x\"\n", "gw"),
        ("device-python-side", "entry = \"demo\"\n", "host"),
        ("device-wrong-type", "[package.metadata.pyrmware.device.gw]\ntarget = 1\n", "gw"),
        ("device-bad-value", "[package.metadata.pyrmware.device.gw]\nlink = \"dynamic\"\n", "gw"),
        (
            "device-python-system",
            "[package.metadata.pyrmware.device.gw]\npython = \"system\"\n",
            "gw",
        ),
        ("device-unknown", "[package.metadata.pyrmware.device.gw]\n", "gateway"),
    ] {
        let project = Project::new(&format!("{HEAD}{ENTRY}"));
        project.write(
            "workspace/Cargo.toml",
            format!(
                "[package]\nname = \"launcher\"\nversion = \"1.0.0\"\nedition = \"2024\"\n\
                 [package.metadata.pyrmware]\n{more}"
            ),
        );
        project.write("workspace/src/main.rs", "fn main() {}\n");
        let task = project.dist().cwd(&project.path("workspace")).args(["--device", device]);
        project.fails(name, task);
    }
}

#[test]
fn paths_and_flags() {
    let project = Project::new(&format!("{HEAD}{ENTRY}"));
    let dist = || support::xtask().args(["dist", "-q", "--out"]).arg(project.path("image"));
    project.fails("no-such-project", dist().arg("--project").arg(project.path("nowhere")));
    fs::create_dir(project.path("empty")).expect("a folder is made");
    project.fails("no-pyproject", dist().arg("--project").arg(project.path("empty")));
    project.fails("no-such-device", project.dist().args(["--device", "toaster"]));
    project.fails("bad-target", project.dist().args(["--target", "toaster"]));
    project.fails("other-target", project.dist().args(["--target", "riscv64gc-unknown-linux-gnu"]));
    let words = ["dist", "-q", "--project"];
    let foreign = support::xtask().args(words).arg(project.path("app"));
    project.write("thesis/chapter.tex", "two years of work");
    project.fails("foreign-folder", foreign.arg("--out").arg(project.path("thesis")));
    assert!(project.path("thesis/chapter.tex").is_file());
    let ended = support::xtask().args(["dist", "--no-such-flag"]).run().exits(2);
    assert!(ended.err().contains("--no-such-flag"), "{ended}");
}

#[test]
fn interpreters() {
    let project = Project::new(&format!("{HEAD}requires-python = \">=3.99\"\n{ENTRY}"));
    let plan = support::plan("hello");
    let prefix = plan["interpreter"]["prefix"].as_str().expect("a prefix");
    project.fails("wrong-python", project.dist().args(["--python", prefix]));
    // What is looked at depends on the machine.
    project.fails_with(
        project.dist(),
        &["error: no Python here can go into the launcher; name a prefix with --python. Looked at:",
          "does not satisfy `requires-python = \">=3.99\"` of [project]"],
    );

    let project = Project::new(&format!("{HEAD}{ENTRY}"));
    project.fails("no-such-prefix", project.dist().arg("--python").arg(project.path("nowhere")));
    project.fails("no-prefix", project.dist().arg("--python").arg(project.path("app")));
    let program = plan["interpreter"]["program"].as_str().expect("a program");
    let fake = fake_prefix(&project, program, prefix);
    project.fails("no-libpython", project.dist().arg("--python").arg(fake));
}

/// A prefix that says what a real one says of itself, under another name: there is no library in it.
fn fake_prefix(project: &Project, program: &str, prefix: &str) -> PathBuf {
    let fake = project.path("prefix");
    let fake_name = fake.canonicalize().unwrap_or(fake.clone()).display().to_string();
    project.write(
        "prefix/bin/python3",
        format!("#!/bin/sh\n{program} \"$@\" | sed 's,{prefix}/,{fake_name}/,g; s,{prefix}\",{fake_name}\",g'\n"),
    );
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(fake.join("bin/python3"), mode).expect("chmod");
    let plan = support::plan("hello");
    let version = plan["interpreter"]["version"].as_str().expect("a version");
    let minor = version.rsplit_once('.').expect("three numbers").0;
    fs::create_dir_all(fake.join(format!("lib/python{minor}"))).expect("a folder is made");
    fake
}

#[test]
fn applications() {
    let project = Project::new(&format!("{HEAD}[tool.pyrmware]\nentry = \"demo.nowhere\"\n"));
    project.fails("no-entry-module", project.dist());

    let project = Project::new(&format!("{HEAD}{ENTRY}"));
    project.write("app/demo.py", "import sys\nx = = 1\n");
    project.fails("syntax-error", project.dist());

    let verify = "[tool.pyrmware.verify]\ncommand = [\"--selftest\"]\n";
    let project = Project::new(&format!("{HEAD}{ENTRY}{verify}"));
    project.write("app/demo.py", "import sys\nprint('out')\nsys.exit('the sensor is gone')\n");
    project.fails("self-test", project.dist());

    let budget = "[tool.pyrmware.budget]\nsize = \"1 MiB\"\n";
    let project = Project::new(&format!("{HEAD}{ENTRY}{budget}"));
    project.fails_with(
        project.dist(),
        &[
            "error: the launcher has ",
            " bytes), and size in [tool.pyrmware.budget] allows 1.0 MiB (1048576 bytes); the last image stays",
        ],
    );
}

#[test]
fn locks() {
    let project = Project::with_dependencies("\"iniconfig>=2\"");
    project.fails("locked-without-lock", project.dist().arg("--locked"));
    project.fails("frozen-without-lock", project.dist().arg("--frozen"));
    assert!(!project.path("app/pylock.toml").exists(), "--locked writes no lock");

    let hash = format!("--hash=sha256:{}", "0".repeat(64));
    project.write("app/requirements.txt", format!("iniconfig==1.0.0 {hash}\n"));
    project.fails("stale-lock", project.dist().arg("--locked"));
    project.write("app/requirements.txt", format!("six==1.17.0 {hash}\n"));
    project.fails("lock-lacks", project.dist());
    project.write("app/requirements.txt", "iniconfig==2.0.0 --hash=sha256:00\n-r more.txt\n");
    project.fails("lock-option", project.dist());
    project.write("app/requirements.txt", format!("iniconfig==2.0.0 {hash}\n"));
    // Pins only, but not what the index has.
    project.fails_with(project.dist(), &["error: ", "iniconfig", "ash"]);
}

#[test]
fn dependencies() {
    let project = Project::with_dependencies("\"six >= \"");
    project.fails("bad-requirement", project.dist());
    let project = Project::with_dependencies("\"six>=9999\"");
    project.fails_with(project.dist(), &["error: ", "six", "9999"]);
    let project = Project::with_dependencies("\"jinja2==3.1.6\", \"markupsafe<2\"");
    project.fails_with(project.dist(), &["error: ", "markupsafe"]);
}

/// No server anywhere: every connection is refused at once.
fn unplugged(task: Task) -> Task {
    let proxies =
        ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
    let task = proxies.into_iter().fold(task, |task, name| task.env(name, "http://127.0.0.1:9"));
    task.env("no_proxy", "").env("NO_PROXY", "")
}

#[test]
fn no_network() {
    let project = Project::with_dependencies("\"iniconfig>=2\"");
    let caches = |task: Task| {
        task.env("UV_CACHE_DIR", project.path("uv"))
            .env("PIP_CACHE_DIR", project.path("pip"))
            .env("UV_HTTP_RETRIES", "0")
            .env("PIP_RETRIES", "0")
    };
    project.fails_with(caches(project.dist()).arg("--offline"), &["error: ", "--offline"]);
    project.fails_with(caches(unplugged(project.dist())), &["error: ", "network"]);
    let hash = format!("--hash=sha256:{}", "0".repeat(64));
    project.write("app/requirements.txt", format!("iniconfig==2.0.0 {hash}\n"));
    project.fails_with(caches(project.dist()).arg("--frozen"), &["error: ", "iniconfig"]);
}

#[test]
fn an_sdist_is_an_error_that_names_the_key() {
    let project = Project::with_dependencies("\"only-source==1.0\"");
    project.write("sdist/only-source-1.0/setup.py", "raise SystemExit('nobody runs this')\n");
    project.write(
        "sdist/only-source-1.0/PKG-INFO",
        "Metadata-Version: 2.1\nName: only-source\nVersion: 1.0\n",
    );
    let archive = project.path("app/only-source-1.0.tar.gz");
    Task::new("tar")
        .args(["-C".as_ref(), project.path("sdist").as_os_str()])
        .arg("-czf")
        .arg(&archive)
        .arg("only-source-1.0")
        .run()
        .success();
    let hash = sha256(&archive);
    project.write(
        "app/requirements.txt",
        format!("--no-index\n--find-links .\nonly-source==1.0 --hash=sha256:{hash}\n"),
    );
    project.fails_with(project.dist(), &["error: ", "only-source", "sdists", "only-source"]);
}

fn sha256(file: &Path) -> String {
    use sha2::{Digest, Sha256};
    let bytes = fs::read(file).expect("it can be read");
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
