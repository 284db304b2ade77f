//! What a zygote imports before it forks the application.

use anyhow::{Result, bail};
use pyrmware_payload::Entry;

use crate::dist::prune::Kept;
use crate::dist::scan::EdgeKind;

/// Module names, one a line, in this order: what is configured, with a `+` as it is imported whole; else what a
/// trace has seen; else what the main module imports at its top.
///
/// # Errors
/// A configured module does not ship.
pub fn of(kept: &Kept, entry: &Entry, configured: Option<&[String]>) -> Result<String> {
    let modules = &kept.graph.tree.modules;
    if let Some(names) = configured {
        if let Some(missing) = names.iter().find(|name| !modules.contains_key(*name)) {
            bail!(
                "[package.metadata.pyrmware.service] preload names the module {missing}, which does not ship; \
                 `cargo xtask why {missing}` says why"
            );
        }
        return Ok(lines(names.iter().map(|name| format!("+{name}"))));
    }
    let main = format!("{}.__main__", entry.module());
    let main = if modules.contains_key(&main) { &main } else { entry.module() };
    // It runs as `__main__`, after the fork.
    let is_main = |name: &str| matches!(entry, Entry::Module(_)) && name == main;
    if !kept.order.is_empty() {
        return Ok(lines(kept.order.iter().filter(|name| !is_main(name)).cloned()));
    }
    let edges = kept.graph.edges.get(main).into_iter().flatten();
    let mut edges: Vec<_> = edges.filter(|edge| edge.kind == EdgeKind::TopLevel).collect();
    edges.sort_by_key(|edge| edge.line);
    let ships = |name: &String| modules.contains_key(name) && !is_main(name);
    Ok(lines(edges.iter().map(|edge| edge.to.clone()).filter(ships)))
}

fn lines(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join("\n")
}
