//! What `sysconfig` knows about the machine on which an interpreter was built stays there.

use super::worker::Neutral;
use crate::dist::collect::{Module, Origin};
use crate::dist::resolve::Plan;

/// Where an interpreter without a place of its own would live.
const PREFIX: &str = "/usr";

/// How the values of this module are made independent of the machine; none for all but
/// `_sysconfigdata_*`, whose `build_time_vars` hold prefix, build folder and configure's arguments.
pub fn of(plan: &Plan, name: &str, module: &Module) -> Option<Neutral> {
    if module.origin != Origin::Stdlib || !name.starts_with("_sysconfigdata_") {
        return None;
    }
    let text = |path: &std::path::Path| path.display().to_string();
    let interpreter = &plan.interpreter;
    let mut prefixes = vec![text(&interpreter.prefix)];
    for key in ["prefix", "exec_prefix", "base", "installed_base"] {
        prefixes.extend(interpreter.sysconfig.get(key).cloned());
    }
    prefixes.retain(|prefix| prefix.len() > 1 && prefix != PREFIX);
    // The longest first: /opt/python-3.11/debug before /opt/python-3.11.
    prefixes.sort_by_key(|prefix| (std::cmp::Reverse(prefix.len()), prefix.clone()));
    prefixes.dedup();

    let home = std::env::var("HOME").ok().map(|home| format!("{home}/"));
    let remove = [text(&plan.config.paths.root), text(&plan.config.paths.target)]
        .into_iter()
        .chain(home)
        .filter(|folder| folder.len() > 1)
        .collect();
    let replace = prefixes.into_iter().map(|old| (old, PREFIX.to_owned())).collect();
    Some(Neutral { replace, remove })
}
