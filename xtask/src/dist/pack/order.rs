//! In which order a start uses what is packed.

use std::collections::BTreeSet;

use crate::dist::collect::Kind;
use crate::dist::collect::names::parents;
use crate::dist::prune::Kept;
use crate::dist::scan::EdgeKind;

/// What comes up before the application, in this order.
const BEFORE: [&str; 4] = ["encodings", "encodings.aliases", "encodings.utf_8", "_sitebuiltins"];

/// The modules with bytecode, those that a start uses first: as a trace has seen them, else as the imports at
/// the top of modules follow each other from the entry on. What else ships is left out.
pub fn of<'k>(kept: &'k Kept, entry: &str) -> Vec<&'k str> {
    let mut order = Order { kept, seen: BTreeSet::new(), names: Vec::new() };
    let traced: Vec<&str> = kept.order.iter().map(String::as_str).collect();
    for name in &traced {
        order.add(name);
    }
    if traced.is_empty() {
        let main = format!("{entry}.__main__");
        for name in BEFORE.into_iter().chain([entry, &main]) {
            order.follow(name);
        }
    }
    order.names
}

struct Order<'k> {
    kept: &'k Kept,
    seen: BTreeSet<&'k str>,
    names: Vec<&'k str>,
}

impl<'k> Order<'k> {
    /// Puts a module next; whether it is new.
    fn add(&mut self, name: &str) -> Option<&'k str> {
        let (name, module) = self.kept.graph.tree.modules.get_key_value(name)?;
        let is_new = self.seen.insert(name);
        if is_new && matches!(module.kind, Kind::Source | Kind::Bytecode) {
            self.names.push(name);
        }
        is_new.then_some(name)
    }

    /// Puts a module next, after the packages above it, and then what it imports when it runs.
    fn follow(&mut self, name: &str) {
        // Not by recursion: chains of imports are as long as applications are large.
        let mut waiting: Vec<String> = vec![name.to_owned()];
        while let Some(name) = waiting.pop() {
            let above = parents(&name).find(|up| !self.seen.contains(up) && self.knows(up));
            if let Some(above) = above.map(str::to_owned) {
                waiting.extend([name, above]);
                continue;
            }
            let Some(name) = self.add(&name) else { continue };
            let runs = [EdgeKind::TopLevel, EdgeKind::Guarded, EdgeKind::Extension, EdgeKind::Rule];
            let edges = self.kept.graph.edges.get(name).into_iter().flatten();
            let mut edges: Vec<_> = edges.filter(|edge| runs.contains(&edge.kind)).collect();
            edges.sort_by_key(|edge| edge.line);
            waiting.extend(edges.iter().rev().map(|edge| edge.to.clone()));
        }
    }

    fn knows(&self, name: &str) -> bool {
        self.kept.graph.tree.modules.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::collect::{Module, Origin};
    use crate::dist::scan::Edge;

    fn kept(edges: &[(&str, &str, u32)]) -> Kept {
        let mut kept = Kept::default();
        let graph = &mut kept.graph;
        for (from, to, line) in edges {
            for name in [from, to] {
                let module = Module {
                    kind: Kind::Source,
                    package: false,
                    file: None,
                    path: format!("{name}.py"),
                    origin: Origin::Stdlib,
                };
                graph.tree.modules.insert((*name).to_owned(), module);
            }
            let edge = Edge { to: (*to).to_owned(), kind: EdgeKind::TopLevel, line: *line };
            graph.edges.entry((*from).to_owned()).or_default().push(edge);
        }
        kept
    }

    #[test]
    fn imports_follow_each_other_as_they_run() {
        let mut kept = kept(&[
            ("app", "json.decoder", 2),
            ("app", "zlib_user", 1),
            ("json", "json.scanner", 1),
            ("json.decoder", "app", 1),
            ("zlib_user", "abc", 1),
            ("other", "abc", 1),
        ]);
        let expected = ["app", "zlib_user", "abc", "json", "json.scanner", "json.decoder"];
        assert_eq!(of(&kept, "app"), expected);
        // Whoever has watched knows better.
        kept.order = ["json", "gone", "app"].map(str::to_owned).into();
        assert_eq!(of(&kept, "app"), ["json", "app"]);
    }
}
