//! Sizes for people.

use std::collections::BTreeMap;

use super::{Row, Summary};
use crate::dist::report::sizes::Size;
use crate::ui;

/// How many packages and modules are shown without `-v`.
pub const SHOWN: usize = 15;

const ORIGINS: [(&str, &str); 4] = [
    ("application", "the application"),
    ("dependency", "dependencies"),
    ("stdlib", "Python's library"),
    ("runtime", "Pyrmware's runtime, index"),
];

/// The names of the largest, largest first.
pub fn largest(rows: &BTreeMap<String, Row>, count: usize) -> Vec<String> {
    let mut names: Vec<&String> = rows.keys().collect();
    names.sort_by_key(|name| (std::cmp::Reverse(rows[*name].package.size.bytes), *name));
    names.into_iter().take(count).cloned().collect()
}

/// Everything, with the `shown` largest packages and modules.
pub fn summary(summary: &Summary, shown: usize) -> String {
    let Summary { app, version, python, target, payload, .. } = summary;
    let mut lines = vec![
        format!("{app} {version} for {target}, Python {python}"),
        String::new(),
        line("", "modules", "bytes", "zip -9", ""),
    ];
    let mut all = 0;
    for (origin, label) in ORIGINS {
        let rows = || summary.packages.values().filter(|row| row.package.origin == origin);
        let modules: usize = rows().map(|row| row.package.modules).sum();
        all += modules;
        lines.push(sized(label, modules, rows().map(|row| row.package.size).sum(), None));
    }
    lines.push(sized("payload", all, *payload, None));
    let objects = summary.shared_objects;
    lines.push(line(
        "  of it shared objects",
        "",
        &ui::bytes(objects.bytes),
        &ui::bytes(objects.zip),
        "",
    ));
    if let Some(program) = summary.program {
        lines.push(line("interpreter and launcher", "", &ui::bytes(program), "", ""));
    }
    for (label, rows) in [("packages", &summary.packages), ("modules", &summary.modules)] {
        let names = largest(rows, shown);
        let exclusive = if label == "packages" { "exclusive" } else { "" };
        let head = if names.len() < rows.len() {
            format!("largest of {} {label}", rows.len())
        } else {
            label.to_owned()
        };
        lines.push(String::new());
        lines.push(line(&head, "modules", "bytes", "zip -9", exclusive));
        lines.extend(names.iter().map(|name| {
            let Row { package, exclusive } = &rows[name];
            sized(name, package.modules, package.size, *exclusive)
        }));
    }
    lines.join("\n")
}

fn sized(label: &str, modules: usize, size: Size, exclusive: Option<u64>) -> String {
    let exclusive = exclusive.map(ui::bytes).unwrap_or_default();
    line(label, &modules.to_string(), &ui::bytes(size.bytes), &ui::bytes(size.zip), &exclusive)
}

fn line(label: &str, modules: &str, bytes: &str, zip: &str, exclusive: &str) -> String {
    format!("{label:<34} {modules:>7} {bytes:>12} {zip:>12} {exclusive:>12}").trim_end().to_owned()
}
