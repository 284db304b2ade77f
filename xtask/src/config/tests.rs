use std::path::Path;

use super::source::{Complaint, Source};
use super::*;

const GOOD: &str = "\
[project]
name = 'device-console'
version = '0.3.0'
scripts = { device-console = 'device_console.main:run' }
";

fn python(text: &str) -> Result<Project, Complaint> {
    python_side::check(&Source::new("python-app/pyproject.toml", text), Path::new("/w/python-app"))
}

fn device(text: &str) -> Result<device_side::DeviceSide, Complaint> {
    device_side::check(&Source::new("app/Cargo.toml", text), Path::new("/w/app"))
}

/// Every bad input with its whole message, as data: `tests/bad.txt` has cases of the form
/// `=== KIND`, input, `---`, message. `PYRMWARE_UPDATE_GOLDEN=1` writes the messages anew.
#[test]
fn bad_inputs_say_what_is_wrong_where_and_what_is_accepted() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/tests/bad.txt");
    let golden = std::fs::read_to_string(&path).unwrap();
    let mut actual = String::new();
    for case in golden.split("=== ").skip(1) {
        let (kind, rest) = case.split_once('\n').unwrap();
        let input = rest.split("---\n").next().unwrap();
        let message = match kind {
            "pyproject.toml" => python(input).map(|project| format!("{project:?}")),
            "pyproject.toml after a good [project]" => {
                python(&format!("{GOOD}{input}")).map(|project| format!("{project:?}"))
            }
            "[package.metadata.pyrmware]" => {
                device(&format!("[package]\n[package.metadata.pyrmware]\n{input}"))
                    .map(|side| format!("{side:?}"))
            }
            other => panic!("no such kind of case: {other}"),
        };
        let message = message.expect_err(input).to_string();
        let lines = message.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        actual.push_str(&format!("=== {kind}\n{input}---\n{lines}\n\n"));
    }
    if std::env::var_os("PYRMWARE_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).unwrap();
    } else {
        assert_eq!(actual, golden, "PYRMWARE_UPDATE_GOLDEN=1 writes the messages anew");
    }
}

#[test]
fn a_good_python_side() {
    let project = python(
        "\
[project]
name = 'x'
version = '1.0'
description = 'd'
requires-python = '>=3.10'
dependencies = ['psutil>=7']
dynamic = ['readme']
[project.scripts]
x = 'x.main:run [extra]'
[project.gui-scripts]
xw = 'x.gui:run'
[project.entry-points.plugins]
one = 'x.one'
[tool.ruff]
line-length = 100
[tool.pyrmware]
include = ['data/*.json']
sdists = ['odd-one']
[tool.pyrmware.prune]
keep = ['a.b', 'c.*']
drop = ['tkinter']
[tool.pyrmware.optimize]
docstrings = 'keep'
lazy-imports = 'off'
[tool.pyrmware.optimize.packages.demo]
lines = 'strip'
names = 'strip'
[tool.pyrmware.optimize.packages.'demo.core']
lines = 'keep'
[tool.pyrmware.protect]
mode = 'bytecode'
packages = ['x']
[tool.pyrmware.verify]
command = ['--selftest']
[tool.pyrmware.budget]
size = '12 MiB'
",
    )
    .unwrap();
    assert_eq!(project.entry.to_string(), "x.main:run");
    assert_eq!(project.dir, Path::new("/w/python-app"));
    assert_eq!(project.requires_python, ">=3.10");
    assert_eq!(project.dependencies, ["psutil>=7"]);
    assert_eq!(project.entry_points["console_scripts"]["x"], "x.main:run [extra]");
    assert_eq!(project.entry_points["gui_scripts"]["xw"], "x.gui:run");
    assert_eq!(project.entry_points["plugins"]["one"], "x.one");
    assert_eq!(project.entry_points.len(), 3);
    assert_eq!(project.include, ["data/*.json"]);
    assert_eq!(project.sdists, ["odd-one"]);
    assert_eq!(project.prune.keep, ["a.b", "c.*"]);
    assert_eq!(project.prune.drop, ["tkinter"]);
    let own = |module: &str, of: fn(&Shape) -> Option<bool>| project.optimize.own(module, of);
    assert_eq!(own("demo.core.x", |shape| shape.lines), Some(true));
    assert_eq!(own("demo.core.x", |shape| shape.names), Some(false));
    assert_eq!(own("demo.core2", |shape| shape.lines), Some(false));
    assert_eq!(own("demos", |shape| shape.lines), None);
    assert_eq!(project.verify.as_deref(), Some(&["--selftest".to_owned()][..]));
    assert_eq!(project.budget.size, Some(12 * 1024 * 1024));
}

#[test]
fn sizes_as_people_write_them() {
    for (text, bytes) in [
        ("4096", 4096),
        ("512 B", 512),
        ("1.5MB", 1_500_000),
        ("12 MiB", 12_582_912),
        ("2 GiB", 2_147_483_648),
    ] {
        let project = python(&format!("{GOOD}[tool.pyrmware.budget]\nsize = '{text}'")).unwrap();
        assert_eq!(project.budget.size, Some(bytes), "{text}");
    }
}

#[test]
fn devices_and_the_host_that_is_always_there() {
    let side = device(
        "\
[package.metadata.pyrmware]
python-app = '../python-app'
locked-down = true
[package.metadata.pyrmware.device.gateway]
target = 'aarch64-unknown-linux-gnu'
python = 'sysroots/bookworm-arm64/usr'
link = 'static'
linker = 'aarch64-linux-gnu-gcc'
extensions = 'sidecar'
[package.metadata.pyrmware.device.other]
linker = 'tools/ld'
",
    )
    .unwrap();
    assert_eq!(side.python_app.as_deref(), Some(Path::new("/w/app/../python-app")));
    let host = &side.devices["host"];
    assert_eq!(
        (host.target.as_deref(), host.link, host.extensions),
        (None, None, Extensions::Auto)
    );
    assert_eq!(side.devices["other"].linker.as_deref(), Some(Path::new("/w/app/tools/ld")));
    let gateway = side.device("gateway").unwrap();
    assert_eq!(gateway.linker.as_deref(), Some(Path::new("aarch64-linux-gnu-gcc")));
    assert_eq!(gateway.target.as_deref(), Some("aarch64-unknown-linux-gnu"));
    assert_eq!(gateway.python.as_deref(), Some(Path::new("/w/app/sysroots/bookworm-arm64/usr")));
    assert_eq!((gateway.link, gateway.extensions), (Some(Link::Static), Extensions::Sidecar));
    assert!(gateway.locked_down);
}

/// A workspace on disk with an application in it.
fn workspace_in(dir: &Path, device_side: &str) -> Paths {
    let paths = Paths { root: dir.into(), target: dir.join("target"), app: dir.join("app") };
    for (file, text) in [
        ("app/Cargo.toml", &*format!("[package]\n[package.metadata.pyrmware]\n{device_side}")),
        ("python-app/pyproject.toml", GOOD),
        ("empty/note.txt", ""),
    ] {
        std::fs::create_dir_all(dir.join(file).parent().unwrap()).unwrap();
        std::fs::write(dir.join(file), text).unwrap();
    }
    paths
}

fn flags(project: Option<&Path>) -> Flags {
    Flags { device: "host".into(), project: project.map(Into::into), ..Flags::default() }
}

#[test]
fn flags_go_before_files() {
    let dir = tempfile::tempdir().unwrap();
    let paths = workspace_in(
        dir.path(),
        "python-app = '../python-app'\n[package.metadata.pyrmware.device.host]\nlink = 'shared'\npython = 'py'",
    );
    let config = Config::within(paths.clone(), &flags(None)).unwrap();
    assert_eq!(config.out, dir.path().join("target/dist/host/device-console"));
    assert_eq!(config.device.python, Some(dir.path().join("app/py")));
    assert_eq!(config.device.link, Some(Link::Shared));
    let flags = Flags {
        target: Some("aarch64-unknown-linux-gnu".into()),
        python: Some("/usr".into()),
        out: Some("/tmp/out/here".into()),
        frozen: true,
        ..flags(None)
    };
    let config = Config::within(paths, &flags).unwrap();
    assert_eq!(config.out, Path::new("/tmp/out/here"));
    assert_eq!(config.device.python.as_deref(), Some(Path::new("/usr")));
    assert_eq!(config.device.target.as_deref(), Some("aarch64-unknown-linux-gnu"));
    assert!(config.resolution.locked && config.resolution.offline);
}

#[test]
fn what_is_not_there_is_named_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let paths = workspace_in(dir.path(), "[package.metadata.pyrmware.device.gateway]");
    let fails = |flags: &Flags| {
        let error = Config::within(paths.clone(), flags).unwrap_err();
        error.to_string().replace(&format!("{}/", dir.path().display()), "")
    };
    assert_eq!(
        fails(&flags(None)),
        "nothing says which application: give --project DIR, or python-app in \
         [package.metadata.pyrmware] of app/Cargo.toml"
    );
    assert_eq!(
        fails(&flags(Some(&dir.path().join("nowhere")))),
        "there is no application in nowhere"
    );
    assert_eq!(
        fails(&flags(Some(&dir.path().join("empty")))),
        "empty has no pyproject.toml; name the application's folder with --project or with \
         python-app in [package.metadata.pyrmware] of the launcher's Cargo.toml"
    );
    let app = dir.path().join("python-app");
    assert_eq!(
        fails(&Flags { device: "gatewy".into(), ..flags(Some(&app)) }),
        "there is no device \"gatewy\"; app/Cargo.toml has gateway, host, and another one is a \
         table [package.metadata.pyrmware.device.gatewy]"
    );
    assert_eq!(
        fails(&Flags { target: Some("arm".into()), ..flags(Some(&app)) }),
        "--target arm: this is no target triple, as aarch64-unknown-linux-gnu"
    );
}
