//! Two summaries, and what lies between them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Row, Summary};
use crate::dist::report::sizes::Size;
use crate::ui;

/// What has changed from one summary to another.
pub struct Difference<'a> {
    earlier: &'a Summary,
    payload: Change,
    /// Those that changed, the greatest change first.
    packages: Vec<(&'a str, Change)>,
    added: BTreeSet<&'a str>,
    removed: BTreeSet<&'a str>,
}

/// Signed bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Change {
    bytes: i64,
    zip: i64,
}

impl Change {
    fn between(before: Size, after: Size) -> Change {
        Change {
            bytes: after.bytes as i64 - before.bytes as i64,
            zip: after.zip as i64 - before.zip as i64,
        }
    }
}

impl<'a> Difference<'a> {
    pub fn between(earlier: &'a Summary, now: &'a Summary) -> Difference<'a> {
        let size = |rows: &BTreeMap<String, Row>, name: &str| {
            rows.get(name).map(|row| row.package.size).unwrap_or_default()
        };
        let names: BTreeSet<&str> =
            earlier.packages.keys().chain(now.packages.keys()).map(String::as_str).collect();
        let mut packages: Vec<(&str, Change)> = names
            .into_iter()
            .map(|name| {
                let (before, after) = (size(&earlier.packages, name), size(&now.packages, name));
                (name, Change::between(before, after))
            })
            .filter(|(_, change)| *change != Change { bytes: 0, zip: 0 })
            .collect();
        packages.sort_by_key(|(name, change)| (-change.bytes.abs(), *name));
        let only = |a: &'a Summary, b: &Summary| {
            let names = a.modules.keys().filter(|name| !b.modules.contains_key(*name));
            names.map(String::as_str).collect()
        };
        Difference {
            earlier,
            payload: Change::between(earlier.payload, now.payload),
            packages,
            added: only(now, earlier),
            removed: only(earlier, now),
        }
    }

    /// For people.
    pub fn table(&self, shown: usize) -> String {
        let Summary { app, version, python, target, .. } = self.earlier;
        let mut lines = vec![
            format!("since {app} {version} for {target}, Python {python}"),
            String::new(),
            format!("{:<34} {:>12} {:>12}", "", "bytes", "zip -9"),
            line("payload", self.payload),
        ];
        lines.extend(self.packages.iter().take(shown).map(|(name, change)| line(name, *change)));
        if self.packages.len() > shown {
            lines.push(format!("and {} packages more; -v names them", self.packages.len() - shown));
        }
        for (names, sign) in [(&self.removed, '-'), (&self.added, '+')] {
            lines.extend(names.iter().take(shown).map(|name| format!("{sign} {name}")));
            if names.len() > shown {
                lines.push(format!(
                    "{sign} and {} modules more; -v names them",
                    names.len() - shown
                ));
            }
        }
        lines.join("\n")
    }

    /// For machines.
    pub fn event(&self) -> Value {
        let change = |change: &Change| json!({"bytes": change.bytes, "zip": change.zip});
        let packages: BTreeMap<&str, Value> =
            self.packages.iter().map(|(name, of)| (*name, change(of))).collect();
        json!({
            "reason": "size-difference",
            "payload": change(&self.payload),
            "packages": packages,
            "added": self.added,
            "removed": self.removed,
        })
    }
}

fn line(label: &str, change: Change) -> String {
    format!("{label:<34} {:>12} {:>12}", ui::change(change.bytes), ui::change(change.zip))
}
