//! Every module that ships is imported, each in a process of its own.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use pyrmware_payload::{Entry, PATTERNS, Payload};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::launcher::{self, Start};
use super::{Asked, REPORT_PRUNED, asked, limit, runner};
use crate::dist::collect::Kind;
use crate::dist::hex;
use crate::dist::link::Image;
use crate::dist::pack::Packed;
use crate::dist::resolve::Plan;
use crate::dist::scan::{Graph, Site};

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

/// Imports what the launcher has, each module in a fresh process. What was found the last time holds for a
/// module that has not changed, nor anything that it may import.
///
/// # Errors
/// The payload cannot be read; the launcher cannot run the script.
pub fn check(plan: &Plan, image: &Image) -> Result<Found> {
    let payload =
        Payload::open(&image.packed.payload).context("reading the payload that was just packed")?;
    let digests = Digests::of(image, &payload)?;
    let file = plan.config.paths.cache().join("imports").join(&digests.rest);
    // What cannot be read is found out again.
    let known = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let Known { modules: before, found: mut all } = known.unwrap_or_default();
    let graph = &image.packed.sealed.compiled.kept.graph;
    let changed = changed(graph, &before, &digests.modules);
    all.forget(&changed);
    let modules: Vec<String> =
        modules(plan, image).into_iter().filter(|name| changed.contains(name)).collect();
    if !modules.is_empty() {
        let args = ["-I".to_owned(), "-c".to_owned(), SCRIPT.to_owned()];
        let stdin = modules.join("\n");
        let mut variables = image.packed.sealed.environment();
        variables.extend([PYTHON, REPORT_PRUNED]);
        let runner = runner(plan);
        let start = Start { args: &args, variables: &variables, stdin: &stdin, runner };
        let (stdout, _) = launcher::run(&image.launcher, &start, limit(plan)).context(
            "the modules of the new launcher cannot be imported one by one; imports = false in \
             [tool.pyrmware.verify] does without this check",
        )?;
        all.add(read(&stdout));
    }
    let known = Known { modules: digests.modules, found: all };
    let folder = plan.config.paths.cache().join("imports");
    std::fs::create_dir_all(&folder)
        .and_then(|()| tempfile::NamedTempFile::new_in(&folder))
        .and_then(|mut temporary| {
            serde_json::to_writer(&mut temporary, &known)?;
            Ok(temporary.persist(&file)?)
        })
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(known.found)
}

/// What an earlier check came to.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Known {
    /// Module -> digest of what it was.
    modules: BTreeMap<String, String>,
    found: Found,
}

/// What the outcome of an import depends on.
struct Digests {
    /// Module -> its code, and the resources of its package.
    modules: BTreeMap<String, String>,
    /// Everything else: the launcher's own code, which modules there are and which are not, metadata.
    rest: String,
}

impl Digests {
    fn of(image: &Image, payload: &Payload<'_>) -> Result<Digests> {
        let Packed { sealed, sidecars, .. } = &image.packed;
        let mut rest = Sha256::new();
        rest.update(format!("{} {SCRIPT} {:?}", image.code, sealed.compiled.kept.dropped));
        let mut modules: BTreeMap<String, Sha256> = BTreeMap::new();
        let mut places = BTreeMap::new();
        for module in payload.modules() {
            rest.update(format!("{} {:?} {} ", module.name, module.kind, module.sidecar));
            modules.insert(module.name.to_owned(), Sha256::new());
            if let Some(file) = module.file {
                places.insert(file.path, module.name.to_owned());
            }
        }
        for file in payload.files() {
            let folders = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let owner = places.get(file.path).cloned().unwrap_or_else(|| folders.replace('/', "."));
            let lists = file.path.ends_with(".dist-info/RECORD") || file.path == PATTERNS;
            if lists {
                continue; // they tell of other files, and change with them
            }
            let hash = modules.get_mut(&owner).unwrap_or(&mut rest);
            hash.update(format!("{} {} ", file.path, file.len()));
            hash.update(file.bytes()?);
        }
        for (path, file) in sidecars {
            rest.update(path);
            let act = || format!("reading {}", file.display());
            rest.update(std::fs::read(file).with_context(act)?);
        }
        let modules = modules.into_iter().map(|(name, hash)| (name, hex(&hash.finalize())));
        Ok(Digests { modules: modules.collect(), rest: hex(&rest.finalize()) })
    }
}

/// The modules that are not what they were, and all that may import one of them. Who imports by computed
/// names may import any.
fn changed(
    graph: &Graph,
    before: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
) -> BTreeSet<String> {
    let differs = |(name, digest): &(&String, &String)| before.get(*name) != Some(*digest);
    let mut next: Vec<&str> = now.iter().filter(differs).map(|(name, _)| name.as_str()).collect();
    if !next.is_empty() {
        let at_once = |sites: &Vec<Site>| sites.iter().any(|site| site.function.is_empty());
        let dynamic = graph.dynamic.iter().filter(|(_, sites)| at_once(sites));
        next.extend(dynamic.map(|(name, _)| name.as_str()));
    }
    let mut importers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (importer, edges) in &graph.edges {
        for edge in edges {
            // A module comes with the packages above it.
            let above = edge.to.match_indices('.').map(|(at, _)| &edge.to[..at]);
            for target in above.chain([edge.to.as_str()]) {
                importers.entry(target).or_default().push(importer);
            }
        }
    }
    for name in now.keys() {
        if let Some((package, _)) = name.rsplit_once('.') {
            importers.entry(package).or_default().push(name);
        }
    }
    let mut found = BTreeSet::new();
    while let Some(name) = next.pop() {
        if found.insert(name.to_owned()) {
            next.extend(importers.get(name).into_iter().flatten());
        }
    }
    found
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

impl Found {
    /// Takes out what was found of these modules.
    fn forget(&mut self, modules: &BTreeSet<String>) {
        self.asked.retain(|asked| !modules.contains(&asked.importing));
        self.failed.retain(|module, _| !modules.contains(module));
    }

    fn add(&mut self, other: Found) {
        self.asked.extend(other.asked);
        self.failed.extend(other.failed);
    }
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
    use crate::dist::scan::{Edge, EdgeKind};

    #[test]
    fn what_may_import_something_that_changed_is_imported_again() {
        let edge = |to: &str| Edge { to: to.to_owned(), kind: EdgeKind::TopLevel, line: 1 };
        let site = |function: &str| Site {
            line: 1,
            function: function.to_owned(),
            lines: (1, 1),
            answered: false,
        };
        let graph = Graph {
            edges: BTreeMap::from([
                ("app".to_owned(), vec![edge("lib.inner")]),
                ("other".to_owned(), vec![edge("sys")]),
                ("plugins".to_owned(), vec![]),
            ]),
            dynamic: BTreeMap::from([
                ("plugins".to_owned(), vec![site("")]),
                ("other".to_owned(), vec![site("load")]),
            ]),
            ..Graph::default()
        };
        let names = ["app", "lib", "lib.inner", "lib.more", "other", "plugins"];
        let all = |digest: &str| -> BTreeMap<String, String> {
            names.iter().map(|name| ((*name).to_owned(), digest.to_owned())).collect()
        };
        let edited = |name: &str| {
            let mut now = all("1");
            now.insert(name.to_owned(), "2".to_owned());
            Vec::from_iter(changed(&graph, &all("1"), &now))
        };
        assert_eq!(edited("app"), ["app", "plugins"]);
        assert_eq!(edited("lib"), ["app", "lib", "lib.inner", "lib.more", "plugins"]);
        assert_eq!(edited("lib.inner"), ["app", "lib.inner", "plugins"]);
        assert!(changed(&graph, &all("1"), &all("1")).is_empty());
        assert_eq!(Vec::from_iter(changed(&graph, &BTreeMap::new(), &all("1"))), names);
    }

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
