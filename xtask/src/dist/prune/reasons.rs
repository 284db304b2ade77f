//! Why a module does not ship, in one clause.

use std::collections::{BTreeMap, BTreeSet};

use super::Graph;
use super::reach::{Reached, is_own};
use crate::config::Project;
use crate::dist::collect::Kind;
use crate::dist::scan::{Cut, EdgeKind};

/// Every module that is not reached -> why.
pub fn dropped(
    project: &Project,
    graph: &Graph,
    reached: &Reached,
    by_key: &BTreeSet<String>,
) -> BTreeMap<String, String> {
    let mut importers: BTreeMap<&str, Vec<(&str, EdgeKind)>> = BTreeMap::new();
    for (importer, edges) in &graph.edges {
        for edge in edges {
            importers.entry(&edge.to).or_default().push((importer, edge.kind));
        }
    }
    let mut cuts: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for (importer, found) in &graph.cuts {
        for Cut { edge, reason } in found {
            cuts.entry(&edge.to).or_default().push((importer, reason));
        }
    }
    let why = |name: &str| {
        let asked = importers.get(name).map_or(&[][..], Vec::as_slice);
        let by_kept = asked.iter().find(|(importer, _)| reached.contains_key(*importer));
        let by_pruned = asked.iter().find(|(importer, _)| is_own(&graph.tree, importer));
        let mut cut = cuts.get(name).into_iter().flatten();
        let cut = cut.find(|(importer, _)| reached.contains_key(*importer));
        if by_key.contains(name) {
            "dropped by [tool.pyrmware.prune] drop".to_owned()
        } else if let Some((importer, reason)) = cut {
            format!("not followed from {importer}: {reason}")
        } else if let Some((importer, EdgeKind::TypeChecking)) = by_kept {
            format!("only imported for type checking, by {importer}")
        } else if let Some((importer, _)) = by_kept {
            format!("imported by {importer}, but no trace has seen it")
        } else if let Some((importer, _)) = by_pruned {
            format!("only imported by {importer}, which is left out as well")
        } else {
            format!("not reached from {}", project.entry.module())
        }
    };
    graph
        .tree
        .modules
        .iter()
        .filter(|(name, module)| module.kind != Kind::Interpreter && !reached.contains_key(*name))
        .map(|(name, _)| (name.clone(), why(name)))
        .collect()
}
