//! [`Graph`] -> [`Kept`]: what can be reached from the entry, and why the rest was dropped.

pub mod ask;
mod reach;
mod reasons;
mod ship;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use anyhow::Result;

use super::resolve::Plan;
use super::scan::{Edge, Graph};

/// What ships.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// The graph, whose tree now has kept modules and resources only; modules inside libpython stay known.
    pub graph: Graph,
    /// Kept module -> the first edge (breadth first) that reached it, as (importer, edge); the entry and roots have none.
    pub reason: BTreeMap<String, Option<(String, Edge)>>,
    /// Dropped module -> why, one clause: "not reached from device_console", "dropped by [tool.pyrmware.prune] drop".
    pub dropped: BTreeMap<String, String>,
}

/// Keeps what the entry, the interpreter and the `keep` patterns reach.
///
/// # Errors
/// A `keep` or `drop` pattern that matches nothing, a `drop` of what the entry needs to start, a kept
/// shared object that cannot work in this launcher.
pub fn run(plan: &Plan, graph: Graph) -> Result<Kept> {
    let project = &plan.config.project;
    reach::check_patterns(&project.prune, &graph.tree)?;
    let dropped_by_key = reach::dropped_by_key(&project.prune, &graph.tree);
    reach::check_drops(project, &graph, &dropped_by_key)?;
    let reason = reach::reach(project, &graph, &dropped_by_key);
    let dropped = reasons::dropped(project, &graph, &reason, &dropped_by_key);
    let graph = ship::only_kept(graph, &reason);
    ship::check_objects(&graph.tree)?;
    Ok(Kept { graph, reason, dropped })
}
