//! [`Tree`] -> [`Graph`]: the imports of every module.

use std::collections::BTreeMap;

use super::collect::Tree;
use super::resolve::Plan;

/// The import graph over the tree.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// What was collected.
    pub tree: Tree,
    /// Importer -> what it imports. Targets are names in the tree; parents of a target are implied.
    pub edges: BTreeMap<String, Vec<Edge>>,
    /// Imports whose target is not in the tree: importer -> names. Most are optional dependencies.
    pub missing: BTreeMap<String, Vec<String>>,
    /// Calls that import by a computed name, not resolved: importer -> lines.
    pub dynamic: BTreeMap<String, Vec<u32>>,
}

/// One module asks for another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Edge {
    /// The module asked for.
    pub to: String,
    /// How.
    pub kind: EdgeKind,
    /// 1-based line in the importer's source; 0 where there is none (extension modules, rules).
    pub line: u32,
}

/// How a module asks for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EdgeKind {
    /// An import statement that runs with the module.
    TopLevel,
    /// In `try … except ImportError` (or a parent of it).
    Guarded,
    /// In a function body.
    InFunction,
    /// Under a platform or version test.
    Conditional,
    /// Under `TYPE_CHECKING`.
    TypeChecking,
    /// A string constant that names a module, or a literal argument of `import_module`.
    String,
    /// A name inside an extension module.
    Extension,
    /// A rule of ours: the interpreter or the standard library asks for it in a way nobody can read.
    Rule,
}

/// Reads the imports of every module.
///
/// # Errors
/// Not there yet.
pub fn run(_plan: &Plan, _tree: Tree) -> anyhow::Result<Graph> {
    anyhow::bail!("scan: not there yet")
}
