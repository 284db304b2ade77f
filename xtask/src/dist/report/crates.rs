//! The Rust crates inside the launcher, as cargo resolved them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::dist::hex;
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

/// Asks cargo, without network: the launcher has just been built, so everything is there. What it said is
/// kept until what it reads changes, for it takes as long as linking does.
///
/// # Errors
/// Cargo fails, or a file cannot be read or written.
pub fn of_launcher(plan: &Plan) -> Result<BTreeSet<Crate>> {
    let paths = &plan.config.paths;
    let mut state = Sha256::new_with_prefix(format!("{:?} {}", plan.cargo, plan.target));
    let manifests = [paths.app_manifest(), paths.app().join("payload/Cargo.toml")];
    for file in manifests.into_iter().chain([paths.root.join("Cargo.lock")]) {
        let act = || format!("cannot read {}", file.display());
        state.update(fs::read(&file).with_context(act)?);
    }
    let kept = paths.cache().join("crates").join(hex(&state.finalize()));
    if let Ok(tree) = fs::read_to_string(&kept) {
        return Ok(parse(&tree));
    }
    let tree = ask(plan)?;
    let act = || format!("cannot write {}", kept.display());
    let folder = kept.parent().with_context(act)?;
    fs::create_dir_all(folder).with_context(act)?;
    let mut file = NamedTempFile::new_in(folder).with_context(act)?;
    file.write_all(tree.as_bytes()).with_context(act)?;
    file.persist(&kept).with_context(act)?;
    Ok(parse(&tree))
}

/// `cargo tree` and not `cargo metadata`, whose features are those of the whole workspace: xtask's would
/// be taken for the launcher's.
fn ask(plan: &Plan) -> Result<String> {
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
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
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
