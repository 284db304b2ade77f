//! The Rust crates inside the launcher, as cargo resolved them.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::dist::resolve::Plan;

/// A crate whose code is in the launcher.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crate {
    pub name: String,
    pub version: String,
    /// SPDX expression, as the crate says; empty when it says none.
    pub license: String,
    /// Whether it lies in a folder (of this workspace) and comes from no registry.
    pub local: bool,
}

/// Asks cargo, without network: the launcher has just been built, so everything is there.
///
/// `cargo tree` and not `cargo metadata`, whose features are those of the whole workspace: xtask's would
/// be taken for the launcher's.
pub fn of_launcher(plan: &Plan) -> Result<BTreeSet<Crate>> {
    let output = Command::new(&plan.cargo)
        .arg("tree")
        .arg("--manifest-path")
        .arg(plan.config.paths.app_manifest())
        .args(["--offline", "--edges", "normal,no-proc-macro", "--target", &plan.target])
        .args(["--prefix", "none", "--format", "{p}|{l}"])
        .output()
        .with_context(|| format!("cannot start {}", plan.cargo.display()))?;
    if !output.status.success() {
        bail!(
            "cargo cannot list the launcher's crates\n{}",
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

/// Lines like `libc v0.2.177|MIT OR Apache-2.0`, `own v0.1.0 (/its/folder)|MIT (*)`.
fn parse(tree: &str) -> BTreeSet<Crate> {
    tree.lines()
        .filter_map(|line| {
            let (package, license) = line.split_once('|')?;
            let license = license.trim_end_matches(" (*)").trim();
            let mut words = package.split(' ');
            let name = words.next()?.to_owned();
            let version = words.next()?.trim_start_matches('v').to_owned();
            let local = words.next().is_some_and(|word| word.starts_with("(/"));
            // "MIT/Apache-2.0", as crates wrote it before SPDX.
            Some(Crate { name, version, license: license.replace('/', " OR "), local })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_read_without_repetitions_and_folders() {
        let tree = "\
own v0.1.0 (/home/dev/ws/app)|MIT
libc v0.2.177|MIT/Apache-2.0
own-format v0.2.0 (/home/dev/ws/app/payload)|
libc v0.2.177|MIT/Apache-2.0 (*)
";
        let found: Vec<_> = parse(tree)
            .into_iter()
            .map(|one| format!("{} {} {:?} {}", one.name, one.version, one.license, one.local))
            .collect();
        assert_eq!(
            found,
            [
                "libc 0.2.177 \"MIT OR Apache-2.0\" false",
                "own 0.1.0 \"MIT\" true",
                "own-format 0.2.0 \"\" true"
            ]
        );
    }
}
