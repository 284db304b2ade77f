//! Plan -> [`Tree`]: every module, resource, extension module and distribution, with its origin.
//!
//! Folders are walked as Python's path finder would: the first root that has a module wins, namespace
//! packages (PEP 420) are merged. The order is that of `python -m` on stock Python: what libpython holds,
//! the application, the standard library, the dependencies.

pub mod application;
mod dependencies;
pub mod device;
pub mod elf;
pub mod names;
mod stdlib;
mod walk;

#[cfg(test)]
pub mod fixture;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Result;

use super::resolve::Plan;

/// Everything that could go in. Keys are ordered, so that every later stage is deterministic.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Dotted name -> module. A package's `__init__` has the package's name.
    pub modules: BTreeMap<String, Module>,
    /// Path inside the payload ("flask/py.typed", "flask-3.0.0.dist-info/METADATA") -> resource.
    pub resources: BTreeMap<String, Resource>,
    /// Shared libraries that extension modules bring ("numpy.libs/libopenblas.so"): path inside the payload -> file.
    pub libraries: BTreeMap<String, Resource>,
    /// Distributions by normalised name.
    pub distributions: BTreeMap<String, Distribution>,
    /// Shared objects, extension modules and libraries alike, by path inside the payload.
    pub objects: BTreeMap<String, Object>,
    /// What is worth telling the user: modules that hide others, `.pth` files that nobody will read, …
    pub notes: Vec<String>,
}

/// Where something comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The application itself.
    Application,
    /// A distribution, by normalised name.
    Dependency(String),
    /// The interpreter's standard library.
    Stdlib,
    /// Pyrmware's own runtime.
    Runtime,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Application => f.write_str("the application"),
            Origin::Dependency(name) => f.write_str(name),
            Origin::Stdlib => f.write_str("the standard library"),
            Origin::Runtime => f.write_str("Pyrmware's runtime"),
        }
    }
}

/// One importable module.
#[derive(Debug, Clone)]
pub struct Module {
    /// What it is.
    pub kind: Kind,
    /// Whether it can have submodules.
    pub package: bool,
    /// The file on the developer's machine; a namespace package has none.
    pub file: Option<PathBuf>,
    /// The file's path inside the payload, with its source suffix: "flask/app.py", "psutil/_psutil_linux.abi3.so".
    pub path: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// What a module is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Python source.
    Source,
    /// Bytecode without source, as a dependency ships it.
    Bytecode,
    /// A shared object.
    Extension,
    /// A PEP 420 namespace package: no file.
    Namespace,
    /// Inside libpython (built in or frozen): known to the graph, not in the payload.
    Interpreter,
}

/// A file that is not imported.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Its content.
    pub content: Content,
    /// Where it comes from.
    pub origin: Origin,
    /// The package that owns it and with which it is kept or dropped; none: kept with its distribution,
    /// or always when the application has it.
    pub package: Option<String>,
}

/// Bytes on disk, or made by the pipeline.
#[derive(Debug, Clone)]
pub enum Content {
    /// A file.
    File(PathBuf),
    /// Made up here (the application's own METADATA).
    Bytes(Vec<u8>),
}

/// An installed distribution.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Distribution {
    /// As its METADATA writes it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Top-level import names.
    pub modules: Vec<String>,
    /// Its folder inside the payload: "flask-3.0.0.dist-info".
    pub info: String,
    /// What it offers to be loaded by name: group -> name -> "module:attr".
    pub entry_points: BTreeMap<String, BTreeMap<String, String>>,
}

/// What a shared object asks of the dynamic linker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object {
    /// Its DT_SONAME.
    pub soname: Option<String>,
    /// Its DT_NEEDED, in order.
    pub needed: Vec<String>,
    /// Of which library it needs which version of symbols: ("libc.so.6", "GLIBC_2.34").
    pub versions: Vec<(String, String)>,
    /// Why it cannot work in this launcher, one clause; an error as soon as it is kept.
    pub fault: Option<String>,
}

impl Tree {
    /// The payload's libraries that must be loaded before the shared object `path`, dependencies first.
    pub fn preloads(&self, path: &str) -> Vec<String> {
        let mut order = Vec::new();
        self.preload(path, &self.sonames(), &mut BTreeSet::from([path.to_owned()]), &mut order);
        order
    }

    fn preload(
        &self,
        path: &str,
        sonames: &BTreeMap<String, String>,
        seen: &mut BTreeSet<String>,
        order: &mut Vec<String>,
    ) {
        for library in self.objects.get(path).iter().flat_map(|object| &object.needed) {
            if let Some(found) = sonames.get(library)
                && seen.insert(found.clone())
            {
                self.preload(found, sonames, seen, order);
                order.push(found.clone());
            }
        }
    }

    /// What the payload's libraries are asked for by -> path inside the payload.
    pub fn sonames(&self) -> BTreeMap<String, String> {
        let name = |path: &String| {
            let soname = self.objects.get(path).and_then(|object| object.soname.clone());
            soname.unwrap_or_else(|| path.rsplit('/').next().unwrap_or(path).to_owned())
        };
        self.libraries.keys().map(|path| (name(path), path.clone())).collect()
    }

    /// Libraries that the shared objects of the tree need and that the device must have: SONAME -> needed by (paths).
    pub fn system_libraries(&self) -> BTreeMap<String, Vec<String>> {
        let bundled = self.sonames();
        let mut system: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (path, object) in &self.objects {
            for library in object.needed.iter().filter(|name| !bundled.contains_key(*name)) {
                system.entry(library.clone()).or_default().push(path.clone());
            }
        }
        system
    }
}

/// Collects application, interpreter, dependencies and Pyrmware's runtime.
///
/// # Errors
/// A folder that cannot be read, an entry that is not there, an `include` pattern that matches nothing.
pub fn run(plan: &Plan) -> Result<Tree> {
    let paths = &plan.config.paths;
    let owners = dependencies::Owners::read(plan.site.as_deref())?;
    let mut roots = vec![walk::Root {
        dir: application::root(&plan.config.project),
        source: walk::Source::Application(&plan.config.project),
    }];
    for dir in [paths.runtime_api(), paths.importer_python()] {
        roots.push(walk::Root { dir, source: walk::Source::Runtime });
    }
    for dir in [&plan.interpreter.stdlib, &plan.interpreter.dynload] {
        roots.push(walk::Root { dir: dir.clone(), source: walk::Source::Stdlib });
    }
    if let Some(site) = &plan.site {
        roots.push(walk::Root { dir: site.clone(), source: walk::Source::Dependencies(&owners) });
    }
    let mut tree = walk::run(plan, &roots)?;
    stdlib::interpreter(plan, &mut tree);
    owners.describe(&mut tree)?;
    application::include(&plan.config.project, &mut tree)?;
    application::describe(&plan.config.project, &mut tree);
    application::check_entry(&plan.config.project, &tree)?;
    Ok(tree)
}
