//! The sample in launchers with every interpreter of this machine that can go into one.

use serde_json::Value;

use crate::isolation;
use crate::support::{self, Image, SAMPLE};

#[test]
fn the_sample_works_with_each_that_doctor_lists() {
    let words = ["doctor", "--message-format", "json"];
    let doctor = support::event(&support::xtask().args(words).run().success(), "doctor");
    let findings = doctor["findings"].as_array().expect("a list");
    let usable: Vec<&Value> = findings
        .iter()
        .filter(|found| found["state"] == "ok" && found["prefix"].is_string())
        .collect();
    assert!(!usable.is_empty(), "no interpreter to test with: {doctor:#}");
    let mut failed = Vec::new();
    for found in usable {
        let text = |key: &str| found[key].as_str().expect("a text");
        // "3.11.7 in /usr: …"
        let version = text("text").split(' ').next().expect("a version");
        let prefix = text("prefix");
        match std::panic::catch_unwind(|| check(prefix, version)) {
            Ok(()) => println!("Python {version} of {prefix} passes"),
            Err(_) => failed.push(format!("Python {version} of {prefix}")),
        }
    }
    assert!(failed.is_empty(), "failed, see above: {}", failed.join(", "));
}

fn check(prefix: &str, version: &str) {
    let name = format!("{SAMPLE}-{version}-{}", prefix.trim_matches('/').replace('/', "-"));
    let out = support::scratch().join("images").join(name);
    let task = support::dist(&support::project(SAMPLE), &out).arg("--python").arg(prefix);
    let image = Image::of(&task.run().success());
    let alone = image.alone();
    let ended = alone.task().arg("--selftest").run().success();
    let said: Value = serde_json::from_slice(&ended.stdout).expect("one line of JSON");
    assert_eq!((&said["ok"], said["python"].as_str()), (&Value::Bool(true), Some(version)));
    assert_eq!(ended.err(), "");
    isolation::is_isolated(&alone, &["--selftest"], 0);
}
