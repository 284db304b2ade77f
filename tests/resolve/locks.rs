//! Locks: made, read, refused; and what is installed.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::app::{App, TOOLS, packages, pinned, tools};

const BETA: &str = "prt_beta-1.0-py3-none-any.whl";

#[test]
fn dependencies_are_locked_once_and_then_found_without_any_tool() {
    for tool in TOOLS {
        let app = App::new(&["prt-alpha", "never-asked-for ; sys_platform == 'win32'"]);
        // uv locks for every platform, and there is nothing to lock for Windows here.
        if tool == "uv" {
            app.project(&["prt-alpha"], "");
        }
        let first = app.plan(tool, &[]);
        assert_eq!(first.dependencies(), ["prt-alpha 1.0", "prt-beta 1.0"]);
        assert!(
            first
                .notes()
                .contains("dependencies locked into pylock.toml, as there was no lock; commit it")
        );
        let lock = app.read("pylock.toml");
        // No tool of this name: none is looked for.
        let again = app.plan("neither", &["--frozen"]);
        assert_eq!(again.dependencies(), ["prt-alpha 1.0", "prt-beta 1.0"]);
        assert!(!again.notes().contains("locked into"), "{}", again.notes());
        assert_eq!(app.read("pylock.toml"), lock);
    }
}

#[test]
fn both_tools_install_the_same_bytes() {
    let install = |tool| {
        let app = App::new(&["prt-alpha"]);
        app.write(
            "requirements.txt",
            &(pinned("prt_alpha==1.0", "prt_alpha-1.0-py3-none-any.whl")
                + &pinned("prt-beta==1.0", BETA)),
        );
        app.plan(tool, &["--locked"]).dependencies();
        app.site()
    };
    let (uv, pip) = (install("uv"), install("pip"));
    assert_eq!(uv, pip);
    let record = String::from_utf8(uv["prt_beta-1.0.dist-info/RECORD"].clone()).unwrap();
    assert!(!record.contains("INSTALLER") && !record.contains("bin/"), "{record}");
    assert!(
        !uv.keys().any(|path| path.starts_with("bin/") || path.ends_with(".pyc")),
        "{:?}",
        uv.keys()
    );
}

#[test]
fn a_changed_dependency_locks_again_unless_locked() {
    for tool in TOOLS {
        let app = App::new(&["prt-beta<2"]);
        assert_eq!(app.plan(tool, &[]).dependencies(), ["prt-beta 1.0"]);
        app.project(&["prt-beta>=1", "prt-alpha"], "");
        app.plan(tool, &["--locked"]).fails(&[
            "--locked, but the dependencies of pyproject.toml changed; run `cargo xtask dist` once without it and commit APP/pylock.toml",
        ]);
        let changed = app.plan(tool, &[]);
        assert_eq!(changed.dependencies(), ["prt-alpha 1.0", "prt-beta 1.0"]);
        assert!(changed.notes().contains("as the dependencies of pyproject.toml changed"));
        let names: Vec<_> =
            fs::read_dir(app.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 3, "nothing is left beside the lock: {names:?}");
    }
}

#[test]
fn versions_that_are_locked_stay() {
    let app = App::new(&["prt-beta<2"]);
    app.plan("uv", &[]).dependencies();
    // 2.0 would do as well.
    app.project(&["prt-beta"], "");
    assert_eq!(app.plan("uv", &[]).dependencies(), ["prt-beta 1.0"]);
}

#[test]
fn no_lock_is_an_error_when_locked() {
    let app = App::new(&["prt-beta"]);
    app.plan("uv", &["--locked"])
        .fails(&["--locked, but there was no lock; run `cargo xtask dist` once without it"]);
    assert!(!app.folder.path().join("pylock.toml").exists());
}

#[test]
fn no_dependencies_need_no_lock_and_no_tool() {
    let app = App::new(&[]);
    let answer = app.plan("neither", &["--frozen"]);
    assert!(answer.dependencies().is_empty());
    assert!(!app.folder.path().join("pylock.toml").exists());
}

#[test]
fn conflicts_are_explained() {
    let app = App::new(&["prt-alpha", "prt-gamma"]);
    app.plan("uv", &[]).fails(&[
        "the dependencies of app cannot be satisfied",
        "depend on prt-beta>=2",
        "incompatible",
    ]);
    app.plan("pip", &[])
        .fails(&["the dependencies of app cannot be satisfied", "conflicting dependencies"]);
    let app = App::new(&["prt-beta>=3"]);
    app.plan("uv", &[])
        .fails(&["the dependencies of app cannot be satisfied", "only prt-beta<=2.0 is available"]);
    app.plan("pip", &[])
        .fails(&["pip finds no `prt-beta>=3` that Python", "(from versions: 1.0, 2.0)"]);
    assert!(!app.folder.path().join("pylock.toml").exists());
}

#[test]
fn source_needs_the_key_that_allows_it() {
    for tool in TOOLS {
        let app = App::new(&["prt-source"]);
        app.plan(tool, &[])
            .fails(&["`sdists = [\"prt-source\"]` in [tool.pyrmware] allows building it"]);
        app.project(&["prt-source"], "sdists = [\"PRT_Source\"]");
        assert_eq!(app.plan(tool, &[]).dependencies(), ["prt-source 1.0"]);
    }
}

#[test]
fn a_lock_of_source_needs_the_key_too() {
    for tool in TOOLS {
        let app = App::new(&["prt-source"]);
        app.write("requirements.txt", &pinned("prt-source==1.0", "prt_source-1.0.tar.gz"));
        app.plan(tool, &[])
            .fails(&["`sdists = [\"prt-source\"]` in [tool.pyrmware] allows building it"]);
    }
}

#[test]
fn wheels_of_another_platform_are_refused() {
    let app = App::new(&["prt-foreign"]);
    app.write(
        "requirements.txt",
        &pinned("prt-foreign==1.0", "prt_foreign-1.0-cp311-cp311-win_amd64.whl"),
    );
    app.plan("uv", &[])
        .fails(&["`prt-foreign==1.0` has no wheel for Python 3.", "lock a version that has one"]);
    app.plan("pip", &[]).fails(&["pip finds no `prt-foreign==1.0` that Python 3."]);
}

#[test]
fn a_package_that_was_changed_is_refused() {
    for tool in TOOLS {
        let app = App::new(&["prt-beta"]);
        app.write("requirements.txt", &pinned("prt-beta==1.0", "prt_beta-2.0-py3-none-any.whl"));
        app.plan(tool, &[]).fails(&[
            "a package is not the one that requirements.txt names: its hash differs; find out who changed it, then lock again",
            "prt-beta==1.0",
        ]);
    }
}

#[test]
fn a_requirements_file_without_hashes_is_no_lock() {
    let app = App::new(&["prt-beta"]);
    app.write("requirements.txt", "prt-beta\n");
    let answer = app.plan("uv", &[]);
    assert_eq!(answer.dependencies(), ["prt-beta 2.0"]);
    assert!(
        answer
            .notes()
            .contains("requirements.txt is not used: its lines have no `--hash=sha256:…`")
    );
}

#[test]
fn a_requirements_file_that_is_locked_in_part_is_refused() {
    let app = App::new(&["prt-beta"]);
    app.write("requirements.txt", &(pinned("prt-beta==1.0", BETA) + "prt-alpha>=1\n"));
    app.plan("uv", &[]).fails(&[
        "cannot use APP/requirements.txt as a lock",
        "line 2: `prt-alpha` is not pinned to one version with `==`",
    ]);
}

#[test]
fn a_lock_of_others_that_is_out_of_date_is_not_touched() {
    let app = App::new(&["prt-beta", "prt-alpha"]);
    app.write("requirements.txt", &pinned("prt-beta==1.0", BETA));
    app.plan("uv", &[]).fails(&[
        "APP/requirements.txt is out of date: it has no `prt-alpha`; lock again with what wrote it, or delete the file",
    ]);
    app.project(&["prt-beta>=2"], "");
    app.plan("uv", &[])
        .fails(&["APP/requirements.txt is out of date: its prt-beta 1.0 is not `prt-beta>=2`"]);
    app.write(
        "pylock.toml",
        "lock-version = \"1.0\"\ncreated-by = \"pdm\"\nrequires-python = \"<3.10\"\npackages = []\n",
    );
    app.plan("uv", &[]).fails(&[
        "APP/pylock.toml is out of date: it is for Python <3.10, not for 3.",
        "lock again with what wrote it (pdm), or delete the file",
    ]);
    app.write("pylock.toml", "lock-version = 1\n");
    app.plan("uv", &[]).fails(&["cannot use APP/pylock.toml as a lock"]);
}

#[test]
fn a_lock_that_is_not_complete_is_told() {
    let app = App::new(&["prt-alpha"]);
    app.write("requirements.txt", &pinned("prt-alpha==1.0", "prt_alpha-1.0-py3-none-any.whl"));
    let answer = app.plan("uv", &[]);
    assert!(
        answer.notes().contains(
            "prt-alpha needs prt-beta<2, which is not there: requirements.txt is not complete"
        ),
        "{}",
        answer.notes()
    );
}

#[test]
fn uv_lock_is_read_and_never_written() {
    let index = format!(
        "[[tool.uv.index]]\nurl = \"file://{}\"\ndefault = true",
        packages().join("simple").display()
    );
    let app = App::new(&[]);
    app.project(&["prt-beta"], &index);
    let own = tools().join("uv/bin/uv");
    let output = Command::new(if own.exists() { own.as_path() } else { Path::new("uv") })
        .arg("lock")
        .current_dir(app.folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = app.read("uv.lock");
    let answer = app.plan("uv", &[]);
    assert_eq!(answer.dependencies(), ["prt-beta 2.0"]);
    assert!(answer.plan.unwrap()["lock"].as_str().unwrap().ends_with("uv.lock"));
    assert_eq!(app.plan("neither", &["--frozen"]).dependencies(), ["prt-beta 2.0"]);
    app.project(&["prt-beta<2"], "");
    app.plan("uv", &[])
        .fails(&["uv.lock is older than the dependencies of pyproject.toml; run `uv lock`"]);
    app.plan("pip", &[])
        .fails(&["only uv reads uv.lock; install uv, or export a pylock.toml and delete uv.lock"]);
    assert_eq!(app.read("uv.lock"), text);
}

#[test]
fn offline_says_what_is_missing() {
    let app = App::new(&["prt-nowhere"]);
    let cache = app.target.path().join("uv-cache").display().to_string();
    let index = [("PYRMWARE_RESOLVER", "uv"), ("PIP_NO_INDEX", ""), ("UV_CACHE_DIR", &cache)];
    app.plan_in(&index, &["--offline"]).fails(&[
        "--offline, and uv has not all of the dependencies here; run once without --offline",
        "prt-nowhere was not found in the cache",
    ]);
    let pip = [("PYRMWARE_RESOLVER", "pip"), ("PIP_NO_INDEX", "")];
    app.plan_in(&pip, &["--offline"]).fails(&[
        "--offline, and pip has not all of the dependencies here; run once without --offline",
        "No matching distribution found for prt-nowhere",
    ]);
}

#[test]
fn no_network_is_told_as_such() {
    let app = App::new(&["prt-nowhere"]);
    let cache = app.target.path().join("uv-cache").display().to_string();
    // Nothing listens on the discard port.
    let dead = "http://127.0.0.1:9";
    let variables = [
        ("PIP_NO_INDEX", ""),
        ("UV_CACHE_DIR", &cache),
        ("UV_HTTP_RETRIES", "0"),
        ("PIP_RETRIES", "1"),
        ("https_proxy", dead),
        ("HTTPS_PROXY", dead),
        ("no_proxy", ""),
        ("NO_PROXY", ""),
    ];
    for tool in TOOLS {
        let variables = [&variables[..], &[("PYRMWARE_RESOLVER", tool)]].concat();
        app.plan_in(&variables, &[]).fails(&[
            "cannot reach the package index; check the network and the proxy's variables",
        ]);
    }
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let app = App::new(&["prt-beta >= x"]);
    app.plan("uv", &[]).fails(&[
        "cannot read \"prt-beta >= x\" in dependencies of [project]",
        "`x` is no version (PEP 440), such as `1.2.3`",
    ]);
    let app = App::new(&["prt-beta"]);
    app.plan("cargo", &[]).fails(&["PYRMWARE_RESOLVER is `cargo`; it can be `uv` or `pip`"]);
    app.plan_in(&[("SOURCE_DATE_EPOCH", "today")], &[])
        .fails(&["SOURCE_DATE_EPOCH is `today`; it must be a number of seconds since 1970"]);
    app.plan("uv", &["--target", "aarch64-unknown-linux-musl"]).fails(&[
        "aarch64-unknown-linux-musl is no target that another machine can build for",
        "aarch64-unknown-linux-gnu",
    ]);
}
