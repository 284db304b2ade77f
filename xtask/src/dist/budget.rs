//! `[tool.pyrmware.budget]`: what is over it is refused, with the difference to the last image.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use super::report::{self, sizes::Sizes};
use super::startup::Course;
use crate::config::Config;
use crate::ui;

/// How many packages of a difference are named.
const SHOWN: usize = 8;

/// Something by package: bytes, or microseconds.
pub type ByPackage = BTreeMap<String, u64>;

/// Refuses a launcher of so many bytes when that is more than `size`.
///
/// # Errors
/// With both numbers, and with what has grown since the last image.
pub fn check_size(config: &Config, bytes: u64, sizes: &Sizes) -> Result<()> {
    let Some(budget) = config.project.budget.size.filter(|budget| bytes > *budget) else {
        return Ok(());
    };
    let last = last_report(config);
    let now = report::by_package(sizes, &config.project.name);
    bail!(
        "the launcher has {} ({bytes} bytes), and size in [tool.pyrmware.budget] allows {} \
         ({budget} bytes); the last image stays, and its {} shows what is large{}",
        ui::bytes(bytes),
        ui::bytes(budget),
        report::HTML,
        difference(&now, &last["packages"], ui::change),
    )
}

/// Refuses a start that takes longer than `startup`; `now` is the time of each package's modules.
///
/// # Errors
/// With both numbers, and with what has become slower since the last image.
pub fn check_startup(config: &Config, course: &Course, now: &ByPackage) -> Result<()> {
    let took = Duration::from_micros(course.ready);
    let Some(budget) = config.project.budget.startup.filter(|budget| took > *budget) else {
        return Ok(());
    };
    let last = last_report(config);
    bail!(
        "{} to the first line of main, and startup in [tool.pyrmware.budget] allows {}; the last \
         image stays, and `cargo xtask startup` shows what is slow{}",
        ui::milliseconds(took),
        ui::milliseconds(budget),
        difference(now, &last["startup"]["packages"], |microseconds| {
            format!("{:+.1} ms", microseconds as f64 / 1000.0)
        }),
    )
}

/// The report of the image that is about to be replaced; null where there is none.
fn last_report(config: &Config) -> Value {
    let text = fs::read(config.out.join(report::JSON)).ok();
    text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// Lines with the greatest differences; nothing where there is nothing to compare with.
fn difference(now: &ByPackage, last: &Value, show: impl Fn(i64) -> String) -> String {
    let Some(last) = last.as_object() else { return String::new() };
    let names: BTreeSet<&String> = now.keys().chain(last.keys()).collect();
    let number = |value: Option<u64>| value.unwrap_or_default() as i64;
    let change = |name: &str| {
        number(now.get(name).copied()) - number(last.get(name).and_then(Value::as_u64))
    };
    let mut changes: Vec<(i64, &String)> =
        names.into_iter().map(|name| (change(name), name)).filter(|(by, _)| *by != 0).collect();
    if changes.is_empty() {
        return "\nnothing has changed since the last image".into();
    }
    changes.sort_by_key(|(by, name)| (-by.abs(), *name));
    let more = changes.len().saturating_sub(SHOWN);
    let mut text = "\nsince the last image:".to_owned();
    for (by, name) in changes.iter().take(SHOWN) {
        text.push_str(&format!("\n{:>12}  {name}", show(*by)));
    }
    if more > 0 {
        text.push_str(&format!("\n{:>12}  and {more} more", ""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::collect::fixture::Fixture;
    use serde_json::json;

    #[test]
    fn a_launcher_over_budget_is_refused_with_both_numbers() {
        let mut config = Fixture::new("app", &[]).plan.config;
        let sizes = Sizes::default();
        assert!(check_size(&config, u64::MAX, &sizes).is_ok());
        config.project.budget.size = Some(12_582_912);
        assert!(check_size(&config, 12_582_912, &sizes).is_ok());
        assert_eq!(
            check_size(&config, 17_889_344, &sizes).unwrap_err().to_string(),
            "the launcher has 17.1 MiB (17889344 bytes), and size in [tool.pyrmware.budget] allows \
             12.0 MiB (12582912 bytes); the last image stays, and its report.html shows what is large"
        );
    }

    #[test]
    fn a_start_over_budget_is_refused_with_what_became_slower() {
        let fixture = Fixture::new("app", &[]);
        let mut config = fixture.plan.config.clone();
        config.project.budget.startup = Some(Duration::from_millis(80));
        let course = |ready| Course { ready, ..Course::default() };
        let now = ByPackage::from([("json".into(), 9_000), ("re".into(), 5_000)]);
        assert!(check_startup(&config, &course(80_000), &now).is_ok());
        let report = json!({"startup": {"packages": {"json": 1_000, "re": 5_100, "os": 40}}});
        fixture.write("out/report.json", report.to_string().as_bytes());
        assert_eq!(
            check_startup(&config, &course(95_340), &now).unwrap_err().to_string(),
            "95.3 ms to the first line of main, and startup in [tool.pyrmware.budget] allows 80.0 ms; \
             the last image stays, and `cargo xtask startup` shows what is slow\nsince the last image:\n     \
             +8.0 ms  json\n     -0.1 ms  re\n     -0.0 ms  os"
        );
    }
}
