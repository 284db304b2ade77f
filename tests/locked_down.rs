//! A launcher that is locked down, beside an ordinary one of the same application: who may look into its
//! processes, and that it works all the same for a user who may not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;

use crate::support::task::{Ended, Task};
use crate::support::workspace::{dist, workspace};
use crate::support::{Alone, Image};

/// A user that is nobody's.
const NOBODY: &str = "65534";

/// Besides, it keeps more and more in memory when it is told to, and starts again then.
const SERVICE: &str = "[package.metadata.pyrmware.memory]
hard = \"120 MiB\"
interval = \"50 ms\"
grace = \"5 s\"
restart = \"zygote\"
report-dir = \"/proc/self/cwd/reports\"
pressure = \"off\"
[package.metadata.pyrmware.service]
restarts = 0
back-off = \"0 s\"
";

/// The launchers that can be told apart.
struct Launchers {
    open: Alone,
    locked: Alone,
    service: Alone,
    /// Not locked down; its module is encrypted.
    encrypted: Alone,
}

static LAUNCHERS: LazyLock<Launchers> = LazyLock::new(|| {
    let project = tempfile::tempdir().expect("a folder can be made");
    let table = "[project]\nname = \"vault\"\nversion = \"1\"\nrequires-python = \">=3.10\"\n\
                 [tool.pyrmware]\nentry = \"vault\"\n";
    fs::write(project.path().join("pyproject.toml"), table).expect("it is written");
    fs::write(project.path().join("vault.py"), include_str!("locked_down/vault.py"))
        .expect("it is written");
    let shut = tempfile::tempdir().expect("a folder can be made");
    let protect = "[tool.pyrmware.protect]\nmode = \"encrypted\"\nkey = \"embedded\"\n\
                   packages = [\"vault\"]\n";
    fs::write(shut.path().join("pyproject.toml"), format!("{table}{protect}")).expect("written");
    fs::copy(project.path().join("vault.py"), shut.path().join("vault.py")).expect("copied");
    let of = |name: &str, ours: &str, tables: &str, project: &Path| -> Alone {
        let image: Image = dist(&workspace(name, ours, tables), project, "host");
        let alone = image.alone();
        // For everybody.
        fs::set_permissions(alone.folder.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        fs::set_permissions(&alone.launcher, fs::Permissions::from_mode(0o755)).expect("chmod");
        alone
    };
    let locked = "locked-down = true\n";
    let launcher = |name: &str, ours: &str, tables: &str| of(name, ours, tables, project.path());
    Launchers {
        open: launcher("vault-open", "", ""),
        locked: launcher("vault-locked", locked, ""),
        service: launcher("vault-service", locked, SERVICE),
        encrypted: of("vault-encrypted", "", "", shut.path()),
    }
});

fn is_root() -> bool {
    // SAFETY: asks for a number.
    unsafe { libc::geteuid() == 0 }
}

/// Runs a launcher in a folder that it may write to: as the user that runs the tests, unless that is root and
/// another one is asked for.
fn run(launcher: &Path, words: &[&str], as_root: bool) -> Ended {
    let folder = tempfile::tempdir().expect("a folder can be made");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("chmod");
    let task = match is_root() && !as_root {
        true => Task::new("/usr/bin/setpriv")
            .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
            .arg(launcher),
        false => Task::new(launcher),
    };
    task.clean_env().env("PATH", "/usr/bin:/bin").cwd(folder.path()).args(words).run()
}

/// What an ordinary launcher can do to each process of one that it has started.
fn attack(victim: &Alone, as_root: bool) -> Vec<Value> {
    let victim = victim.launcher.to_str().expect("a path");
    let ended = run(&LAUNCHERS.open.launcher, &["attack", victim], as_root).success();
    let found: Value = serde_json::from_slice(&ended.stdout).expect("one line of JSON");
    found.as_array().expect("an array").clone()
}

/// The worker, and helpers of multiprocessing: a spawned one, a server, its fork, a fork, two trackers.
const PROCESSES: usize = 6;

#[track_caller]
fn allows(found: &[Value], allowed: bool) {
    assert!(found.len() >= PROCESSES, "{found:?}");
    for process in found {
        let ways = process["ways"].as_object().expect("a table");
        assert!(ways.len() >= 5, "{process}");
        assert!(ways.values().all(|way| way == allowed), "{process}");
    }
}

#[test]
fn nobody_but_root_looks_into_a_launcher_that_is_locked_down_or_has_encrypted_modules() {
    let Launchers { open, locked, service, encrypted } = &*LAUNCHERS;
    allows(&attack(open, false), true);
    allows(&attack(locked, false), false);
    allows(&attack(encrypted, false), false);
    let found = attack(service, false);
    allows(&found, false);
    let names: Vec<&str> = found.iter().filter_map(|one| one["comm"].as_str()).collect();
    for name in ["vault:parent", "vault:zygote", "vault"] {
        assert!(names.contains(&name), "{names:?}");
    }
    if is_root() {
        allows(&attack(locked, true), true);
    }
}

#[test]
fn a_launcher_that_is_locked_down_leaves_no_core_file() {
    let Launchers { open, locked, .. } = &*LAUNCHERS;
    let core = |victim: &Alone| {
        let victim = victim.launcher.to_str().expect("a path");
        run(&open.launcher, &["abort", victim], false).success().out()
    };
    // Where the machine allows none at all there is nothing to see.
    let plain = core(open);
    assert!(plain == "6 True\n" || plain == "6 forbidden\n", "{plain:?}");
    assert_ne!(core(locked), "6 True\n");
}

#[test]
fn one_that_is_locked_down_works_for_a_user_who_may_not_look_into_it() {
    let Launchers { locked, service, .. } = &*LAUNCHERS;
    for launcher in [&locked.launcher, &service.launcher] {
        let ended = run(launcher, &["family"], false).success();
        assert_eq!(ended.out(), "spawn 9\nforkserver 9\nfork 9\nrefused True\n", "{ended}");
    }
    // Its name tells helpers that they are its own, also where it was called by another.
    let link = locked.folder.path().join("another-name");
    std::os::unix::fs::symlink(&locked.launcher, &link).expect("a link");
    let ended = run(&link, &["family"], false).success();
    assert!(ended.out().starts_with("spawn 9\nforkserver 9\n"), "{ended}");

    let ended = run(&service.launcher, &["hoard"], false).success();
    assert_eq!(ended.out(), "reports True, open files True, resident True\n", "{ended}");
}

#[test]
fn one_that_is_locked_down_runs_nothing_that_it_is_told_to() {
    let locked = &LAUNCHERS.locked.launcher;
    let startup = LAUNCHERS.open.folder.path().join("startup.py");
    fs::write(&startup, "print('startup')\n").expect("it is written");
    let folder = LAUNCHERS.open.folder.path();
    for name in ["sitecustomize.py", "json.py"] {
        fs::write(folder.join(name), "print('theirs')\n").expect("it is written");
    }
    let words = ["echo", "-i", "-c", "print(1)", "-m", "json.tool"];
    let plain = run(locked, &words, false).success();
    assert_eq!(plain.out(), "['echo', '-i', '-c', 'print(1)', '-m', 'json.tool'] 0 0 False\n");
    for (name, value) in [
        ("PYTHONINSPECT", "1"),
        ("PYTHONSTARTUP", startup.to_str().expect("a path")),
        ("PYTHONPATH", folder.to_str().expect("a path")),
        ("PYTHONHOME", "/nonexistent"),
        ("PYTHONFAULTHANDLER", "1"),
        ("PYTHONVERBOSE", "1"),
        ("PYTHONOPTIMIZE", "2"),
        ("PYTHONBREAKPOINT", "os.abort"),
        ("PYTHONPERFSUPPORT", "1"),
        ("PYRMWARE_PYTHON", "1"),
    ] {
        let task = Task::new(locked).clean_env().env(name, value).args(words);
        let ended = task.stdin("print('from stdin')\n").run().success();
        assert_eq!((ended.out(), ended.err()), (plain.out(), plain.err()), "{name}");
    }
    // No launcher has started these.
    let spawn = "from multiprocessing.spawn import spawn_main; spawn_main(0)";
    for words in [&["-c", spawn][..], &["-I", "-c", spawn], &["-i", "-c", spawn]] {
        let ended = Task::new(locked).clean_env().args(words).run().exits(78);
        assert!(ended.err().contains("locked down: does not act as python3"), "{ended}");
    }
}
