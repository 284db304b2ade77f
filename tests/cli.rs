//! The commands as people and scripts call them: what goes to stdout, and the exit code.

use std::path::Path;

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
    for verb in
        ["dist", "run", "plan", "why", "what-if", "size", "startup", "doctor", "test", "clean"]
    {
        assert!(help.contains(&format!("\n  {verb} ")), "{verb}: {help}");
        let ended = support::xtask().args([verb, "--help"]).run().success();
        assert!(ended.out().contains("Usage: "), "{ended}");
    }
    support::xtask().arg("dust").run().exits(2);
}

#[test]
fn a_pruned_module_that_the_self_test_asks_for_is_a_warning() {
    let project = support::copy_of("hello");
    let pyproject = project.path().join("pyproject.toml");
    let text = std::fs::read_to_string(&pyproject).expect("it can be read");
    let text = text.replace("[\"--exit\", \"0\"]", "[\"--find-panel\"]");
    std::fs::write(&pyproject, text).expect("it is written");
    let main = "import sys\nname = '-'.join(['wsgiref']).strip()\ntry:\n    __import__(name)\n\
                except ImportError:\n    print('no panel')\n";
    std::fs::write(project.path().join("hello/__main__.py"), main).expect("it is written");
    let out = project.path().join("image");
    let image = support::Image::of(&support::dist(project.path(), &out).run().success());
    let warnings = image.report["warnings"].to_string();
    assert!(warnings.contains("the pruned module wsgiref was asked for ("), "{warnings}");
    assert!(warnings.contains("keeps it"), "{warnings}");
}
