//! Instances of the classes that are named in the configuration, counted in every snapshot.

use super::before::Before;
use super::holders::Group;
use super::json::Object;
use super::snapshot::Snapshot;

/// A growth by fewer is none.
const FEW: u64 = 16;

/// A class that is counted.
pub struct Tracked {
    /// Its full name.
    kind: String,
    /// How many there are, and were when they were first counted.
    count: u64,
    before: Option<u64>,
    /// How many there were when they were last told of.
    told: u64,
}

impl Tracked {
    /// One that has not been counted yet.
    pub fn new(kind: &str) -> Tracked {
        Tracked { kind: kind.to_owned(), count: 0, before: None, told: 0 }
    }

    /// Its name, and at how many its growth is told: so that who holds them is looked for from there on.
    pub fn wish(&self) -> (String, u64) {
        (self.kind.clone(), self.before.map_or(u64::MAX, |_| self.enough()))
    }

    /// Twice as many as there were, and more than a few more.
    fn enough(&self) -> u64 {
        self.told * 2 + FEW
    }

    /// Takes in a snapshot's count; a line when there are many more.
    pub fn count(&mut self, snapshot: &Snapshot, baseline: Option<&Before>) -> Option<String> {
        self.count = snapshot.census.types.get(&self.kind).copied().unwrap_or_default().count;
        let before = *self.before.get_or_insert(self.count);
        if self.told == 0 && before > 0 {
            self.told = before;
        }
        if self.count < self.enough() {
            return None;
        }
        self.told = self.count;
        let since = baseline.map_or(0, |before| before.taken.elapsed().as_secs() / 60);
        let holders = snapshot.holders.groups().find(|group| group.kind == self.kind);
        let held = holders.map_or_else(String::new, held);
        let (kind, count) = (&self.kind, self.count);
        Some(format!("memory: {count} {kind}, up from {before} in {since} min{held}"))
    }

    /// For reports.
    pub fn json(&self) -> Object {
        let object = Object::new().text("type", &self.kind).number("count", self.count);
        object.number_or_null("before", self.before)
    }
}

/// By what most of them are held.
pub fn held(group: &Group) -> String {
    format!("; {} are held by {}", group.count, group.signature())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::census::Count;
    use super::*;

    #[test]
    fn growth_is_told_at_each_doubling() {
        let mut tracked = Tracked::new("app.Session");
        assert_eq!(tracked.wish(), ("app.Session".to_owned(), u64::MAX));
        let mut told = Vec::new();
        for count in [10, 12, 35, 36, 80, 87, 88, 20, 36, 300] {
            let mut snapshot = Snapshot::empty(Instant::now(), Duration::ZERO, true);
            snapshot.census.add("app.Session", Count { count, bytes: 0 });
            for _ in 0..count {
                snapshot.holders.add("app.Session", 1, 0, &["app", ".all", "[]"]);
            }
            told.extend(tracked.count(&snapshot, None));
        }
        let line = |count| {
            format!(
                "memory: {count} app.Session, up from 10 in 0 min; {count} are held by app.all[]"
            )
        };
        assert_eq!(told, [36, 88, 300].map(line));
        assert_eq!(tracked.json().end(), "{\"type\":\"app.Session\",\"count\":300,\"before\":10}");
    }
}
