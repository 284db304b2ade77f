//! What is done again after an edit, and what is left of a `dist` that was killed.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::task::{Ended, Task};
use crate::support::{self, Image};

/// How many modules a `dist` compiled, as it says itself.
fn compiled(ended: &Ended) -> u64 {
    let image = Image::of(ended);
    image.report["modules"]["compiled"].as_u64().expect("report.json counts what was compiled")
}

/// What the application prints when it is called without arguments.
fn says(launcher: &Path) -> String {
    Task::new(launcher).clean_env().run().success().out()
}

#[test]
fn an_edit_compiles_one_file_and_a_killed_dist_leaves_the_last_image() {
    let project = support::copy_of("hello");
    let file = project.path().join("hello/modes.py");
    let source = fs::read_to_string(&file).expect("it can be read");
    let write = |word: &str| {
        let edited = source.replace("print(\"hello\")", &format!("print(\"{word}\")"));
        assert_ne!(edited, source);
        fs::write(&file, edited).expect("it is written");
    };
    let images = tempfile::tempdir().expect("a folder");
    let out = images.path().join("hello");
    let dist = || support::dist(project.path(), &out);
    // New to the cache, however often the tests have run.
    let unique = images.path().file_name().expect("a name").to_string_lossy().into_owned();

    dist().run().success();
    assert_eq!(compiled(&dist().run().success()), 0, "nothing changed");
    write(&unique);
    let ended = dist().run().success();
    assert_eq!(compiled(&ended), 1, "one file was edited");
    let launcher = Image::of(&ended).launcher;
    assert_eq!(says(&launcher), format!("{unique}\n"));
    let whole = fs::read(&launcher).expect("it can be read");

    write("another word");
    let stages = ["resolve", "collect", "scan", "compile", "pack", "link", "verify"];
    for stage in stages {
        let ended = killed_at(dist(), stage);
        assert_eq!(ended.code, -libc::SIGKILL, "{stage}: {ended}");
        assert!(fs::read(&launcher).expect("it is there") == whole, "{stage}: the image changed");
        assert_eq!(says(&launcher), format!("{unique}\n"), "{stage}");
        assert!(out.join("report.json").is_file(), "{stage}");
    }
    dist().run().success();
    assert_eq!(says(&launcher), "another word\n");
    let left: Vec<_> = images.path().read_dir().expect("it can be read").collect();
    assert_eq!(left.len(), 1, "nothing is left beside the image: {left:?}");
}

/// Runs it until a stage begins, then kills it with all that it started.
fn killed_at(task: Task, stage: &str) -> Ended {
    let stage = stage.to_owned();
    let reached = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&reached);
    let ended = task
        .on_stdout(move |line, process| {
            let event: serde_json::Value = serde_json::from_str(line).expect("JSON lines");
            if event["reason"] == "stage-started" && event["stage"] == stage.as_str() {
                seen.store(true, Ordering::Relaxed);
                process.kill_all();
            }
        })
        .run();
    assert!(reached.load(Ordering::Relaxed), "the stage began: {ended}");
    ended
}
