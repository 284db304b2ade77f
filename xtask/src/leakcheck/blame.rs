//! Who holds what grows: two snapshots with the cycles of two rounds between them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use super::count::Key;
use super::judge::Rate;
use super::subject::Subject;
use crate::memory::signature;

/// Types that are looked for in one snapshot, of whose answer the largest groups are told.
const BATCH: usize = 8;
/// Snapshots, at most.
const BATCHES: usize = 6;
/// What is no object of Python's garbage collector and fills memory most often.
const UNTRACKED: [&str; 4] = ["str", "bytes", "int", "float"];

/// One thing that grows with every cycle.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Growth {
    /// A type's full name; or what is no object: `open files: socket`, `threads`, `tasks`, `blocks`,
    /// `private memory`.
    pub what: String,
    /// Pieces in a cycle; of private memory bytes.
    pub per_cycle: f64,
    /// Bytes of them and of what they hold, in a cycle, as far as it was counted; none: it was not.
    pub bytes_per_cycle: Option<f64>,
    /// How they are held; none: that cannot be told, or it is no object.
    pub signature: Option<String>,
    /// One path whole.
    pub example: Option<String>,
    /// Types of objects that are held by these and grow as well.
    pub with: usize,
    /// Why it may grow.
    pub allowed: Option<String>,
}

/// Whose types are.
#[derive(Debug, Default)]
pub struct Origins(BTreeMap<String, String>);

impl Origins {
    /// From the modules of an image's report.
    pub fn of(report: &Value) -> Origins {
        let modules = report["modules"]["kept"].as_array().into_iter().flatten();
        let modules = modules.filter_map(|module| {
            Some((module["name"].as_str()?.to_owned(), module["origin"].as_str()?.to_owned()))
        });
        Origins(modules.collect())
    }

    /// The application's come first, then those of dependencies, then Python's own, at last built-in ones.
    fn rank(&self, kind: &str) -> usize {
        let mut name = kind;
        while let Some((module, _)) = name.rsplit_once('.') {
            match self.0.get(module).map(String::as_str) {
                Some("application") => return 0,
                Some("dependency") => return 1,
                Some(_) => return 2,
                None => name = module,
            }
        }
        // The entry's own module has another name while it runs.
        if kind.starts_with("__main__.") { 0 } else { 3 }
    }
}

/// Groups of objects by type and signature.
type Groups = BTreeMap<(String, String), Group>;

#[derive(Debug, Clone, Default)]
struct Group {
    count: i64,
    example: String,
}

/// The first look.
pub struct Blame {
    batches: Vec<Vec<String>>,
    held: Groups,
    containers: Groups,
}

impl Blame {
    /// Looks at what seems to grow.
    ///
    /// # Errors
    /// The launcher has ended, or does not answer.
    pub fn begin(
        subject: &mut Subject<'_>,
        origins: &Origins,
        growing: &[(Key, Rate)],
    ) -> Result<Blame> {
        let batches = batches(origins, growing);
        let (held, containers) = look(subject, &batches)?;
        Ok(Blame { batches, held, containers })
    }

    /// Looks again, and says of what has grown who holds it.
    ///
    /// # Errors
    /// As for [`Blame::begin`].
    pub fn end(
        self,
        subject: &mut Subject<'_>,
        origins: &Origins,
        growing: &[(Key, Rate)],
        cycles: u32,
        allow: &BTreeMap<String, String>,
    ) -> Result<Vec<Growth>> {
        if growing.is_empty() {
            return Ok(Vec::new());
        }
        let (held, containers) = look(subject, &self.batches)?;
        let held = difference(held, &self.held, cycles);
        let containers = difference(containers, &self.containers, cycles);
        let asked = self.batches.into_iter().flatten().collect();
        Ok(explain(growing, held, &containers, (origins, &asked), allow))
    }
}

/// Types in the order in which they say most: the application's own, and of those the fewest objects.
fn batches(origins: &Origins, growing: &[(Key, Rate)]) -> Vec<Vec<String>> {
    let mut types: Vec<(usize, u64, &str)> = growing
        .iter()
        .filter_map(|(key, rate)| match key {
            Key::Type(name) => Some((origins.rank(name), (rate.pieces * 100.0) as u64, &**name)),
            _ => None,
        })
        .collect();
    types.sort_unstable();
    let classes: Vec<String> = types
        .iter()
        .filter(|(_, _, name)| name.contains('.'))
        .map(|(_, _, name)| (*name).to_owned())
        .collect();
    if !classes.is_empty() {
        return classes.chunks(BATCH).take(BATCHES).map(<[String]>::to_vec).collect();
    }
    // Built-in types are many: each on its own, so that what grows is among the groups that are told.
    let plain = types.iter().map(|(_, _, name)| *name);
    let untracked = UNTRACKED.into_iter().filter(|_| types.is_empty());
    plain.chain(untracked).take(BATCHES).map(|name| vec![name.to_owned()]).collect()
}

fn look(subject: &mut Subject<'_>, batches: &[Vec<String>]) -> Result<(Groups, Groups)> {
    let (mut held, mut containers) = (Groups::new(), Groups::new());
    let nothing = [Vec::new()];
    for types in if batches.is_empty() { &nothing[..] } else { batches } {
        let snapshot = subject.snapshot(types)?;
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        for group in snapshot["holders"].as_array().into_iter().flatten() {
            let signature = signature::general(&text(group, "signature"));
            let known = held.entry((text(group, "type"), signature)).or_default();
            known.count += group["count"].as_i64().unwrap_or_default();
            known.example = text(group, "example");
        }
        // They are the same in all of them.
        containers.clear();
        for container in snapshot["containers"].as_array().into_iter().flatten() {
            let path = text(container, "path");
            let place = (text(container, "type"), signature::general(&path));
            let known: &mut Group = containers.entry(place).or_default();
            known.count += container["length"].as_i64().unwrap_or_default();
            known.example = path;
        }
    }
    Ok((held, containers))
}

/// A group that has grown.
#[derive(Debug, Clone)]
struct Grown {
    kind: String,
    signature: String,
    example: String,
    /// Objects in a cycle.
    rate: f64,
}

/// Groups that have grown, what is nearest to a root first: it holds the others. Less than one in ten
/// cycles is nothing.
fn difference(now: Groups, before: &Groups, cycles: u32) -> Vec<Grown> {
    let grown = now.into_iter().filter_map(|(place, group)| {
        let known = before.get(&place).map_or(0, |known| known.count);
        let rate = (group.count - known) as f64 / f64::from(cycles.max(1));
        let (kind, signature) = place;
        (rate >= 0.1).then_some(Grown { kind, signature, example: group.example, rate })
    });
    let mut grown: Vec<Grown> = grown.collect();
    grown.sort_by_cached_key(|grown| {
        (signature::steps(&grown.signature).len(), grown.signature.clone(), grown.kind.clone())
    });
    grown
}

/// What is held in one place, with all that it holds itself.
struct Place {
    /// The signature of what is nearest to the root.
    top: String,
    /// Everything there.
    held: Vec<Grown>,
}

fn places(held: Vec<Grown>) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for grown in held {
        match places.iter_mut().find(|place| signature::is_below(&grown.signature, &place.top)) {
            Some(place) => place.held.push(grown),
            None => places.push(Place { top: grown.signature.clone(), held: vec![grown] }),
        }
    }
    places
}

impl Place {
    /// One line, about what says most: an object of the application's own, where one is held.
    fn growth(&self, origins: &Origins, rates: &BTreeMap<&Key, Rate>) -> Option<Growth> {
        let first = self.held.iter().min_by_key(|grown| origins.rank(&grown.kind))?;
        let kinds: BTreeSet<&str> = self.held.iter().map(|grown| grown.kind.as_str()).collect();
        let bytes = |grown: &Grown| {
            let known = rates.get(&Key::Type(grown.kind.clone()))?;
            Some(known.bytes / known.pieces * grown.rate)
        };
        Some(Growth {
            bytes_per_cycle: Some(self.held.iter().filter_map(bytes).sum()),
            with: kinds.len() - 1,
            ..Growth::held(first.kind.clone(), first)
        })
    }
}

/// One line for each place that holds something by itself, then one for everything else.
fn explain(
    growing: &[(Key, Rate)],
    held: Vec<Grown>,
    containers: &[Grown],
    (origins, asked): (&Origins, &BTreeSet<String>),
    allow: &BTreeMap<String, String>,
) -> Vec<Growth> {
    let rates: BTreeMap<&Key, Rate> = growing.iter().map(|(key, rate)| (key, *rate)).collect();
    let told: BTreeSet<String> = held.iter().map(|grown| grown.kind.clone()).collect();
    let places = places(held);
    let mut found: Vec<Growth> =
        places.iter().filter_map(|place| place.growth(origins, &rates)).collect();
    found.sort_by_key(|growth| origins.rank(&growth.what));
    // A container that grows with what it holds is told already.
    for grown in containers {
        let is_told = places.iter().map(|place| &place.top).any(|top| {
            signature::is_below(top, &grown.signature) || signature::is_below(&grown.signature, top)
        });
        if !is_told {
            found.push(Growth::held(format!("items of a {}", grown.kind), grown));
        }
    }
    // Of the types that nobody was asked for it is taken that they are held by the others.
    let is_held = !found.is_empty();
    if let [only] = &mut found[..] {
        let types = || rates.iter().filter(|(key, _)| matches!(key, Key::Type(_)));
        only.with = only.with.max(types().count().saturating_sub(1));
        let bytes: f64 = types().map(|(_, rate)| rate.bytes).sum();
        only.bytes_per_cycle = only.bytes_per_cycle.map(|own| own.max(bytes));
    }
    for (key, rate) in growing {
        match key {
            Key::Type(kind) if told.contains(kind) => {}
            Key::Type(kind) if is_held && !(kind.contains('.') && asked.contains(kind)) => {}
            _ => found.push(Growth::plain(key, *rate)),
        }
    }
    permit(&mut found, allow);
    found
}

/// Marks what may grow. Of blocks and bytes nobody can tell whose they are: where something may grow, so
/// may they.
fn permit(found: &mut [Growth], allow: &BTreeMap<String, String>) {
    for growth in found.iter_mut() {
        let name = growth.signature.as_deref().unwrap_or(&growth.what);
        let reason = allow.iter().find(|(beginning, _)| name.starts_with(beginning.as_str()));
        growth.allowed = reason.map(|(_, why)| why.clone());
    }
    let reason = found.iter().find_map(|growth| growth.allowed.clone());
    let is_sum = |growth: &&mut Growth| growth.what == BLOCKS || growth.what == PRIVATE;
    for growth in found.iter_mut().filter(is_sum) {
        growth.allowed = growth.allowed.take().or_else(|| reason.clone());
    }
}

const BLOCKS: &str = "blocks of memory";
const PRIVATE: &str = "bytes of private memory";

impl Growth {
    fn held(what: String, grown: &Grown) -> Growth {
        Growth {
            what,
            per_cycle: grown.rate,
            bytes_per_cycle: None,
            signature: Some(grown.signature.clone()),
            example: Some(grown.example.clone()),
            with: 0,
            allowed: None,
        }
    }

    /// What has no signature.
    fn plain(key: &Key, rate: Rate) -> Growth {
        let (what, bytes) = match key {
            Key::Type(kind) => (kind.clone(), Some(rate.bytes)),
            Key::File(kind) => (format!("open files: {kind}"), None),
            Key::Threads => ("threads".to_owned(), None),
            Key::Tasks => ("asyncio tasks".to_owned(), None),
            Key::Blocks => (BLOCKS.to_owned(), None),
            Key::Private => (PRIVATE.to_owned(), Some(rate.pieces)),
        };
        Growth {
            what,
            per_cycle: rate.pieces,
            bytes_per_cycle: bytes,
            signature: None,
            example: None,
            with: 0,
            allowed: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown(lines: &[(&str, &str, f64)]) -> Vec<Grown> {
        let line = |(kind, signature, rate): &(&str, &str, f64)| Grown {
            kind: (*kind).to_owned(),
            signature: (*signature).to_owned(),
            example: String::new(),
            rate: *rate,
        };
        lines.iter().map(line).collect()
    }

    fn types(lines: &[(&str, f64)]) -> Vec<(Key, Rate)> {
        let rate = |rate: f64| Rate { pieces: rate, bytes: 48.0 * rate };
        lines.iter().map(|(kind, pieces)| (Key::Type((*kind).to_owned()), rate(*pieces))).collect()
    }

    fn origins() -> Origins {
        Origins(BTreeMap::from([
            ("app.core".to_owned(), "application".to_owned()),
            ("library".to_owned(), "dependency".to_owned()),
        ]))
    }

    fn told(growing: &[(Key, Rate)], held: Vec<Grown>, containers: &[Grown]) -> Vec<String> {
        let asked = growing.iter().filter_map(|(key, _)| match key {
            Key::Type(kind) => Some(kind.clone()),
            _ => None,
        });
        let allow = BTreeMap::from([("app.core.log".to_owned(), "it is kept".to_owned())]);
        let found = explain(growing, held, containers, (&origins(), &asked.collect()), &allow);
        let line = |growth: Growth| {
            let Growth { what, per_cycle, signature, with, allowed, .. } = growth;
            let allowed = if allowed.is_some() { " allowed" } else { "" };
            format!("{what} {per_cycle} {} {with}{allowed}", signature.unwrap_or_default())
        };
        found.into_iter().map(line).collect()
    }

    #[test]
    fn what_is_held_by_what_leaks_is_no_line_of_its_own_and_the_applications_object_is_named() {
        let growing = types(&[("library.Filter", 1.0), ("app.core.Client", 1.0), ("dict", 9.0)]);
        let held = grown(&[
            ("library.Filter", "library.all{key}", 1.0),
            ("app.core.Client", "library.all{key}<Filter>.func<method>.__self__", 1.0),
        ]);
        assert_eq!(
            told(&growing, held, &[]),
            ["app.core.Client 1 library.all{key}<Filter>.func<method>.__self__ 2"]
        );
    }

    #[test]
    fn two_places_are_two_lines_and_the_applications_is_first() {
        let growing = types(&[("library.Filter", 1.0), ("app.core.Client", 2.0)]);
        let held = grown(&[
            ("library.Filter", "library.all{key}", 1.0),
            ("app.core.Client", "app.core.clients[]", 1.0),
            ("app.core.Client", "app.core.by_name{str}", 1.0),
        ]);
        let lines = told(&growing, held, &[]);
        assert_eq!(lines.len(), 3);
        assert!(lines[2].starts_with("library.Filter"), "{lines:?}");
    }

    #[test]
    fn a_container_of_what_nobody_tracks_is_named() {
        let growing = [(Key::Blocks, Rate { pieces: 3.0, bytes: 0.0 })];
        let containers = grown(&[("list", "app.core.names", 3.0)]);
        assert_eq!(
            told(&growing, Vec::new(), &containers),
            ["items of a list 3 app.core.names 0", "blocks of memory 3  0"]
        );
        let held = grown(&[("app.core.Client", "app.core.names[]", 3.0)]);
        let lines = told(&types(&[("app.core.Client", 3.0)]), held, &containers);
        assert_eq!(lines, ["app.core.Client 3 app.core.names[] 0"]);
    }

    #[test]
    fn what_may_grow_is_marked_with_its_blocks() {
        let mut growing = types(&[("app.core.Line", 1.0)]);
        growing.push((Key::Blocks, Rate { pieces: 3.0, bytes: 0.0 }));
        growing.push((Key::Threads, Rate { pieces: 1.0, bytes: 0.0 }));
        let held = grown(&[("app.core.Line", "app.core.log[]", 1.0)]);
        assert_eq!(
            told(&growing, held, &[]),
            [
                "app.core.Line 1 app.core.log[] 0 allowed",
                "blocks of memory 3  0 allowed",
                "threads 1  0"
            ]
        );
    }

    #[test]
    fn the_applications_types_are_asked_for_first_and_built_in_ones_alone() {
        let growing = types(&[("library.Filter", 1.0), ("app.core.Client", 9.0), ("dict", 1.0)]);
        assert_eq!(batches(&origins(), &growing), [["app.core.Client", "library.Filter"]]);
        let growing = types(&[("dict", 2.0), ("cell", 1.0)]);
        assert_eq!(batches(&origins(), &growing), [["cell"], ["dict"]]);
        let none = [(Key::Blocks, Rate { pieces: 3.0, bytes: 0.0 })];
        assert_eq!(batches(&origins(), &none), [["str"], ["bytes"], ["int"], ["float"]]);
    }
}
