//! Questions about a graph that has been pruned, for the verbs that explain an image.

use std::collections::{BTreeMap, BTreeSet};

use super::reach::{self, Reached};
use super::{Graph, Kept};
use crate::config::Project;
use crate::dist::collect::names::{fits, is_within};

/// Kept module -> the last edge of the shortest way to it: from the entry where one leads there, else from
/// whatever else brings it in, which has none.
pub fn ways(project: &Project, kept: &Kept) -> Reached {
    let dropped = reach::dropped_by_key(&project.prune, &kept.graph.tree);
    let entry = reach::entry_modules(project);
    let mut ways = kept.reason.clone();
    ways.extend(reach::reach_from(project, entry, &kept.graph, &dropped));
    ways
}

/// Why a module is in to which no way leads; none: it is the entry.
pub fn because(project: &Project, kept: &Kept, name: &str) -> Option<String> {
    let entry = project.entry.module();
    let loads = |value: &String| value.split([':', '[']).next().is_some_and(|m| m.trim() == name);
    if name == entry || name.strip_suffix(".__main__") == Some(entry) {
        None
    } else if let Some(root) = kept.graph.roots.get(name) {
        Some(format!("in every launcher: {root}"))
    } else if project.prune.keep.iter().any(|pattern| fits(pattern, name)) {
        Some("kept by [tool.pyrmware.prune] keep".into())
    } else if project.entry_points.values().flat_map(BTreeMap::values).any(loads) {
        Some("an entry point of the application".into())
    } else {
        Some("seen by the trace".into())
    }
}

/// What would leave with modules: the answer to what they cost.
///
/// This is the definition of an exclusive size. A dominator tree has the same answers for single modules
/// (the tests hold it to that), but none for a package that goes with everything below it.
pub struct Exclusive<'a> {
    /// With a trace of what nothing else leads to: it names all that was loaded, by whomever.
    project: Project,
    kept: &'a Kept,
}

impl<'a> Exclusive<'a> {
    /// Prepares for any number of questions.
    pub fn new(project: &Project, kept: &'a Kept) -> Exclusive<'a> {
        let mut project = project.clone();
        let traced = std::mem::take(&mut project.trace.names);
        let dropped = reach::dropped_by_key(&project.prune, &kept.graph.tree);
        let found = reach::reach(&project, &kept.graph, &dropped);
        project.trace.names = traced.into_iter().filter(|n| !found.contains_key(n)).collect();
        Exclusive { project, kept }
    }

    /// What would leave with these modules and all below them, them included: what nothing else leads to.
    pub fn of(&self, names: &[&str]) -> BTreeSet<String> {
        let Exclusive { project, kept } = self;
        let mut gone = reach::dropped_by_key(&project.prune, &kept.graph.tree);
        let within = |name: &&String| names.iter().any(|package| is_within(name, package));
        gone.extend(kept.graph.tree.modules.keys().filter(within).cloned());
        let left = reach::reach(project, &kept.graph, &gone);
        kept.reason.keys().filter(|name| !left.contains_key(*name)).cloned().collect()
    }
}

/// Why `drop` cannot be obeyed: the chain of imports from the start to what it names.
pub fn refusal(project: &Project, graph: &Graph) -> Option<String> {
    let dropped = reach::dropped_by_key(&project.prune, &graph.tree);
    reach::needed_to_start(project, graph, &dropped).map(|(_, chain)| chain)
}

#[cfg(test)]
mod tests {
    use petgraph::algo::dominators::simple_fast;
    use petgraph::graph::DiGraph;
    use proptest::prelude::*;

    use super::*;
    use crate::dist::collect::fixture::Fixture;
    use crate::dist::collect::{Kind, Module, Origin, Tree};
    use crate::dist::scan::{Edge, EdgeKind};

    const MODULES: usize = 12;

    fn graph(imports: &[(usize, usize)]) -> Graph {
        let module = || Module {
            kind: Kind::Source,
            package: false,
            file: None,
            path: String::new(),
            origin: Origin::Application,
        };
        let modules = (0..MODULES).map(|i| (format!("m{i}"), module())).collect();
        let mut graph = Graph { tree: Tree { modules, ..Tree::default() }, ..Graph::default() };
        for (from, to) in imports {
            let edge = Edge { to: format!("m{to}"), kind: EdgeKind::TopLevel, line: 1 };
            graph.edges.entry(format!("m{from}")).or_default().push(edge);
        }
        graph
    }

    proptest! {
        #[test]
        fn exclusive_is_what_a_module_dominates(
            imports in prop::collection::vec((0..MODULES, 0..MODULES), 0..40),
        ) {
            let project = Fixture::new("m0", &[]).plan.config.project;
            let graph = graph(&imports);
            let reason = reach::reach(&project, &graph, &BTreeSet::new());
            let kept = Kept { graph, reason, ..Kept::default() };
            let exclusive = Exclusive::new(&project, &kept);
            let mut other = DiGraph::<(), ()>::new();
            let nodes: Vec<_> = (0..MODULES).map(|_| other.add_node(())).collect();
            for (from, to) in &imports {
                other.add_edge(nodes[*from], nodes[*to], ());
            }
            let dominators = simple_fast(&other, nodes[0]);
            for (i, node) in nodes.iter().enumerate() {
                let dominated: BTreeSet<String> = (0..MODULES)
                    .filter(|j| {
                        let mut above = dominators.dominators(nodes[*j]).into_iter().flatten();
                        above.any(|above| above == *node)
                    })
                    .map(|j| format!("m{j}"))
                    .collect();
                prop_assert_eq!(exclusive.of(&[&format!("m{i}")]), dominated);
            }
        }
    }
}
