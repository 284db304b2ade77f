//! Every module that ships is imported, each in a process of its own.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use pyrmware_payload::Entry;
use serde::{Deserialize, Serialize};

use super::launcher::{self, Start, TIMEOUT};
use super::{Asked, REPORT_PRUNED, asked};
use crate::dist::collect::Kind;
use crate::dist::link::Image;
use crate::dist::resolve::Plan;

/// With it the launcher acts as `python3`.
const PYTHON: (&str, &str) = ("PYRMWARE_PYTHON", "1");
const SCRIPT: &str = include_str!("../../python/imports.py");

/// What importing came to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Found {
    /// Pruned modules that were asked for.
    pub asked: BTreeSet<Asked>,
    /// Modules that could not be imported -> why. Most could not on stock Python either: they need
    /// another platform, a display, an optional dependency.
    pub failed: BTreeMap<String, String>,
}

/// Imports what the launcher has; what the same launcher came to the last time is remembered.
///
/// # Errors
/// The launcher cannot run the script.
pub fn check(plan: &Plan, image: &Image) -> Result<Found> {
    let verdict = plan.config.paths.cache().join("imports").join(&image.sha256);
    // A verdict that cannot be read is reached again.
    if let Some(found) = std::fs::read(&verdict).ok().and_then(|b| serde_json::from_slice(&b).ok())
    {
        return Ok(found);
    }
    let args = ["-I".to_owned(), "-c".to_owned(), SCRIPT.to_owned()];
    let modules = modules(plan, image).join("\n");
    let start = Start { args: &args, variables: &[PYTHON, REPORT_PRUNED], stdin: &modules };
    let (stdout, _) = launcher::run(&image.launcher, &start, TIMEOUT).context(
        "the modules of the new launcher cannot be imported one by one; imports = false in \
         [tool.pyrmware.verify] does without this check",
    )?;
    let found = read(&stdout);
    let folder = plan.config.paths.cache().join("imports");
    std::fs::create_dir_all(&folder)
        .and_then(|()| tempfile::NamedTempFile::new_in(&folder))
        .and_then(|mut file| {
            serde_json::to_writer(&mut file, &found)?;
            Ok(file.persist(&verdict)?)
        })
        .with_context(|| format!("cannot write {}", verdict.display()))?;
    Ok(found)
}

/// All but those that run as programs: what they do is the application's business.
fn modules(plan: &Plan, image: &Image) -> Vec<String> {
    let tree = &image.packed.sealed.compiled.kept.graph.tree;
    let runs = |name: &str| {
        let entry = &plan.config.project.entry;
        let whole = matches!(entry, Entry::Module(module) if module == name);
        let package = tree.modules.get(name).is_some_and(|module| module.package);
        name.rsplit('.').next() == Some("__main__") || (whole && !package)
    };
    let modules = tree.modules.iter().filter(|(_, module)| module.kind != Kind::Interpreter);
    modules.map(|(name, _)| name.clone()).filter(|name| !runs(name)).collect()
}

/// Reads the lines that [`SCRIPT`] writes.
fn read(lines: &str) -> Found {
    let mut found = Found::default();
    for line in lines.lines() {
        match line.splitn(3, '\t').collect::<Vec<_>>()[..] {
            ["said", module, text] => {
                let importing = module.to_owned();
                found.asked.extend(asked(text).map(|asked| Asked { importing, ..asked }));
            }
            ["failed", module, why] => {
                found.failed.insert(module.to_owned(), why.to_owned());
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_what_was_asked_for_and_what_failed() {
        let found = read(
            "said\ta.b\t<4>app: pruned module asked for: lzma, by a.b\nsaid\ta\tsomething else\n\
             failed\tc\tImportError: no\tsuch\nnoise\n",
        );
        let asked = asked("<4>app: pruned module asked for: lzma, by a.b").unwrap();
        let asked = Asked { importing: "a.b".to_owned(), ..asked };
        assert_eq!(found.asked, BTreeSet::from([asked]));
        let failed = BTreeMap::from([("c".to_owned(), "ImportError: no\tsuch".to_owned())]);
        assert_eq!(found.failed, failed);
    }
}
