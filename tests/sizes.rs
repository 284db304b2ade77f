//! The payload is no larger than the best that was reached by hand, as `zip -9` would pack it.

use crate::support;

/// KiB on CPython 3.11, shared objects stripped, columns and docstrings out, no module that libpython has
/// frozen inside. Those counted code only; data, metadata and Pyrmware's own modules are in ours.
const GOALS: [(&str, f64); 4] =
    [("mqtt", 1546.0), ("web", 2970.0), ("fastapi", 5675.0), (support::SAMPLE, 3941.0)];

#[test]
fn payloads_reach_the_goal() {
    let mut large = Vec::new();
    for (app, goal) in GOALS {
        let words = ["size", "-q", "--message-format", "json", "--project"];
        let ended = support::xtask().args(words).arg(support::project(app)).run().success();
        let size = support::event(&ended, "size");
        let python = size["python"].as_str().expect("a version");
        if !python.starts_with("3.11.") {
            return println!("the goals are those of CPython 3.11, this is {python}");
        }
        let zip = size["payload"]["zip"].as_f64().expect("a number") / 1024.0;
        println!("{app}: {zip:.0} KiB, the goal is {goal:.0} KiB");
        if zip > goal {
            large.push(app);
        }
    }
    assert!(large.is_empty(), "larger than the goal, see above: {}", large.join(", "));
}
