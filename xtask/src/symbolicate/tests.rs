//! What becomes of lines.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::dist::symbols::Index;

const ROOMS: &str = "\
class Session:
    def enter(self):
        raise LookupError(\"no room\")


rooms = {}
";

/// Symbols of an application `app` with one module.
fn symbols() -> (tempfile::TempDir, Symbols) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("app")).unwrap();
    fs::write(folder.path().join("app/rooms.py"), ROOMS).unwrap();
    let index = Index {
        build: "0123456789abcdef0123456789abcdef".to_owned(),
        app: "app".to_owned(),
        version: "1.0".to_owned(),
        python: "3.11.7".to_owned(),
        entry: "app.rooms".to_owned(),
        sources: BTreeMap::from([("app/rooms.py".to_owned(), "/src/app/rooms.py".into())]),
        first_lines: BTreeSet::from(["app/rooms.py".to_owned()]),
        called: [("<frozen app.rooms>".to_owned(), "app/rooms.py".to_owned())].into(),
    };
    let symbols = Symbols::new(folder.path().to_owned(), index);
    (folder, symbols)
}

fn read(text: &str) -> String {
    let (_folder, symbols) = symbols();
    String::from_utf8(log::read(text.as_bytes(), &symbols).text).unwrap()
}

/// A line before and after.
fn check(cases: &[(&str, &str)]) {
    for (before, after) in cases {
        assert_eq!(read(before), *after, "{before}");
        assert_eq!(read(after), *after, "read again: {before}");
    }
}

const RAISE: &str = "raise LookupError(\"no room\")";

#[test]
fn frames_get_their_path_and_their_source() {
    check(&[
        (
            "  File \"/usr/bin/app/app/rooms.py\", line 3, in enter\nLookupError: no room\n",
            &format!(
                "  File \"/src/app/rooms.py\", line 3, in enter\n    {RAISE}\nLookupError: no room\n"
            ),
        ),
        // A dump.
        (
            "  File \"/usr/bin/app/app/rooms.py\", line 3 in enter\r\n",
            &format!("  File \"/src/app/rooms.py\", line 3 in enter\r\n    {RAISE}\r\n"),
        ),
        // The last line has no end; the launcher has another name.
        (
            "  File \"/opt/renamed/app/rooms.py\", line 3, in enter",
            &format!("  File \"/src/app/rooms.py\", line 3, in enter\n    {RAISE}"),
        ),
        // A warning.
        (
            "/usr/bin/app/app/rooms.py:3: UserWarning: take care\n",
            &format!("/src/app/rooms.py:3: UserWarning: take care\n  {RAISE}\n"),
        ),
        // Code that tells its module; such a warning; no such module.
        (
            "  File \"<module app.rooms>\", line 2, in enter\n  File \"<module app.halls>\", line 2, in enter\n",
            "  File \"/src/app/rooms.py\", line 2, in enter\n    def enter(self):\n  \
             File \"<module app.halls>\", line 2, in enter\n",
        ),
        (
            "<module app.rooms>:3: UserWarning: take care of x.py:3: it\n",
            &format!("/src/app/rooms.py:3: UserWarning: take care of x.py:3: it\n  {RAISE}\n"),
        ),
        // In an exception group, in a journal.
        (
            "  |   File \"/app/app/rooms.py\", line 3, in enter\n  | LookupError: no room\n",
            &format!(
                "  |   File \"/src/app/rooms.py\", line 3, in enter\n  |     {RAISE}\n  | LookupError: no room\n"
            ),
        ),
        (
            "Jan 01 00:00:00 box app[1]:   File \"/app/app/rooms.py\", line 3, in enter\n",
            &format!(
                "Jan 01 00:00:00 box app[1]:   File \"/src/app/rooms.py\", line 3, in enter\n\
                 Jan 01 00:00:00 box app[1]:     {RAISE}\n"
            ),
        ),
    ]);
}

#[test]
fn what_is_there_or_not_known_stays() {
    check(&[
        // The source is there already, with marks.
        (
            "  File \"/app/app/rooms.py\", line 3, in enter\n    raise\n    ^^^^^\n",
            "  File \"/src/app/rooms.py\", line 3, in enter\n    raise\n    ^^^^^\n",
        ),
        // Code that does not know where it is.
        (
            "  File \"<frozen app.rooms>\", line 3, in enter\n",
            "  File \"/src/app/rooms.py\", line 3, in enter\n    raise LookupError(\"no room\")\n",
        ),
        // No such line; an empty one; none that is known.
        (
            "  File \"/app/app/rooms.py\", line 99, in f\n",
            "  File \"/src/app/rooms.py\", line 99, in f\n",
        ),
        (
            "  File \"/app/app/rooms.py\", line 4, in f\n",
            "  File \"/src/app/rooms.py\", line 4, in f\n",
        ),
        (
            "  File \"/app/app/rooms.py\", line 0, in f\n",
            "  File \"/src/app/rooms.py\", line 0, in f\n",
        ),
        (
            "  File \"/app/app/rooms.py\", line ??? in f\n",
            "  File \"/src/app/rooms.py\", line ??? in f\n",
        ),
    ]);
    for same in [
        "  File \"<frozen runpy>\", line 88, in _run_code\n",
        "  File \"/app/app/absent.py\", line 3, in enter\n",
        "  File \"app/rooms.py\", line 3, in enter\n",
        "a File \"/app/app/rooms.py\", line 3 of it\n",
        "aFile \"/app/app/rooms.py\", line 3, in it\n",
        "File \"\", line \n",
        "/app/app/rooms.py:3: take care\n",
        ".py:",
        "{\"app\": \"app\"}\n",
        "",
    ] {
        check(&[(same, same)]);
    }
    // A frame of another Python beside one of the launcher.
    let text =
        "  File \"/app/app/rooms.py\", line 99, in f\n  File \"/lib/app/rooms.py\", line 3, in f\n";
    assert_eq!(read(text), text.replace("/app/app/", "/src/app/"));
}

#[test]
fn what_is_said_of_memory_is_followed_by_where_it_is_defined() {
    check(&[(
        "<4>app: memory: app.rooms.Session should be dead (it left) and is held by __main__.rooms{'a'}\nx\n",
        "<4>app: memory: app.rooms.Session should be dead (it left) and is held by __main__.rooms{'a'}\n  \
         File \"/src/app/rooms.py\", line 1\n    class Session:\n  \
         File \"/src/app/rooms.py\", line 6\n    rooms = {}\nx\n",
    )]);
    let same = "<4>app: memory: 3.5 MiB/h, app.rooms, absent.Session\n";
    check(&[
        (same, same),
        (&same.replace("app: memory", "other"), &same.replace("app: memory", "other")),
    ]);
}

#[test]
fn a_report_says_where_its_names_are_defined() {
    let (_folder, symbols) = symbols();
    let held = json!({"type": "app.rooms.Session", "signature": "app.rooms.rooms{str}"});
    let report = json!({"app": "app", "reason": "dead", "uptime": 3, "dead": [held]});
    let session = json!({"file": "/src/app/rooms.py", "line": 1, "text": "class Session:"});
    let rooms = json!({"file": "/src/app/rooms.py", "line": 6, "text": "rooms = {}"});
    let mut wanted = report.clone();
    wanted["dead"][0]["source"] = json!([session, rooms]);
    // By itself, and as a line of a log.
    for log in [report.to_string(), format!("first\n{report}\nlast\n")] {
        let read = log::read(log.as_bytes(), &symbols);
        let text = String::from_utf8(read.text).unwrap();
        assert_eq!(read.places, 2, "{text}");
        let line = text.lines().find(|line| line.starts_with("{\"")).unwrap_or(&text);
        assert_eq!(serde_json::from_str::<serde_json::Value>(line).unwrap(), wanted);
    }
}

proptest! {
    #[test]
    fn whatever_a_log_is_it_is_read_and_the_rest_of_it_stays(
        parts in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            prop::sample::select(vec![
                "File \"", "\", line ", "/app/", "app/rooms.py", "3", "???", ", in ", " in ", "\n", "\r\n",
                "  ", "  | ", "app: memory: ", "app.rooms.Session", "build ", ":3: UserWarning: ", "{\"app\":1,\"reason\":1,",
                "\"uptime\":1}", "é", "4294967296",
            ]).prop_map(|part| part.as_bytes().to_vec()),
        ], 0..24)
    ) {
        let log = parts.concat();
        let (_folder, symbols) = symbols();
        let read = log::read(&log, &symbols);
        build::ids(&String::from_utf8_lossy(&log));
        if read.places == 0 && report::parse(&log).is_none() {
            // A report is written anew, though nothing in it is known.
            let reports = log.split_inclusive(|byte| *byte == b'\n').any(|line| report::parse(line).is_some());
            prop_assert!(reports || read.text == log);
        }
        let again = log::read(&read.text, &symbols);
        prop_assert_eq!(String::from_utf8_lossy(&again.text), String::from_utf8_lossy(&read.text));
    }
}

#[test]
fn lines_in_which_functions_begin_are_counted() {
    let (_folder, symbols) = symbols();
    let log = "  File \"<module app.rooms>\", line 2, in enter\nValueError\n";
    assert_eq!(log::read(log.as_bytes(), &symbols).first_lines, 1);
}
