//! The walk from the entry over the graph, and what `keep` and `drop` say about it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::{Result, bail};
use pyrmware_payload::Entry;

use super::{Edge, Graph};
use crate::config::{Level, Project, Prune};
use crate::dist::collect::names::{fits, hint, is_within, parents};
use crate::dist::collect::{Origin, Tree};
use crate::dist::scan::EdgeKind;

/// Kept module -> the first edge that reached it.
pub type Reached = BTreeMap<String, Option<(String, Edge)>>;

/// Checks that every pattern means something.
///
/// # Errors
/// With near misses.
pub fn check_patterns(prune: &Prune, tree: &Tree) -> Result<()> {
    for (key, patterns) in [("keep", &prune.keep), ("drop", &prune.drop)] {
        for pattern in patterns {
            if !tree.modules.keys().any(|name| fits(pattern, name)) {
                let name = pattern.strip_suffix(".*").unwrap_or(pattern);
                bail!(
                    "[tool.pyrmware.prune] {key}: no module fits {pattern:?}{}",
                    hint(name, tree.modules.keys().map(String::as_str))
                );
            }
        }
    }
    if let Some(both) = prune.keep.iter().find(|pattern| prune.drop.contains(pattern)) {
        bail!("[tool.pyrmware.prune]: {both:?} is both in keep and in drop; remove one");
    }
    Ok(())
}

/// What `drop` takes out: a package goes with everything below it.
pub fn dropped_by_key(prune: &Prune, tree: &Tree) -> BTreeSet<String> {
    let package = |pattern: &String| pattern.strip_suffix(".*").unwrap_or(pattern).to_owned();
    let dropped: Vec<String> = prune.drop.iter().map(package).collect();
    let is_dropped = |name: &&String| dropped.iter().any(|package| is_within(name, package));
    tree.modules.keys().filter(is_dropped).cloned().collect()
}

/// The modules that run first: the entry's, its parents are implied.
pub fn entry_modules(project: &Project) -> Vec<String> {
    let module = project.entry.module().to_owned();
    match &project.entry {
        Entry::Module(name) => vec![module, format!("{name}.__main__")],
        Entry::Function { .. } => vec![module],
    }
}

/// Where the walk starts, with the entry first.
fn seeds(project: &Project, graph: &Graph) -> Vec<String> {
    let mut seeds = entry_modules(project);
    let values = project.entry_points.values().flat_map(BTreeMap::values);
    seeds
        .extend(values.map(|value| value.split([':', '[']).next().unwrap_or("").trim().to_owned()));
    seeds.extend(graph.roots.keys().cloned());
    let kept = |name: &&String| project.prune.keep.iter().any(|pattern| fits(pattern, name));
    seeds.extend(graph.tree.modules.keys().filter(kept).cloned());
    seeds.extend(project.trace.names.iter().cloned());
    seeds
}

/// Breadth first from the seeds over every edge but those for type checkers; where only what was traced
/// ships, over those that run with their module.
pub fn reach(project: &Project, graph: &Graph, dropped: &BTreeSet<String>) -> Reached {
    reach_from(project, seeds(project, graph), graph, dropped)
}

/// As [`reach`], from these modules.
pub fn reach_from(
    project: &Project,
    seeds: Vec<String>,
    graph: &Graph,
    dropped: &BTreeSet<String>,
) -> Reached {
    let mut walk = Walk { graph, dropped, reached: BTreeMap::new(), queue: VecDeque::new() };
    for seed in seeds {
        walk.visit(&seed, None);
    }
    let traced = project.prune.level == Level::Traced;
    walk.run(&|edge| match edge.kind {
        EdgeKind::TypeChecking => false,
        EdgeKind::TopLevel | EdgeKind::Rule => true,
        _ => !traced,
    });
    walk.reached
}

struct Walk<'a> {
    graph: &'a Graph,
    dropped: &'a BTreeSet<String>,
    reached: Reached,
    queue: VecDeque<String>,
}

impl Walk<'_> {
    /// Reaches a module and, as importing it does, the packages above it.
    fn visit(&mut self, name: &str, by: Option<(&str, &Edge)>) {
        for module in parents(name).chain([name]) {
            if self.dropped.contains(module) {
                return;
            }
            if self.graph.tree.modules.contains_key(module) && !self.reached.contains_key(module) {
                let reason = by.map(|(importer, edge)| {
                    (importer.to_owned(), Edge { to: module.to_owned(), ..edge.clone() })
                });
                self.reached.insert(module.to_owned(), reason);
                self.queue.push_back(module.to_owned());
            }
        }
    }

    fn run(&mut self, follows: &dyn Fn(&Edge) -> bool) {
        let graph = self.graph;
        while let Some(name) = self.queue.pop_front() {
            for edge in graph.edges.get(&name).into_iter().flatten().filter(|edge| follows(edge)) {
                self.visit(&edge.to, Some((&name, edge)));
            }
        }
    }
}

/// Refuses a `drop` that keeps the entry, or the interpreter, from starting.
///
/// # Errors
/// With the chain of imports from the entry.
pub fn check_drops(project: &Project, graph: &Graph, dropped: &BTreeSet<String>) -> Result<()> {
    let Some((name, chain)) = needed_to_start(project, graph, dropped) else { return Ok(()) };
    let pattern = project
        .prune
        .drop
        .iter()
        .find(|pattern| is_within(&name, pattern.strip_suffix(".*").unwrap_or(pattern)))
        .map_or(name.as_str(), String::as_str);
    bail!(
        "[tool.pyrmware.prune] drop: {pattern:?} cannot be left out, {} needs {name} to start: {chain}",
        project.entry,
    )
}

/// The first dropped module that the entry, or the interpreter, cannot start without, and the chain of
/// imports that leads to it.
pub fn needed_to_start(
    project: &Project,
    graph: &Graph,
    dropped: &BTreeSet<String>,
) -> Option<(String, String)> {
    let none = BTreeSet::new();
    let mut walk = Walk { graph, dropped: &none, reached: BTreeMap::new(), queue: VecDeque::new() };
    for seed in entry_modules(project).iter().chain(graph.roots.keys()) {
        walk.visit(seed, None);
    }
    walk.run(&|edge| edge.kind == EdgeKind::TopLevel);
    let name = walk.reached.keys().find(|name| dropped.contains(*name))?;
    Some((name.clone(), chain(&walk.reached, name)))
}

/// `device_console.__main__:12 -> foo:3 -> bar`: how a module was reached.
pub fn chain(reached: &Reached, name: &str) -> String {
    let mut text = name.to_owned();
    let mut at = name;
    while let Some(Some((importer, edge))) = reached.get(at) {
        let line = if edge.line > 0 { format!(":{}", edge.line) } else { String::new() };
        text = format!("{importer}{line} -> {text}");
        at = importer;
    }
    text
}

/// Whether the application, or what it depends on, brings a module.
pub fn is_own(tree: &Tree, name: &str) -> bool {
    tree.modules.get(name).is_some_and(|module| module.origin != Origin::Stdlib)
}
