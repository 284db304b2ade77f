//! The sample in launchers with every interpreter of this machine that can go into one.

use serde_json::Value;

use crate::isolation;
use crate::support::{self, Image, Interpreter, SAMPLE};

#[test]
fn the_sample_works_with_each_that_doctor_lists() {
    let mut failed = Vec::new();
    for Interpreter { version, prefix } in support::interpreters() {
        match std::panic::catch_unwind(|| check(&prefix, &version)) {
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
