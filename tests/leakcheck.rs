//! `cargo xtask leakcheck`: what grows with every cycle is found with who holds it, and what settles is not.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::devices::workspace;
use crate::support::task::{Ended, Task};
use crate::support::{self, SAMPLE};

/// A copy of an application whose scenario is another one.
fn with(name: &str, leakcheck: &str) -> TempDir {
    let project = support::copy_of(name);
    let file = project.path().join("pyproject.toml");
    let text = fs::read_to_string(&file).expect("it can be read");
    let head = "[tool.pyrmware.leakcheck]\n";
    let before = text.split(head).next().expect("a part");
    let after = text.split(head).nth(1).and_then(|rest| rest.split_once("\n[")).map(|rest| rest.1);
    let after = after.map_or_else(String::new, |after| format!("\n[{after}"));
    fs::write(&file, format!("{before}{head}{leakcheck}\n{after}")).expect("it is written");
    project
}

fn leakcheck(project: &Path) -> Task {
    let words = ["leakcheck", "--message-format", "json", "--project"];
    support::xtask().args(words).arg(project).arg("--out").arg(project.join("image"))
}

/// What grows, as (type, signature).
fn growth(ended: &Ended) -> BTreeSet<(String, String)> {
    let said = support::event(ended, "leakcheck");
    let list = said["growth"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    list.map(|growth| (text(&growth["what"]), text(&growth["signature"]))).collect()
}

const SESSION: &str = "leaks.session.Session";

#[test]
fn every_way_to_leak_is_found_with_who_holds_it() {
    let project = with("leaks", "function = \"leaks.cycle:leaking\"");
    let ended = leakcheck(project.path()).args(["--cycles", "20"]).run().exits(1);
    assert!(ended.err().contains("error: leaks leaks: see above what grows"), "{ended}");
    let growth = growth(&ended);
    for (kind, signature) in [
        (SESSION, "leaks.ways.history[]"),
        (SESSION, "leaks.ways.by_name{str}"),
        (SESSION, "leaks.ways.by_number{<int>}{str}"),
        (SESSION, "leaks.ways.seen{item}"),
        (SESSION, "leaks.ways.recent<deque>[][]"),
        (SESSION, "leaks.ways.callbacks[]<function>.__closure__.session"),
        (SESSION, "leaks.ways.handlers{str}<method>.__self__"),
        (SESSION, "leaks.ways.Registry.known[]"),
        (SESSION, "leaks.ways.generators[]<suspended()>.session"),
        (SESSION, "leaks.ways.Linked.head<Linked>.then<Linked>*.session"),
        (SESSION, "task client().session"),
        (SESSION, "task connection() awaits <handle()>.session"),
        ("leaks.ways.Slotted", "leaks.ways.slotted[]"),
        ("leaks.ways.Observer", "leaks.ways.subject<Subject>.observers[]<method>.__self__"),
        ("leaks.ways.Page", "leaks.ways.Page.render<_lru_cache_wrapper>.<cache>{key}[]"),
        ("open files: /dev/null", ""),
        ("threads", ""),
        ("asyncio tasks", ""),
        ("bytes of private memory", ""),
    ] {
        assert!(
            growth.contains(&(kind.to_owned(), signature.to_owned())),
            "{kind} {signature}: {growth:#?}"
        );
    }
    let traceback = "leaks.ways.errors[]<ConnectionError>.__traceback__<traceback>.tb_next<traceback>\
                     .tb_frame<serve()>.session";
    assert!(growth.iter().any(|(_, signature)| signature == traceback), "{growth:#?}");
    let of_threads = |(kind, signature): &(String, String)| {
        kind == SESSION && signature.ends_with("work().mine[]")
    };
    assert!(growth.iter().any(of_threads), "{growth:#?}");
}

#[test]
fn what_settles_is_no_leak() {
    let project = with("leaks", "function = \"leaks.cycle:settling\"");
    let ended = leakcheck(project.path()).run().success();
    assert_eq!(growth(&ended), BTreeSet::new(), "{ended}");
    assert_eq!(support::event(&ended, "leakcheck")["passed"], true);
}

#[test]
fn text_that_nobody_collects_is_found_in_its_list() {
    let project = with("leaks", "function = \"leaks.cycle:text\"");
    let words = ["leakcheck", "-q", "--cycles", "20", "--project"];
    let task = support::xtask().args(words).arg(project.path());
    let ended = task.arg("--out").arg(project.path().join("image")).run().exits(1);
    let text = ended.out();
    let line = text.lines().find(|line| line.contains("leaks.cycle.names")).expect("its line");
    assert!(line.contains(" +1 "), "{text}");
    assert!(
        text.starts_with("leaks 1.0: in each of 60 cycles after 10 to warm up there is more of\n")
    );
}

#[test]
fn what_may_grow_is_told_and_fails_nothing() {
    let allow = "allow = { \"leaks.ways.history\" = \"it is the log\" }";
    let project = with("leaks", &format!("function = \"leaks.cycle:allowed\"\n{allow}"));
    let ended = leakcheck(project.path()).args(["--cycles", "20"]).run().success();
    let said = support::event(&ended, "leakcheck");
    assert_eq!(said["growth"][0]["signature"], "leaks.ways.history[]", "{said}");
    assert_eq!(said["growth"][0]["allowed"], "it is the log", "{said}");
    assert_eq!(said["growth"][0]["per_cycle"], 1.0, "{said}");
}

#[test]
fn the_console_holds_no_session_that_has_ended_until_a_filter_of_a_module_does() {
    let project = support::copy_of(SAMPLE);
    let visit = |more: &[&str]| {
        let task = leakcheck(project.path()).args(["--cycles", "10", "--warmup", "10"]);
        task.args(["--", "--port", "0"]).args(more).run()
    };
    // What prompt_toolkit itself keeps of each session is small, and allowed.
    let ended = visit(&[]).success();
    assert_eq!(support::event(&ended, "leakcheck")["passed"], true, "{ended}");
    let kinds = growth(&ended).into_iter().map(|(kind, _)| kind);
    let own: Vec<String> = kinds.filter(|kind| kind.starts_with("device_console")).collect();
    assert!(own.is_empty(), "{ended}");

    let growth = growth(&visit(&["--leak"]).exits(1));
    let session = growth.iter().find(|(kind, _)| kind == "device_console.session.Session");
    let (_, signature) = session.unwrap_or_else(|| panic!("no session: {growth:#?}"));
    let mut rest = signature.as_str();
    for step in ["has_selection<Condition>", "._and_cache{key}", "<Condition>.func", ".__self__"] {
        let (_, after) = rest.split_once(step).unwrap_or_else(|| panic!("no {step}: {signature}"));
        rest = after;
    }
}

#[test]
fn what_cannot_be_checked_is_told_with_the_remedy() {
    let fails = |project: &TempDir, words: &[&str], told: &[&str]| {
        let ended = leakcheck(project.path()).args(words).run().exits(1);
        for text in told {
            assert!(ended.err().contains(text), "{text}: {ended}");
        }
    };
    fails(
        &support::copy_of("hello"),
        &[],
        &[
            "pyproject.toml: there is no scenario to repeat; give function = \"module:function\" or command",
        ],
    );
    fails(
        &with("leaks", "function = \"leaks.cicle:settling\""),
        &[],
        &["function in [tool.pyrmware.leakcheck]: the application has no module leaks.cicle in "],
    );
    fails(
        &with("leaks", "function = \"leaks.cycle:nothing\""),
        &[],
        &["error: the function failed in cycle 0: AttributeError: ", "no attribute 'nothing'"],
    );
    fails(
        &with("leaks", "function = \"leaks.cycle:failing\""),
        &[],
        &[
            "error: the function failed in cycle 1: OSError: no such sensor",
            "raise OSError(\"no such sensor\")",
        ],
    );
    let ends = with("leaks", "command = [\"true\"]");
    fails(
        &ends,
        &["--", "--ready"],
        &["the application ended with exit status: 0 before it was ready\n  ready"],
    );
    let waits = support::copy_of(SAMPLE);
    let table = "command = [\"python3\", \"-m\", \"tests.visit\"]";
    let file = waits.path().join("pyproject.toml");
    let text = fs::read_to_string(&file).expect("it can be read");
    fs::write(&file, text.replace(table, "command = [\"false\"]")).expect("it is written");
    fails(&waits, &["--", "--port", "0"], &["error: false failed in cycle 1: exit status: 1\n"]);

    let folder = workspace("leakcheck-locked", "locked-down = true\n", "");
    let project = with("leaks", "function = \"leaks.cycle:settling\"");
    let ended = leakcheck(project.path()).cwd(&folder).run().exits(1);
    let told =
        "a locked-down launcher runs no code but its own and cannot be checked; check one that is";
    assert!(ended.err().contains(told), "{ended}");
}
