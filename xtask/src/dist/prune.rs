//! [`Graph`] -> [`Kept`]: what can be reached from the entry, and why the rest was dropped.

use std::collections::BTreeMap;

use super::resolve::Plan;
use super::scan::{Edge, Graph};

/// What ships.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// The graph, whose tree now has kept modules and resources only.
    pub graph: Graph,
    /// Kept module -> the first edge (breadth first) that reached it, as (importer, edge); the entry and roots have none.
    pub reason: BTreeMap<String, Option<(String, Edge)>>,
    /// Dropped module -> why, one clause: "not reached from device_console", "dropped by [tool.pyrmware.prune] drop".
    pub dropped: BTreeMap<String, String>,
}

/// Drops what cannot be reached.
///
/// # Errors
/// Not there yet.
pub fn run(_plan: &Plan, _graph: Graph) -> anyhow::Result<Kept> {
    anyhow::bail!("prune: not there yet")
}
