//! Questions about a graph that has been pruned, for the verbs that explain an image.

use std::collections::{BTreeMap, BTreeSet};

use super::{Edge, Graph, Kept, reach};
use crate::config::Project;
use crate::dist::collect::names::is_within;

/// Module -> the first edge on the shortest way from the entry alone; the entry has none. What only an
/// entry point, `keep` or the interpreter itself brings in is not there.
pub fn from_entry(project: &Project, graph: &Graph) -> BTreeMap<String, Option<(String, Edge)>> {
    let dropped = reach::dropped_by_key(&project.prune, &graph.tree);
    reach::reach_from(project, reach::entry_modules(project), graph, &dropped)
}

/// What would leave with these modules and all below them, them included: what nothing else leads to.
///
/// This is the definition of an exclusive size. A dominator tree has the same answers for single modules
/// (the tests hold it to that), but none for a package that goes with everything below it.
pub fn exclusive(project: &Project, kept: &Kept, names: &[&str]) -> BTreeSet<String> {
    let mut gone = reach::dropped_by_key(&project.prune, &kept.graph.tree);
    let within = |name: &&String| names.iter().any(|package| is_within(name, package));
    gone.extend(kept.graph.tree.modules.keys().filter(within).cloned());
    let left = reach::reach(project, &kept.graph, &gone);
    kept.reason.keys().filter(|name| !left.contains_key(*name)).cloned().collect()
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
    use crate::dist::scan::EdgeKind;

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
                prop_assert_eq!(exclusive(&project, &kept, &[&format!("m{i}")]), dominated);
            }
        }
    }
}
