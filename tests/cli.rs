//! The commands as people and scripts call them: what goes to stdout, and the exit code.

use std::path::Path;

use crate::support::task::Task;
use crate::support::{self, SAMPLE};

#[test]
fn dist_prints_the_launchers_path_and_nothing_else() {
    let image = support::image("hello");
    let words = ["dist", "--project", "tests/apps/hello", "--out"];
    let ended = support::xtask().args(words).arg(&image.folder).run().success();
    assert_eq!(ended.out(), format!("{}\n", image.launcher.display()));
    assert!(ended.err().contains("    Finished hello 1.0 for "), "{ended}");
    let ended = support::xtask().args(words).arg(&image.folder).arg("--quiet").run().success();
    assert_eq!(ended.out(), format!("{}\n", image.launcher.display()));
    assert_eq!(ended.err(), "");
}

#[test]
fn run_passes_arguments_and_the_exit_code_on() {
    let image = support::image("hello");
    let words = ["run", "--quiet", "--project", "tests/apps/hello", "--out"];
    let run = || support::xtask().args(words).arg(&image.folder).arg("--");
    let ended = run().args(["--exit", "3"]).run().exits(3);
    assert_eq!(ended.out(), "before exit\nfinally ran\n");
    let ended = run().args(["--version", "-q"]).run().success();
    assert_eq!(ended.out(), "hello\n1 '--version'\n2 '-q'\n");
    let ended = run().arg("--stdin").stdin("through").run().success();
    assert_eq!(ended.out(), "through");
}

#[test]
fn plan_says_what_would_be_done() {
    let ended = support::xtask().args(["plan", "--quiet"]).run().success();
    for word in ["application", "device-console", "interpreter", "libpython", "psutil"] {
        assert!(ended.out().contains(word), "{word}: {ended}");
    }
    let plan = support::plan(SAMPLE);
    let site = plan["site"].as_str().expect("the sample has dependencies");
    assert!(Path::new(site).join("psutil").is_dir());
}

#[test]
fn every_verb_has_help() {
    let help = support::xtask().arg("--help").run().success().out();
    for verb in [
        "dist",
        "run",
        "plan",
        "why",
        "what-if",
        "size",
        "startup",
        "memory",
        "symbolicate",
        "leakcheck",
        "sysroot",
        "doctor",
        "test",
        "clean",
    ] {
        assert!(help.contains(&format!("\n  {verb} ")), "{verb}: {help}");
        let ended = support::xtask().args([verb, "--help"]).run().success();
        assert!(ended.out().contains("Usage: "), "{ended}");
    }
    support::xtask().arg("dust").run().exits(2);
}

#[test]
fn doctor_says_whether_c_can_be_compiled() {
    let found = |compiler: &str, task: Task| {
        let ended = task.args(["--message-format", "json"]).env("CC", compiler).run();
        let doctor = support::event(&ended, "doctor");
        let findings = doctor["findings"].as_array().expect("a list");
        let found = findings.iter().find(|found| found["name"] == "compiler").expect("it is there");
        let text = |key: &str| found[key].as_str().expect("a text").to_owned();
        (text("state"), text("text"), ended.code)
    };
    let doctor = |project: &Path| {
        support::xtask().args(["doctor", "--project"]).arg(project).args(support::python())
    };
    let hello = support::project("hello");
    let (state, text, _) = found("", doctor(&hello));
    assert!(state == "ok" && text.contains("with Python.h in /"), "{text}");
    let (state, text, code) = found("no-such-compiler", doctor(&hello));
    assert_eq!((state.as_str(), code), ("optional", 0), "{text}");
    assert!(text.contains("cannot start no-such-compiler; remedy: "), "{text}");
    let asks = support::copy_of("hello");
    append(&asks.path().join("pyproject.toml"), "\n[tool.pyrmware.protect]\nmode = \"cython\"\n");
    assert_eq!(found("false", doctor(asks.path())).0, "missing");
}

/// The smallest application, with a `__main__` of this text.
fn hello_with(main: &str) -> tempfile::TempDir {
    let project = support::copy_of("hello");
    std::fs::write(project.path().join("hello/__main__.py"), main).expect("it is written");
    project
}

/// Adds to a file.
fn append(path: &Path, text: &str) {
    let old = std::fs::read_to_string(path).expect("it can be read");
    std::fs::write(path, old + text).expect("it is written");
}

/// Asks for a module by a name that nobody can read, and goes on without it.
const ASKS: &str = "name = '-'.join(['wsgiref']).strip()\n\
                    try:\n    __import__(name)\nexcept ImportError:\n    print('no panel')\n";

#[test]
fn a_pruned_module_that_the_self_test_asks_for_is_an_error_until_it_is_allowed() {
    let project = hello_with(ASKS);
    let out = project.path().join("image");
    let error = support::dist(project.path(), &out).run().exits(1).err();
    for text in [
        "the self-test asks for modules that were left out:\n  wsgiref, by __main__ (",
        "keep = [\"wsgiref\"] ships them, and allow-missing = [\"wsgiref\"] says",
    ] {
        assert!(error.contains(text), "{text}: {error}");
    }
    append(
        &project.path().join("pyproject.toml"),
        "[tool.pyrmware.prune]\nallow-missing = [\"wsgiref\"]\n",
    );
    let image = support::Image::of(&support::dist(project.path(), &out).run().success());
    assert_eq!(image.report["warnings"].to_string(), "[]");
}

#[test]
fn what_a_trace_has_seen_ships_and_a_level_ships_nothing_else() {
    let main = "import sys\nif len(sys.argv) > 5:\n    import hello.modes\nif sys.argv[1:] == ['x']:\n    \
                __import__('.'.join(['hello', 'seen']))\n";
    let project = hello_with(main);
    std::fs::write(project.path().join("hello/seen.py"), "import hello.below\n").expect("written");
    std::fs::write(project.path().join("hello/below.py"), "").expect("written");
    let out = project.path().join("image");
    let xtask = |words: &[&str]| {
        support::xtask()
            .args(words)
            .args(["--message-format", "json", "--project"])
            .arg(project.path())
            .arg("--out")
            .arg(&out)
    };
    append(
        &project.path().join("pyproject.toml"),
        "[tool.pyrmware.prune]\nlevel = \"traced\"\ndynamic = { \"hello.__main__\" = [] }\n",
    );
    let refused = xtask(&["dist"]).run().exits(1).err();
    assert!(refused.contains("`cargo xtask trace` records one"), "{refused}");

    let traced = support::xtask()
        .args(["trace", "--message-format", "json", "--project"])
        .arg(project.path())
        .arg("--out")
        .arg(&out)
        .args(["--", "x"])
        .run()
        .success();
    assert!(support::event(&traced, "trace")["added"].as_u64() > Some(2), "{traced}");
    let file = project.path().join("pyrmware.trace");
    let text = std::fs::read_to_string(&file).expect("a trace");
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("hello")).collect();
    assert_eq!(lines, ["hello", "hello.seen"], "what was left out and asked for is wanted: {text}");

    append(&file, "hello.gone\n");
    let image = support::Image::of(&xtask(&["dist"]).run().success());
    let kept = image.report["modules"]["kept"].as_array().expect("a list");
    let own: Vec<&str> = kept.iter().filter_map(|module| module["name"].as_str()).collect();
    let own: Vec<&str> = own.into_iter().filter(|name| name.starts_with("hello")).collect();
    assert_eq!(own, ["hello", "hello.__main__", "hello.below", "hello.seen"]);
    assert!(image.report["notes"].to_string().contains("hello.gone"), "{}", image.report["notes"]);
}
