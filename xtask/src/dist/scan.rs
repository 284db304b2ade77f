//! [`Tree`] -> [`Graph`]: the imports of every module.
//!
//! The application is read whole; the dependencies and the standard library as far as anything leads into
//! them, which is a fraction of them.

mod binary;
mod bytecode;
mod codecs;
mod condition;
mod parsed;
mod resolve;
mod rules;
mod source;
#[cfg(test)]
mod tests;
mod text;

pub use condition::{Truth, evaluate};
pub use parsed::Source;
pub use resolve::absolute;
pub use rules::Rules;
pub use source::Dialect;
pub use text::{elements, literal};

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::collect::{Kind, Module, Origin, Tree, elf, names};
use super::parallel;
use super::protect;
use super::resolve::Plan;
use crate::config::Level;

/// The import graph over the tree.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// What was collected.
    pub tree: Tree,
    /// Importer -> what it imports. Targets are names in the tree; parents of a target are implied.
    pub edges: BTreeMap<String, Vec<Edge>>,
    /// Importer -> imports that a rule says not to follow.
    pub cuts: BTreeMap<String, Vec<Cut>>,
    /// Imports whose target is not in the tree: importer -> names. Most are optional dependencies.
    pub missing: BTreeMap<String, Vec<String>>,
    /// Calls that import by a computed name. The standard library's are covered by rules.
    pub dynamic: BTreeMap<String, Vec<Site>>,
    /// What may not work, or not be the same, without sources, documentation or the rest of a package.
    pub hazards: BTreeMap<String, BTreeSet<Hazard>>,
    /// Modules that every launcher needs -> why.
    pub roots: BTreeMap<String, String>,
    /// Importer -> normalised names of the distributions that its strings name (`importlib.metadata`).
    pub metadata: BTreeMap<String, Vec<String>>,
    /// Source files that are no Python of the target's version -> the error. Compile reports those that ship.
    pub unparsable: BTreeMap<String, String>,
    /// The source files that were read.
    pub sources: BTreeMap<String, Arc<Source>>,
}

/// A call that imports by a computed name.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Site {
    /// 1-based.
    pub line: u32,
    /// The function that it is in, as `__qualname__` has it without `<locals>`; empty: the module's own code.
    pub function: String,
    /// First and last line of that function, or of the call.
    #[serde(skip)]
    pub lines: (u32, u32),
    /// Whether it is known what it asks for: a formatted name in the function fits modules, or
    /// `[tool.pyrmware.prune.dynamic]` says it.
    pub answered: bool,
}

/// A place whose outcome may depend on what a launcher does not carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Hazard {
    /// 1-based.
    pub line: u32,
    /// What it does.
    pub kind: HazardKind,
}

/// What a hazard does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HazardKind {
    /// Uses a docstring that may have been stripped, as if it were always there.
    Doc,
    /// Looks up entry points: what they name must ship.
    EntryPoints,
    /// Lists the modules of a package: those that ship.
    IterModules,
    /// Reads source code: there is none.
    Source,
}

impl HazardKind {
    /// What a call of a function of this name does.
    fn of_call(name: &str) -> Option<HazardKind> {
        match name {
            "getsource" | "getsourcelines" | "findsource" => Some(HazardKind::Source),
            "iter_modules" | "walk_packages" => Some(HazardKind::IterModules),
            "entry_points" | "iter_entry_points" => Some(HazardKind::EntryPoints),
            _ => None,
        }
    }
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

/// An import that is not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The import.
    pub edge: Edge,
    /// The rule's reason, one clause.
    pub reason: String,
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
    /// Under a test that the build cannot decide, in an `except` clause, or in what follows a guarded import.
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

impl Edge {
    /// For people: `importer:12 (in a function)`.
    pub fn asked_by(&self, importer: &str) -> String {
        match self.line {
            0 => format!("{importer} ({})", self.kind.label()),
            line => format!("{importer}:{line} ({})", self.kind.label()),
        }
    }
}

impl EdgeKind {
    /// For people, behind a line number.
    pub fn label(self) -> &'static str {
        match self {
            EdgeKind::TopLevel => "top level",
            EdgeKind::Guarded => "guarded",
            EdgeKind::InFunction => "in a function",
            EdgeKind::Conditional => "under a condition",
            EdgeKind::TypeChecking => "for type checking",
            EdgeKind::String => "in a string",
            EdgeKind::Extension => "in its binary",
            EdgeKind::Rule => "by a rule",
        }
    }
}

/// Reads every module that something leads to and resolves what it asks for.
///
/// # Errors
/// A file that cannot be read, a cut of an import that runs with its module.
pub fn run(plan: &Plan, tree: Tree) -> Result<Graph> {
    let version = plan.interpreter.version;
    let level = plan.config.project.prune.level;
    let rules = rules::Rules::read(version, level)?;
    // At `all`, other platforms and versions are followed as well.
    let dialect = (level > Level::All).then_some(version);
    let mut roots = rules.roots(&tree);
    roots.extend(protect::needs(plan, &tree));
    let mut graph = Graph { roots, ..Graph::default() };
    let answers = &plan.config.project.prune.dynamic;
    let resolver = resolve::Resolver::new(&tree, &rules, answers);

    let mut wave = starts(plan, &tree, &graph.roots);
    let mut facts: BTreeMap<String, Facts> = BTreeMap::new();
    while !wave.is_empty() {
        let (read, sources) = read_all(&tree, &wave, &resolver, version, dialect)?;
        graph.sources.extend(sources);
        let mut next = BTreeSet::new();
        for name in read.keys() {
            next.extend(names::parents(name).map(str::to_owned));
        }
        for (name, found) in &read {
            let resolved = resolver.resolve(name, found);
            next.extend(resolved.edges.iter().map(|edge| edge.to.clone()));
            resolved.store(name, &mut graph);
            check_cuts(name, graph.cuts.get(name).map_or(&[], Vec::as_slice))?;
        }
        facts.extend(read);
        if next.iter().all(|name| facts.contains_key(name)) {
            // Names that only the other files' facts decide: formatted ones, star imports.
            for (name, edges) in resolver.across(&facts) {
                next.extend(edges.iter().map(|edge| edge.to.clone()));
                for site in graph.dynamic.get_mut(&name).into_iter().flatten() {
                    let (first, last) = site.lines;
                    site.answered |= edges.iter().any(|edge| {
                        edge.kind == EdgeKind::String && (first..=last).contains(&edge.line)
                    });
                }
                graph.edges.entry(name).or_default().extend(edges);
            }
        }
        wave = next
            .into_iter()
            .filter(|name| tree.modules.contains_key(name) && !facts.contains_key(name))
            .collect();
    }
    check_answers(plan, &tree, &facts, &resolver)?;
    for edges in graph.edges.values_mut() {
        edges.sort();
        edges.dedup_by(|second, first| (&second.to, second.kind) == (&first.to, first.kind));
    }
    graph.edges.retain(|_, edges| !edges.is_empty());
    graph.tree = tree;
    Ok(graph)
}

/// Checks that every answer of `[tool.pyrmware.prune.dynamic]` is one.
fn check_answers(
    plan: &Plan,
    tree: &Tree,
    facts: &BTreeMap<String, Facts>,
    resolver: &resolve::Resolver<'_>,
) -> Result<()> {
    const KEY: &str = "[tool.pyrmware.prune.dynamic]";
    let modules = || tree.modules.keys().map(String::as_str);
    for (place, answer) in &plan.config.project.prune.dynamic {
        let module = place.split(':').next().unwrap_or_default();
        if !tree.modules.contains_key(module) {
            bail!("{KEY} {place:?}: there is no module {module}{}", names::hint(module, modules()));
        }
        for pattern in answer {
            if !modules().any(|name| names::fits(pattern, name)) {
                let name = pattern.strip_suffix(".*").unwrap_or(pattern);
                bail!(
                    "{KEY} {place:?}: no module fits {pattern:?}{}",
                    names::hint(name, modules())
                );
            }
        }
        // What nothing leads to was not read, and asks for nothing.
        let Some(Facts::Source(source)) = facts.get(module) else { continue };
        if !source.dynamic.iter().any(|site| resolver.is_at(module, site, place)) {
            let sites: Vec<String> = source
                .dynamic
                .iter()
                .map(|site| match site.function.as_str() {
                    "" => format!("{module}:{}", site.line),
                    function => format!("{module}:{function}"),
                })
                .collect();
            let known = if sites.is_empty() { "none".to_owned() } else { sites.join(", ") };
            bail!(
                "{KEY} {place:?}: nothing is imported by a computed name there; in {module}: {known}"
            );
        }
    }
    Ok(())
}

/// Refuses a cut that would keep its module from being imported.
fn check_cuts(importer: &str, cuts: &[Cut]) -> Result<()> {
    match cuts.iter().find(|cut| cut.edge.kind == EdgeKind::TopLevel) {
        None => Ok(()),
        Some(Cut { edge, reason }) => bail!(
            "scan/rules.toml: the cut {reason:?} would take {} from {importer}, which imports it at its \
             top, line {}; level = \"all\" in [tool.pyrmware.prune] does without cuts",
            edge.to,
            edge.line
        ),
    }
}

/// What is read first: the application, the entry if a dependency has it, and what stays in any case.
fn starts(plan: &Plan, tree: &Tree, roots: &BTreeMap<String, String>) -> BTreeSet<String> {
    let project = &plan.config.project;
    let entry = project.entry.module();
    let traced: BTreeSet<&str> = project.trace.names.iter().map(String::as_str).collect();
    let is_start = |name: &str, module: &Module| {
        module.origin == Origin::Application
            || name == entry
            || name.strip_suffix(".__main__") == Some(entry)
            || roots.contains_key(name)
            || traced.contains(name)
            || project.prune.keep.iter().any(|pattern| names::fits(pattern, name))
    };
    let modules = tree.modules.iter().filter(|(name, module)| is_start(name, module));
    modules.map(|(name, _)| name.clone()).collect()
}

/// What was read from one module.
enum Facts {
    Source(source::Facts),
    /// Names inside an extension module.
    Binary(BTreeSet<String>),
    /// Nothing to read: built in, a namespace.
    None,
}

/// Facts and sources of modules.
type Read = (BTreeMap<String, Facts>, BTreeMap<String, Arc<Source>>);

fn read_all(
    tree: &Tree,
    names: &BTreeSet<String>,
    resolver: &resolve::Resolver<'_>,
    version: (u8, u8),
    dialect: Option<(u8, u8)>,
) -> Result<Read> {
    let names: Vec<(&String, &Module)> =
        names.iter().filter_map(|name| tree.modules.get_key_value(name)).collect();
    let read = parallel::each(&names, |(name, module)| {
        read_one(name, module, resolver, version, dialect)
            .with_context(|| format!("cannot read module {name} of {}", module.origin))
    })?;
    let (mut facts, mut sources) = Read::default();
    for ((name, _), read) in names.into_iter().zip(read) {
        let (found, source) = read?;
        facts.insert(name.clone(), found);
        sources.extend(source.map(|source| (name.clone(), Arc::new(source))));
    }
    Ok((facts, sources))
}

fn read_one(
    name: &str,
    module: &Module,
    resolver: &resolve::Resolver<'_>,
    version: (u8, u8),
    dialect: Option<(u8, u8)>,
) -> Result<(Facts, Option<Source>)> {
    let Some(file) = &module.file else { return Ok((Facts::None, None)) };
    let bytes = read_file(file)?;
    let facts = match module.kind {
        Kind::Source | Kind::Interpreter => {
            let main = module.origin != Origin::Stdlib;
            let names = resolver.names();
            let source = Source::parse(bytes, version);
            let facts = source::read(&source, Dialect { version: dialect, main, names });
            return Ok((Facts::Source(facts), Some(source)));
        }
        // What the standard library's own ask for is known: rules.toml has it.
        Kind::Extension if module.origin == Origin::Stdlib => Facts::None,
        Kind::Extension => Facts::Binary(binary::read(name, &elf::data(&bytes), resolver.index())),
        Kind::Bytecode => Facts::Source(bytecode::read(&bytes, version, resolver.names())),
        Kind::Namespace => Facts::None,
    };
    Ok((facts, None))
}

fn read_file(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}
