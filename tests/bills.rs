//! Bills of materials: others' validators take them, they list what ships and nothing else, and an image whose
//! licences are not accepted is not made.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::task::Task;
use crate::support::workspace::{self, workspace};
use crate::support::{self, Image, ROOT, golden};

fn bill(image: &Image, app: &str, form: &str) -> Value {
    let bytes = fs::read(image.folder.join(format!("{app}.{form}.json"))).expect("it is there");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// The parts of a bill, and what is in them: "name version".
fn components(of: &Value) -> BTreeSet<String> {
    let all = of["components"].as_array().into_iter().flatten();
    all.flat_map(|one| {
        let version = one["version"].as_str().map(|version| format!(" {version}"));
        let file = |name: &str| name.rsplit('/').next().expect("a name").to_owned();
        let name = file(one["name"].as_str().expect("a name")) + &version.unwrap_or_default();
        components(one).into_iter().chain([name])
    })
    .collect()
}

#[test]
fn the_validators_of_both_projects_find_nothing_wrong() {
    let plan = support::xtask().args(["plan", "--message-format", "json", "--project"]);
    let told = plan.arg(ROOT.join("tests/bills")).args(support::python()).run().success();
    let plan = support::event(&told, "plan");
    let validate = |files: &[&Path]| {
        let python = plan["interpreter"]["program"].as_str().expect("a program");
        let task =
            Task::new(python).clean_env().env("PYTHONPATH", plan["site"].as_str().expect("one"));
        task.env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(ROOT.join("tests/bills/validate.py"))
            .args(files)
            .run()
    };
    for app in ["native", "hello", "fastapi"] {
        let folder = &support::image(app).folder;
        let files = ["cdx", "spdx"].map(|form| folder.join(format!("{app}.{form}.json")));
        let ended = validate(&[&files[0], &files[1]]);
        assert_eq!((ended.code, ended.out()), (0, String::new()), "{ended}");
    }
    // They do find what is wrong.
    let folder = tempfile::tempdir().expect("a folder");
    let image = support::image("hello");
    for form in ["cdx", "spdx"] {
        let mut wrong = bill(&image, "hello", form);
        let (list, key) = if form == "cdx" { ("components", "type") } else { ("packages", "name") };
        wrong[list][0].as_object_mut().expect("a part").remove(key).expect("it was there");
        let file = folder.path().join(format!("wrong.{form}.json"));
        fs::write(&file, wrong.to_string()).expect("it is written");
        assert_ne!(validate(&[&file]).code, 0, "{form}");
    }
}

#[test]
fn they_list_what_ships_and_what_that_is_made_of() {
    let image = support::image("native");
    let cyclonedx = bill(&image, "native", "cdx");
    let found = components(&cyclonedx);
    let named = |text: &str| found.iter().any(|name| name.split(' ').next() == Some(text));
    let python = image.report["python"].as_str().expect("a version");
    assert!(found.contains(&format!("CPython {python}")), "{found:?}");
    for name in ["libc", "crc32fast", "cryptography", "cffi", "openssl", "asn1", "Rust"] {
        assert!(named(name), "{name} is not in {found:?}");
    }
    // xtask's, what compiled the wheel, and what the wheel needs of the device.
    for name in ["clap", "cc", "libssl.so.3"] {
        assert!(!named(name), "{name} is in {found:?}");
    }
    let purls = cyclonedx.to_string();
    assert!(purls.contains("pkg:generic/openssl@") && !purls.contains("file:"), "{purls}");

    let spdx = bill(&image, "native", "spdx");
    let version = |one: &Value| one["versionInfo"].as_str().map(|version| format!(" {version}"));
    let name = |one: &Value| {
        one["name"].as_str().expect("a name").to_owned() + &version(one).unwrap_or_default()
    };
    let packages = spdx["packages"].as_array().expect("a list");
    let (app, parts) = packages.split_first().expect("the application is the first");
    assert_eq!(app["checksums"][0]["checksumValue"], image.report["sha256"]);
    assert_eq!(parts.iter().map(name).collect::<BTreeSet<_>>(), found);

    let licenses = fs::read_to_string(image.folder.join("licenses.txt")).expect("it is there");
    let libc = licenses.split("\nlibc ").nth(1).expect("the crate has a section");
    assert!(libc.contains("--- LICENSE-MIT"), "{libc}");
    assert!(licenses.contains("\nIn it: openssl "), "{licenses}");
}

#[test]
fn what_is_denied_is_not_made() {
    let table = "[package.metadata.pyrmware.licenses]\n";
    let folder = workspace("licenses", "", &format!("{table}deny = ['Python-2.0']\n"));
    let project = support::project("hello");
    let target = support::scratch().join("workspaces/target");
    let refused = support::xtask()
        .cwd(&folder)
        .args(["dist", "-q", "--out"])
        .arg(folder.join("none"))
        .arg("--project")
        .arg(&project)
        .args(support::python())
        .env("CARGO_TARGET_DIR", target)
        .run()
        .exits(1);
    let python = &support::image("hello").report["python"];
    let text = refused.err().replace(python.as_str().expect("a version"), "X");
    golden::check("errors/license-denied.txt", &text.replace(folder.to_str().expect("UTF-8"), "W"));
    assert!(!folder.join("none").exists());

    let tables = format!("{table}allow = ['MIT']\nknown = {{ CPython = 'MIT AND ISC' }}\n");
    let excused = "except = { cpython = 'our lawyers have read it' }\n";
    workspace::configure(&folder, "", &(tables + excused));
    let image = workspace::dist(&folder, &project, "host");
    let python = &bill(&image, "hello", "cdx")["components"][0];
    assert_eq!(python["licenses"][0]["expression"], "MIT AND ISC");
}
