//! What the device side chooses: a shared libpython, extension modules beside the launcher, a locked launcher.

use std::fs;

use serde_json::Value;

use crate::support::task::Task;
use crate::support::{self, SAMPLE};

pub use crate::support::workspace::{dist, workspace};

#[test]
fn libraries_beside_the_launcher_are_found_there() {
    let plan = support::plan(SAMPLE);
    let linked = "[package.metadata.pyrmware.device.gateway]\nextensions = \"sidecar\"\n";
    let link = if has_shared(&plan) { "link = \"shared\"\n" } else { "" };
    let folder = workspace("beside", "", &format!("{linked}{link}"));
    let image = dist(&folder, &support::project(SAMPLE), "gateway");
    let beside: Vec<&String> = image.beside().collect();
    assert!(beside.iter().any(|path| path.starts_with("lib/psutil/")), "{beside:?}");
    if !link.is_empty() {
        assert!(beside.iter().any(|path| path.contains("libpython3.")), "{beside:?}");
    }
    let alone = image.alone();
    let ended = alone.task().arg("--selftest").run().success();
    let said: Value = serde_json::from_slice(&ended.stdout).expect("one line of JSON");
    assert_eq!(said["ok"], true);
    crate::isolation::is_isolated(&alone, &["--selftest"], 0);

    // What is missing is named.
    let library = beside.iter().find(|path| path.starts_with("lib/psutil/")).expect("above");
    fs::remove_file(alone.folder.path().join(library)).expect("it is removed");
    let ended = alone.task().arg("--selftest").run();
    assert_ne!(ended.code, 0, "{ended}");
    let name = library.rsplit('/').next().expect("a name");
    assert!(ended.err().contains(name), "{ended}");
}

/// Whether the interpreter that is chosen has a shared libpython, as it says itself.
pub fn has_shared(plan: &Value) -> bool {
    let program = plan["interpreter"]["program"].as_str().expect("a program");
    let code = "import os, sysconfig as s; \
        print(os.path.exists(os.path.join(s.get_config_var('LIBDIR'), s.get_config_var('INSTSONAME'))))";
    Task::new(program).args(["-I", "-c", code]).run().success().out() == "True\n"
}

#[test]
fn a_locked_launcher_takes_no_orders() {
    let folder = workspace("locked", "locked-down = true\n", "");
    let image = dist(&folder, &support::project("hello"), "host");
    let alone = image.alone();
    let plain = alone.task().args(["--exit", "3"]).run().exits(3);
    for name in ["PYRMWARE_PYTHON", "PYRMWARE_CHECK", "PYRMWARE_REPORT_PRUNED", "PYRMWARE_TRACE"] {
        let ended = alone.task().env(name, "1").args(["--exit", "3"]).run().exits(3);
        assert_eq!((ended.out(), ended.err()), (plain.out(), plain.err()), "{name}");
    }
    let symbols = image.folder.join("symbols");
    let ended = alone.task().env("PYRMWARE_SYMBOLS", &symbols).arg("--raise").run().exits(1);
    assert!(!ended.err().contains("raise SensorError("), "{ended}");
    let ended = alone.task().env("PYRMWARE_PYTHON", "1").args(["-c", "print(1)"]).run().success();
    assert_eq!(ended.out(), "hello\n1 '-c'\n2 'print(1)'\n");
}

#[test]
fn a_locked_launcher_runs_children_of_multiprocessing_and_no_other_code() {
    let folder = workspace("locked-family", "locked-down = true\n", "");
    let project = tempfile::tempdir().expect("a folder");
    let pyproject =
        "[project]\nname = \"family\"\nversion = \"1\"\n[tool.pyrmware]\nentry = \"family\"\n";
    fs::write(project.path().join("pyproject.toml"), pyproject).expect("it is written");
    fs::write(project.path().join("family.py"), FAMILY).expect("it is written");
    let image = dist(&folder, project.path(), "host");
    let ended = image.alone().task().run().success();
    assert_eq!(ended.out(), "spawn 9\nforkserver 9\nrefused True\n", "{ended}");
}

const FAMILY: &str = "\
import multiprocessing
import subprocess
import sys


def square(number):
    return number * number


if __name__ == '__main__':
    for method in ('spawn', 'forkserver'):
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(method, pool.apply(square, (3,)), flush=True)
    done = subprocess.run([sys.executable, '-c', 'print(1)'], capture_output=True)
    print('refused', done.returncode != 0 and not done.stdout, flush=True)
";
