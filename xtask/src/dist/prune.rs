//! [`Graph`] -> [`Kept`]: what can be reached from the entry, and why the rest was dropped.

pub mod ask;
mod reach;
mod reasons;
mod ship;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::collect::Kind;
use super::resolve::Plan;
use super::scan::{Edge, EdgeKind, Graph};
use crate::config::{Level, Project, trace};

/// What ships.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// The graph, whose tree now has kept modules and resources only; modules inside libpython stay known.
    pub graph: Graph,
    /// Kept module -> the first edge (breadth first) that reached it, as (importer, edge); the entry and roots have none.
    pub reason: BTreeMap<String, Option<(String, Edge)>>,
    /// Dropped module -> why, one clause: "not reached from device_console", "dropped by [tool.pyrmware.prune] drop".
    pub dropped: BTreeMap<String, String>,
    /// Kept modules that a trace has seen, in the order of first use.
    pub order: Vec<String>,
    /// What is worth telling the user.
    pub notes: Vec<String>,
}

impl Kept {
    /// Dropped modules and those who go on where they do not get them: guarded imports that a rule cuts.
    pub fn done_without(&self) -> impl Iterator<Item = (&str, &str)> {
        let cuts = self.graph.cuts.iter();
        let cuts = cuts.flat_map(|(asker, cuts)| cuts.iter().map(move |cut| (asker, &cut.edge)));
        cuts.filter(|(_, edge)| {
            edge.kind == EdgeKind::Guarded && self.dropped.contains_key(&edge.to)
        })
        .map(|(asker, edge)| (edge.to.as_str(), asker.as_str()))
    }
}

impl Kept {
    /// Imports by a computed name of which nobody knows what they ask for: "module:function" -> lines.
    pub fn unanswered(&self) -> BTreeMap<String, Vec<u32>> {
        let mut places: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (module, sites) in &self.graph.dynamic {
            for site in sites.iter().filter(|site| !site.answered) {
                let place = match site.function.as_str() {
                    "" => format!("{module}:{}", site.line),
                    function => format!("{module}:{function}"),
                };
                places.entry(place).or_default().push(site.line);
            }
        }
        places
    }
}

/// Keeps what the entry, the interpreter and the `keep` patterns reach.
///
/// # Errors
/// A `keep` or `drop` pattern that matches nothing, a `drop` of what the entry needs to start, a kept
/// shared object that cannot work in this launcher.
pub fn run(plan: &Plan, graph: Graph) -> Result<Kept> {
    let project = &plan.config.project;
    reach::check_patterns(&project.prune, &graph.tree)?;
    if project.prune.level == Level::Traced && project.trace.names.is_empty() {
        bail!(
            "level = \"traced\" in [tool.pyrmware.prune] ships what a trace has seen, and there is no {}; \
             `cargo xtask trace` records one",
            trace::FILE
        );
    }
    let dropped_by_key = reach::dropped_by_key(&project.prune, &graph.tree);
    reach::check_drops(project, &graph, &dropped_by_key)?;
    let reason = reach::reach(project, &graph, &dropped_by_key);
    let dropped = reasons::dropped(project, &graph, &reason, &dropped_by_key);
    let notes = Vec::from_iter(forgotten(project, &graph));
    let graph = ship::only_kept(graph, &reason);
    ship::check_objects(plan, &graph.tree)?;
    let ships = |name: &&String| {
        graph.tree.modules.get(*name).is_some_and(|module| module.kind != Kind::Interpreter)
    };
    let order = project.trace.names.iter().filter(ships).cloned().collect();
    Ok(Kept { graph, reason, dropped, order, notes })
}

/// What the trace names and nothing has any more.
fn forgotten(project: &Project, graph: &Graph) -> Option<String> {
    const SHOWN: usize = 3;
    let names = &project.trace.names;
    let gone: Vec<&str> = names
        .iter()
        .filter(|name| !graph.tree.modules.contains_key(*name))
        .map(String::as_str)
        .collect();
    let more = if gone.len() > SHOWN { ", …" } else { "" };
    let shown = gone.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    (!gone.is_empty()).then(|| {
        format!(
            "{} of {} names of {} are those of no module: {shown}{more}; they are passed over",
            gone.len(),
            names.len(),
            trace::FILE
        )
    })
}
