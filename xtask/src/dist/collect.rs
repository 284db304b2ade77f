//! Plan -> [`Tree`]: every module, resource, extension module and distribution, with its origin.

use std::collections::BTreeMap;
use std::path::PathBuf;

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
    /// The package that owns it and with which it is kept or dropped; none: always kept.
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
}

/// Finds everything that could go in.
///
/// # Errors
/// Not there yet.
pub fn run(_plan: &Plan) -> anyhow::Result<Tree> {
    anyhow::bail!("collect: not there yet")
}
