//! What a launcher does as a process, beyond what the cases of `apps/` compare.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;

use serde_json::Value;

use crate::support::task::{Ended, Task};
use crate::support::{self, Alone, Image, terminal};

fn hello() -> Alone {
    support::image("hello").alone()
}

/// Stock Python of the version that is in the launcher.
fn stock() -> Task {
    let plan = support::plan("hello");
    let program = plan["interpreter"]["program"].as_str().expect("a program");
    Task::new(program).clean_env().env("PYTHONPATH", support::project("hello"))
}

/// As a launcher is called that is to act as `python3`.
fn as_python(alone: &Alone) -> Task {
    alone.task().env("PYRMWARE_PYTHON", "1")
}

#[track_caller]
fn same(a: &Ended, b: &Ended) {
    assert_eq!((a.code, a.out(), a.err()), (b.code, b.out(), b.err()), "{a}{b}");
}

#[test]
fn variables_of_python_have_no_effect() {
    let alone = hello();
    let evil = tempfile::tempdir().expect("a folder");
    for name in ["os.py", "hello.py", "sitecustomize.py", "usercustomize.py", "encodings.py"] {
        fs::write(evil.path().join(name), "raise SystemExit('not mine')").expect("written");
    }
    let plain = alone.task().arg("--flags").run().success();
    let every: [(&str, &str); 16] = [
        ("PYTHONHOME", "/nonexistent"),
        ("PYTHONPLATLIBDIR", "nowhere"),
        ("PYTHONOPTIMIZE", "2"),
        ("PYTHONDEBUG", "1"),
        ("PYTHONINSPECT", "1"),
        ("PYTHONVERBOSE", "2"),
        ("PYTHONUNBUFFERED", "1"),
        ("PYTHONUTF8", "0"),
        ("PYTHONIOENCODING", "latin-1"),
        ("PYTHONWARNINGS", "error"),
        ("PYTHONDEVMODE", "1"),
        ("PYTHONFAULTHANDLER", "1"),
        ("PYTHONHASHSEED", "no number"),
        ("PYTHONMALLOC", "nonsense"),
        ("PYTHONIMPORTTIME", "1"),
        ("PYTHONBREAKPOINT", "nonsense"),
    ];
    for (name, value) in every {
        same(&alone.task().env(name, value).arg("--flags").run(), &plain);
    }
    let mut all = alone.task().cwd(evil.path()).env("PYTHONPATH", evil.path()).arg("--flags");
    all = all.env("PYTHONSTARTUP", evil.path().join("os.py")).env("PYTHONUSERBASE", evil.path());
    same(&every.into_iter().fold(all, |task, (name, value)| task.env(name, value)).run(), &plain);
}

#[test]
fn the_locale_changes_no_text() {
    let alone = hello();
    let text = "ünï €";
    let plain = alone.task().arg(text).run().success();
    for (name, value) in [
        ("LC_ALL", "C"),
        ("LC_ALL", "POSIX"),
        ("LANG", "de_DE.UTF-8"),
        ("LC_ALL", "de_DE.ISO-8859-1"),
        ("LC_CTYPE", "nonsense"),
        ("LANG", ""),
    ] {
        same(&alone.task().env(name, value).arg(text).run(), &plain);
    }
}

#[test]
fn streams_are_bytes() {
    let bytes: Vec<u8> =
        (0..2_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let ended = hello().task().arg("--stdin").stdin(bytes.clone()).run().success();
    assert!(ended.stdout == bytes, "{} bytes of {} came back", ended.stdout.len(), bytes.len());
    assert_eq!(ended.err(), "");
}

/// A service manager may start a program without some of the standard streams.
#[test]
fn closed_streams_are_as_for_stock_python() {
    let alone = hello();
    for closed in [&[0][..], &[1], &[2], &[0, 1], &[0, 1, 2]] {
        for words in [&["--exit", "3"][..], &["--prompt"], &["--raise"]] {
            let run = |mut task: Task| {
                let closed = closed.to_vec();
                // SAFETY: closes descriptors between fork and exec.
                unsafe {
                    task.command().pre_exec(move || {
                        for fd in &closed {
                            libc::close(*fd);
                        }
                        Ok(())
                    });
                }
                task.args(words).run()
            };
            let ours = run(alone.task());
            let theirs = run(stock().args(["-m", "hello"]));
            assert_eq!(
                (ours.code, ours.out(), support::shape::of(&ours.err())),
                (theirs.code, theirs.out(), support::shape::of(&theirs.err())),
                "closed {closed:?}, {words:?}\n{ours}{theirs}"
            );
        }
    }
}

#[test]
fn a_full_disk_behind_stdout_is_told_as_stock_python_tells_it() {
    let run = |program: &std::ffi::OsStr, words: &[&str], task: Task| {
        task.args(["-c", "program=$1; shift; exec \"$program\" \"$@\" > /dev/full", "sh"])
            .arg(program)
            .args(words)
            .run()
    };
    let alone = hello();
    let ours = run(alone.launcher.as_os_str(), &["a"], Task::new("/bin/sh").clean_env());
    let plan = support::plan("hello");
    let program = plan["interpreter"]["program"].as_str().expect("a program");
    let task = Task::new("/bin/sh").clean_env().env("PYTHONPATH", support::project("hello"));
    let theirs = run(program.as_ref(), &["-m", "hello", "a"], task);
    assert_eq!((ours.code, ours.out()), (120, String::new()), "{ours}");
    assert_eq!((theirs.code, theirs.out()), (120, String::new()), "{theirs}");
    assert_eq!(support::shape::of(&ours.err()), support::shape::of(&theirs.err()));
}

#[test]
fn a_traceback_shows_sources_only_where_symbols_are_at_hand() {
    let image = support::image("hello");
    let alone = image.alone();
    let source = "    raise SensorError(\"no such register\", address) from error";
    let raise = |task: Task| task.arg("--raise").run().exits(1).err();

    let bare = raise(alone.task());
    let frame = format!("  File \"{}/hello/chain.py\", line ", alone.launcher.display());
    assert!(bare.contains(&frame), "{bare}");
    assert!(!bare.contains(source.trim()), "{bare}");

    let named = raise(alone.task().env("PYRMWARE_SYMBOLS", image.folder.join("symbols")));
    assert!(named.contains(&frame) && named.contains(source), "{named}");

    support::copy(&image.folder.join("symbols"), &alone.folder.path().join("symbols"));
    let beside = raise(alone.task());
    assert_eq!(beside, named);
    assert_eq!(support::shape::of(&beside), support::shape::of(&bare));
}

#[test]
fn asked_to_it_is_the_interpreter() {
    let alone = hello();
    let code = "import sys; print(sys.argv, __name__, sys.flags.isolated)";
    for words in [
        &["-I", "-c", code, "a", "-b"][..],
        &["-Ic", "import sys; sys.exit(9)"],
        &["-I", "-c", "raise ValueError('x')"],
        &["-I", "-c", "syntax error"],
        &[
            "-I",
            "-X",
            "a=b",
            "-W",
            "error",
            "-c",
            "import sys; print(sys.warnoptions, sys._xoptions)",
        ],
        &["-I", "--no-such-option"],
        &["-V"],
    ] {
        let (ours, theirs) = (as_python(&alone).args(words).run(), stock().args(words).run());
        assert_eq!((ours.code, ours.out()), (theirs.code, theirs.out()), "{words:?}: {ours}");
    }
    let script = tempfile::tempdir().expect("a folder");
    let file = script.path().join("script.py");
    fs::write(&file, "import sys, hello.chain\nprint(__file__ == sys.argv[0], sys.argv[1:])\n")
        .expect("written");
    let ended = as_python(&alone).arg(&file).arg("x").run().success();
    assert_eq!(ended.out(), "True ['x']\n");
    let ended = as_python(&alone).arg("-").stdin("print('from stdin')").run().success();
    assert_eq!(ended.out(), "from stdin\n");
    as_python(&alone).args(["-m", "hello", "--exit", "3"]).run().exits(3);
    let ended = as_python(&alone).args(["-m", "no_such_module"]).run().exits(1);
    assert!(ended.err().ends_with("No module named no_such_module\n"), "{ended}");
}

/// Nobody but a launcher is taken at such words; to all others the application answers.
#[test]
fn not_asked_to_it_is_the_application() {
    let ended = hello().task().args(["-c", "print('code')"]).run().success();
    assert_eq!(ended.out(), "hello\n1 '-c'\n2 \"print('code')\"\n");
}

#[test]
fn a_check_finds_the_entry_and_runs_nothing() {
    let ended = hello().task().env("PYRMWARE_CHECK", "1").args(["--exit", "3"]).run().success();
    assert_eq!((ended.out(), ended.err()), (String::new(), String::new()));
}

#[test]
fn a_pruned_module_says_so_and_which_key_keeps_it() {
    let image = support::image("hello");
    let name = dropped(&image);
    let alone = image.alone();
    let import = |task: Task| task.args(["-c", &format!("import {name}")]).run().exits(1).err();
    let quiet = import(as_python(&alone));
    assert!(
        quiet.contains(&format!(
            "ModuleNotFoundError: No module named '{name}': it was left out when this launcher was \
             built ("
        )),
        "{quiet}"
    );
    assert!(
        quiet.ends_with(&format!("; 'keep = [\"{name}\"]' in [tool.pyrmware.prune] keeps it\n")),
        "{quiet}"
    );
    let told = import(as_python(&alone).env("PYRMWARE_REPORT_PRUNED", "1"));
    assert_eq!(told, format!("<4>hello: pruned module asked for: {name}, by __main__\n{quiet}"));
    // To one who merely asks it is not there.
    let code = format!("import importlib.util; print(importlib.util.find_spec('{name}'))");
    let ended = as_python(&alone).args(["-c", &code]).run().success();
    assert_eq!(ended.out(), "None\n");
}

#[test]
fn a_trace_has_what_was_asked_for_however_a_process_ends() {
    let image = support::image("hello");
    let (alone, folder) = (image.alone(), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("trace");
    let pruned = dropped(&image);
    let code = format!(
        "import os, textwrap\nif not os.fork():\n    import threading, textwrap\n    os._exit(0)\nos.wait()\n\
         for name in ['{pruned}', 'no_such_module']:\n    try:\n        __import__(name)\n    \
         except ImportError:\n        pass\nos.kill(os.getpid(), 9)\n"
    );
    as_python(&alone).env("PYRMWARE_TRACE", &file).args(["-c", &code]).run().exits(-9);
    let text = fs::read_to_string(&file).expect("a trace");
    let lines: Vec<&str> = text.lines().collect();
    let at = |line: &str| lines.iter().position(|found| *found == line).expect(line);
    assert!(at("encodings") < at("textwrap") && at("textwrap") < at("threading"), "{text}");
    assert!(at(&format!("! {pruned} __main__")) < at("? no_such_module"), "{text}");
    assert_eq!(lines.iter().filter(|line| **line == "textwrap").count(), 1, "{text}");
}

/// A module of the standard library that is not in the image: the first top-level one.
fn dropped(image: &Image) -> String {
    let list = &image.report["modules"]["dropped"];
    let names: Vec<&str> = match list {
        Value::Array(items) => items.iter().filter_map(|item| item["name"].as_str()).collect(),
        Value::Object(table) => table.keys().map(String::as_str).collect(),
        other => panic!("modules.dropped of report.json is {other}"),
    };
    let top = names.into_iter().find(|name| !name.contains('.') && !name.starts_with('_'));
    top.expect("something is dropped").to_owned()
}

#[test]
fn the_name_that_it_is_called_by_is_its_name() {
    let alone = hello();
    let code = "import sys; print(open('/proc/self/comm').read(), end=''); print(sys.orig_argv[0])";
    let ended = as_python(&alone).args(["-c", code]).run().success();
    assert_eq!(ended.out(), format!("hello\n{}\n", alone.launcher.display()));

    let link = alone.folder.path().join("spaß mit link");
    symlink(&alone.launcher, &link).expect("a link is made");
    let ended = Task::new(&link).clean_env().arg("x").run().success();
    assert_eq!(ended.out(), "hello\n1 'x'\n");

    let renamed = alone.folder.path().join("naïve name");
    fs::rename(&alone.launcher, &renamed).expect("it is renamed");
    let ended = Task::new(&renamed).clean_env().arg("--raise").run().exits(1);
    assert!(ended.err().contains("naïve name/hello/chain.py\", line "), "{ended}");

    let mut task = Task::new(&renamed).clean_env().arg("x");
    task.command().arg0("");
    assert_eq!(task.run().success().out(), "hello\n1 'x'\n");
}

#[test]
fn to_the_journal_it_speaks_with_a_priority_and_to_people_without() {
    let alone = hello();
    let program = fs::read(&alone.launcher).expect("it can be read");
    // Nothing but the payload's last line names the manifest so.
    let mark = b"pyrmware manifest at 0";
    let at = program.windows(mark.len()).position(|window| window == mark).expect("the mark");
    let mut damaged = program;
    damaged[at] = b'P';
    fs::write(&alone.launcher, damaged).expect("it is written");
    let text = "pyrmware: not a Pyrmware payload: its end was not recognised";
    let ended = alone.task().run().exits(70);
    assert_eq!(ended.err(), format!("<3>{text}\n"));
    let (code, seen) = terminal::run(&alone.launcher, &[]);
    assert_eq!((code, seen.as_str()), (70, format!("{text}\r\n").as_str()));
}

#[test]
fn on_a_terminal_it_is_interactive() {
    let alone = hello();
    let (code, seen) = terminal::run(&alone.launcher, &["--flags"]);
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("<stdout> True False 1\r\n"), "lines are flushed: {seen}");
}
