//! What a later snapshot is compared with: counts under the hashes of names, which is a tenth of the
//! memory of a snapshot.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use super::census::{Census, Container, Count, Growth};
use super::holders::Group;
use super::snapshot::Snapshot;

/// Counts by hash, sorted.
type Counts<T> = Box<[(u64, T)]>;

/// What there was.
#[derive(Debug, Clone)]
pub struct Before {
    /// When it was.
    pub taken: Instant,
    types: Counts<Count>,
    containers: Counts<u64>,
    /// By type and general path.
    groups: Counts<u64>,
    /// Types of which instances were looked for: those of others were held somehow, too.
    sought: Counts<()>,
}

impl Before {
    /// What to keep of a snapshot.
    pub fn of(snapshot: &Snapshot) -> Before {
        let Census { types, containers } = &snapshot.census;
        let containers = containers.iter().map(|found| (hash(&found.path), found.len));
        let groups = snapshot.holders.groups().map(|group| (hash(&group.key()), group.count));
        Before {
            taken: snapshot.taken,
            types: sorted(types.iter().map(|(kind, count)| (hash(kind), *count))),
            containers: sorted(containers),
            groups: sorted(groups),
            sought: sorted(snapshot.sought.iter().map(|kind| (hash(kind), ()))),
        }
    }

    /// How many there were of a type.
    pub fn count(&self, kind: &str) -> Count {
        find(&self.types, &kind).copied().unwrap_or_default()
    }

    /// Types of which there are more objects than there were, those with the most new ones first.
    pub fn growth(&self, now: &Census) -> Vec<Growth> {
        let grown = now.types.iter().filter_map(|(kind, now)| {
            let before = self.count(kind);
            let growth = Growth {
                kind: kind.clone(),
                count: now.count as i64 - before.count as i64,
                bytes: now.bytes as i64 - before.bytes as i64,
            };
            (growth.count > 0).then_some(growth)
        });
        let mut grown: Vec<Growth> = grown.collect();
        grown.sort_by(|a, b| (b.count, b.bytes, &a.kind).cmp(&(a.count, a.bytes, &b.kind)));
        grown
    }

    /// By how much a container is longer than what was at its path; none: nothing long was there.
    pub fn grown(&self, container: &Container) -> Option<i64> {
        let before = find(&self.containers, &container.path)?;
        Some(container.len as i64 - *before as i64)
    }

    /// By how many objects a group has grown in an hour; none where nobody looked for them before.
    pub fn rate(&self, group: &Group, now: Instant) -> Option<f64> {
        find(&self.sought, &group.kind)?;
        let before = find(&self.groups, &group.key()).copied().unwrap_or(0);
        let hours = now.duration_since(self.taken).as_secs_f64().max(0.001) / 3600.0;
        Some((group.count as f64 - before as f64) / hours)
    }
}

fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Of what has one hash, the first counts: the longest of the containers.
fn sorted<T>(counts: impl Iterator<Item = (u64, T)>) -> Counts<T> {
    let mut counts: Vec<(u64, T)> = counts.collect();
    counts.sort_by_key(|(hash, _)| *hash);
    counts.dedup_by_key(|(hash, _)| *hash);
    counts.into_boxed_slice()
}

fn find<'a, T>(counts: &'a Counts<T>, name: &(impl Hash + ?Sized)) -> Option<&'a T> {
    let at = counts.binary_search_by_key(&hash(name), |(hash, _)| *hash).ok()?;
    Some(&counts[at].1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::holders::Holders;
    use super::*;

    fn snapshot(types: &[(&str, u64)]) -> Snapshot {
        let mut snapshot = Snapshot::empty(Instant::now(), Duration::ZERO, true);
        for (kind, count) in types {
            snapshot.census.add(kind, Count { count: *count, bytes: count * 10 });
        }
        snapshot
    }

    #[test]
    fn what_grows_most_comes_first() {
        let before = snapshot(&[("dict", 100), ("app.Session", 1), ("app.Gone", 5)]);
        let now = snapshot(&[("dict", 103), ("app.Session", 9), ("app.New", 3), ("app.Same", 0)]);
        let growth = Before::of(&before).growth(&now.census).into_iter();
        let kinds: Vec<_> = growth.map(|growth| (growth.kind, growth.count)).collect();
        let wanted = [("app.Session", 8), ("app.New", 3), ("dict", 3)];
        assert_eq!(kinds, wanted.map(|(kind, count)| (kind.to_owned(), count)));
    }

    #[test]
    fn a_container_is_known_by_its_path() {
        let container =
            |path: &str, len| Container { kind: "list".to_owned(), len, path: path.to_owned() };
        let mut snapshot = snapshot(&[]);
        snapshot.census.containers = vec![container("app.rows[]", 90), container("app.rows[]", 80)];
        let before = Before::of(&snapshot);
        assert_eq!(before.grown(&container("app.rows[]", 100)), Some(10));
        assert_eq!(before.grown(&container("app.other", 100)), None);
    }

    #[test]
    fn the_growth_of_a_group_is_told_where_it_was_looked_for() {
        let mut before = snapshot(&[]);
        before.holders.add("app.Session", 48, 0, &["app", ".all", "{'a'}"]);
        let mut now = Holders::default();
        now.add("app.Session", 48, 0, &["app", ".all", "{'b'}"]);
        now.add("app.Session", 48, 0, &["app", ".all", "{'c'}"]);
        let group = now.groups().next().expect("there is one");
        let later = before.taken + Duration::from_secs(1800);
        assert_eq!(Before::of(&before).rate(group, later), None);
        before.sought.push("app.Session".to_owned());
        assert_eq!(Before::of(&before).rate(group, later), Some(2.0));
    }
}
