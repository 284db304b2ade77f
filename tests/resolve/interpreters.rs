//! Interpreters: found, named, refused; and how their libpython is linked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::app::App;

/// A program that answers the probe with this.
fn pretender(folder: &Path, answer: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let program = folder.join("bin/python3");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::create_dir_all(folder.join("lib/python3.11")).unwrap();
    fs::write(&program, format!("#!/bin/sh\ncat <<'EOF'\n{answer}\nEOF\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    folder.to_owned()
}

/// The facts of a CPython 3.11.2 below `folder`, with these sysconfig variables.
fn facts(folder: &Path, sysconfig: &str) -> String {
    let prefix = folder.display();
    format!(
        r#"{{"implementation": "cpython", "version": [3, 11], "facts": {{
            "base_program": "{prefix}/bin/python3", "prefix": "{prefix}", "full_version": "3.11.2", "magic": 3495,
            "stdlib": "{prefix}/lib/python3.11", "platstdlib": "{prefix}/lib/python3.11",
            "include": "{prefix}/include/python3.11", "path": [],
            "builtins": ["sys"], "frozen": ["os"], "exports": {{}},
            "markers": {{"sys_platform": "linux"}},
            "sysconfig": {{{sysconfig}}}}}}}"#
    )
}

#[test]
fn interpreters_that_cannot_go_in_are_refused() {
    let app = App::new(&[]);
    let check = |answer: &dyn Fn(&Path) -> String, texts: &[&str]| {
        let folder = TempDir::new().unwrap();
        let prefix = pretender(folder.path(), &answer(folder.path()));
        app.plan("uv", &["--python", prefix.to_str().unwrap()]).fails(texts);
    };
    check(
        &|_| r#"{"implementation": "pypy", "version": [3, 10]}"#.into(),
        &["is pypy 3.10; a launcher embeds CPython"],
    );
    check(
        &|_| r#"{"implementation": "cpython", "version": [3, 9]}"#.into(),
        &["is Python 3.9; a launcher embeds Python 3.10 to 3."],
    );
    check(&|_| "Hello".into(), &["does not answer as a Python interpreter does"]);
    check(&|folder| facts(folder, r#""Py_DEBUG": "1""#), &["is a debug build (Py_DEBUG is 1)"]);
    check(
        &|folder| facts(folder, r#""Py_GIL_DISABLED": "1""#),
        &["is a free-threaded build (Py_GIL_DISABLED is 1)"],
    );
    check(
        &|folder| facts(folder, ""),
        &[
            "has no libpython to link: looked for libpython3.11-pic.a, libpython3.11.a and libpython3.11.so.1.0 in",
            "; remedy: ",
        ],
    );
    app.plan("uv", &["--python", "/nonexistent"])
        .fails(&["cannot find the interpreter /nonexistent"]);
    app.plan("uv", &["--python", "/etc"])
        .fails(&["/etc is no CPython prefix: it holds no bin/python3"]);
}

#[test]
fn the_version_has_to_be_the_one_that_is_required() {
    let app = App::new(&[]);
    let pyproject = app.read("pyproject.toml");
    app.write("pyproject.toml", &pyproject.replace(">=3.10", "~=3.99"));
    app.plan("uv", &[]).fails(&[
        "no Python here can go into the launcher; name a prefix with --python. Looked at:",
        "does not satisfy `requires-python = \"~=3.99\"` of [project]",
    ]);
    app.write("pyproject.toml", &pyproject.replace(">=3.10", "3.10 or so"));
    app.plan("uv", &[]).fails(&["[project] requires-python is not valid"]);
}

#[test]
fn a_static_libpython_is_linked_unless_a_library_is_missing() {
    let app = App::new(&[]);
    let folder = TempDir::new().unwrap();
    let answer = facts(
        folder.path(),
        r#""LIBS": "-lm -lprtnowhere -L/x -lm", "INSTSONAME": "libpython3.11.so.1.0""#,
    );
    let prefix = pretender(folder.path(), &answer);
    let (lib, python) = (folder.path().join("lib"), ["--python", prefix.to_str().unwrap()]);
    // An archive without members can be linked anywhere.
    fs::write(lib.join("libpython3.11.a"), "!<arch>\n").unwrap();
    app.plan("uv", &python).fails(&[
        "cannot link libpython static",
        "needs -lprtnowhere, which the linker does not find; remedy: ",
    ]);
    fs::write(lib.join("libpython3.11.so.1.0"), "").unwrap();
    let answer = app.plan("uv", &python);
    assert!(
        answer.notes().contains("libpython is linked shared: the static libpython of"),
        "{}",
        answer.notes()
    );
    assert!(answer.plan.unwrap()["link"]["shared"].is_string());
    fs::write(lib.join("libprtnowhere.a"), "!<arch>\n").unwrap();
    assert!(app.plan("uv", &python).plan.unwrap()["link"]["static-pic"].is_string());
    fs::write(lib.join("libpython3.11.a"), "!<thin>\n").unwrap();
    assert!(app.plan("uv", &python).notes().contains("intermediate code (LTO), not machine code"));
}

#[test]
fn pyo3_s_configuration_names_the_interpreter() {
    let app = App::new(&[]);
    let found =
        app.plan("uv", &[]).plan.unwrap()["interpreter"]["prefix"].as_str().unwrap().to_owned();
    let file = app.target.path().join("pyo3.txt");
    fs::write(&file, format!("implementation=CPython\nexecutable={found}/bin/python3\n")).unwrap();
    let variables = [("PYO3_CONFIG_FILE", file.to_str().unwrap())];
    let answer = app.plan_in(&variables, &[]);
    assert!(answer.notes().contains("as PYO3_CONFIG_FILE says"), "{}", answer.notes());
    fs::write(&file, "version=3.11\n").unwrap();
    app.plan_in(&variables, &[]).fails(&[
        "(PYO3_CONFIG_FILE) does not say where CPython is",
        "it has neither `executable` nor `lib_dir`; add one of them",
    ]);
}

#[test]
fn a_virtual_environment_stands_for_its_interpreter() {
    let app = App::new(&[]);
    let found = app.plan("uv", &[]).plan.unwrap()["interpreter"]["prefix"].clone();
    let venv = app.target.path().join("venv");
    let program = Path::new(found.as_str().unwrap()).join("bin/python3");
    let made =
        Command::new(program).args(["-m", "venv", "--without-pip"]).arg(&venv).status().unwrap();
    assert!(made.success());
    let answer = app.plan("uv", &["--python", venv.to_str().unwrap()]);
    assert!(
        answer.notes().contains(
            "is a virtual environment; the launcher gets the CPython that it was made from"
        )
    );
    assert_eq!(answer.plan.unwrap()["interpreter"]["prefix"], found);
}

/// What `doctor` says as JSON, with these arguments and variables.
fn doctor(app: &App, variables: &[(&str, &str)], arguments: &[&str]) -> (serde_json::Value, bool) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["doctor", "--message-format", "json", "--project"]).arg(app.folder.path());
    command.args(arguments).env_remove("PYO3_CONFIG_FILE").envs(variables.iter().copied());
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().rfind(|line| line.contains("\"reason\":\"doctor\"")).unwrap();
    (serde_json::from_str(last).unwrap(), output.status.success())
}

/// The finding of this name: its state, its text and its remedy.
fn finding(answer: &serde_json::Value, name: &str) -> (String, String, String) {
    let mut findings = answer["findings"].as_array().unwrap().iter();
    let found = findings.find(|finding| finding["name"] == name).unwrap();
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    (text("state"), text("text"), text("remedy"))
}

#[test]
fn doctor_says_that_dist_can_work() {
    let app = App::new(&[]);
    let (answer, success) = doctor(&app, &[], &[]);
    assert!(success, "{answer}");
    assert_eq!(answer["ok"], true);
    for name in ["cargo", "rustc", "linker", "python", "application", "interpreter", "libpython"] {
        assert_eq!(finding(&answer, name).0, "ok", "{answer}");
    }
}

#[test]
fn doctor_names_what_is_missing_and_the_remedy() {
    let app = App::new(&[]);
    let folder = TempDir::new().unwrap();
    let prefix = pretender(folder.path(), &facts(folder.path(), ""));
    let (answer, success) = doctor(&app, &[], &["--python", prefix.to_str().unwrap()]);
    assert!(!success);
    let (state, text, _) = finding(&answer, "interpreter");
    assert_eq!(state, "missing");
    assert!(text.contains("has no libpython to link") && text.contains("remedy: "), "{text}");

    // Nothing on PATH but Rust.
    let path = TempDir::new().unwrap();
    for name in ["cargo", "rustc"] {
        let found =
            Command::new("sh").args(["-c", &format!("command -v {name}")]).output().unwrap();
        let found = String::from_utf8(found.stdout).unwrap();
        std::os::unix::fs::symlink(found.trim(), path.path().join(name)).unwrap();
    }
    let (answer, success) = doctor(&app, &[("PATH", path.path().to_str().unwrap())], &[]);
    assert!(!success);
    let (state, text, remedy) = finding(&answer, "linker");
    assert_eq!((state.as_str(), text.as_str()), ("missing", "no cc on PATH"));
    assert!(remedy.contains("gcc"), "{remedy}");
    assert_eq!(finding(&answer, "strace").0, "optional");
}

#[test]
fn doctor_tells_a_broken_configuration() {
    let app = App::new(&[]);
    app.write("pyproject.toml", "[tool.pyrmware]\nentri = 'app'\n");
    let (answer, success) = doctor(&app, &[], &[]);
    assert!(!success);
    let (state, text, _) = finding(&answer, "application");
    assert_eq!(state, "missing");
    assert!(text.contains("entri"), "{text}");
}
