//! [`Kept`] -> [`Transformed`]: what is done to each module before it is compiled.
//!
//! Nothing is rewritten here: a module's [`Form`] says what the worker that compiles it leaves out or
//! puts off. Lazy imports have the semantics of PEP 810; the idea of taking pure definitions out of
//! a module's code, too, is that of its generalisation to all bindings.

mod classes;
mod defer;
mod effects;
mod hooks;
mod locals;
mod makers;
mod names;
mod patterns;
mod purity;
#[cfg(test)]
mod tests;
mod unit;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};

use self::classes::Classes;
use self::locals::Asks;
pub use self::patterns::Pattern;
use self::unit::Unit;
use super::collect::names::is_within;
use super::collect::{Kind, Origin};
use super::compile::marshal::{Lines, Strip};
use super::parallel;
use super::protect;
use super::prune::Kept;
use super::resolve::Plan;
use super::scan::{Dialect, Edge, EdgeKind, Graph, Rules, Source};
use crate::config::{Docstrings, LazyImports, Mode, Optimize, Shape};

/// Kept, with the form in which each module is compiled.
#[derive(Debug, Clone, Default)]
pub struct Transformed {
    /// What ships.
    pub kept: Kept,
    /// Source module -> its form.
    pub forms: BTreeMap<String, Form>,
    /// Modules that others import when they start, if no import is lazy.
    pub eager: BTreeSet<String>,
    /// Module -> regular expressions in its source.
    pub patterns: BTreeMap<String, BTreeSet<Pattern>>,
}

/// What is done to a module before it is compiled.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Form {
    /// Whether docstrings stay.
    pub docstrings: bool,
    /// Whether `assert` statements run, and `__debug__` is true.
    pub assertions: bool,
    /// Whether lines stay, rather than the first one of each function alone.
    #[serde(skip)]
    pub lines: bool,
    /// Whether the module's file is told, rather than its name alone.
    #[serde(skip)]
    pub file_names: bool,
    /// Whether names of local variables stay.
    #[serde(skip)]
    pub names: bool,
    /// Whether the positions of code within its lines stay.
    #[serde(skip)]
    pub columns: bool,
    /// `if`s at module level of which a branch is taken: line, column, branch.
    pub folds: Vec<(u32, u32, u8)>,
    /// Star imports whose names are known, by position after folding: what of them is bound at once.
    pub stars: BTreeMap<usize, Vec<String>>,
    /// `__all__` written out: the statements that make it, its names, and whether it is a tuple.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all: Option<(Vec<usize>, Vec<String>, bool)>,
    /// What is bound when it is first asked for.
    pub defer: Vec<Deferral>,
    /// The module's path, to which [`Form::defer`] is found again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
}

/// Statements that run together when one of their names is first asked for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Deferral {
    /// The names that they bind.
    pub names: Vec<String>,
    /// Statements by position after folding, and what of an import statement.
    pub parts: Vec<(usize, Part)>,
}

/// What of a statement.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum Part {
    /// All of it.
    Whole(()),
    /// An alias of an import, by position.
    Alias(usize),
    /// A name that a star import brings, all of whose names are known.
    Star(String),
}

impl From<Kept> for Transformed {
    fn from(kept: Kept) -> Transformed {
        Transformed { kept, ..Transformed::default() }
    }
}

impl Form {
    /// The form in which nothing is done.
    pub fn plain() -> Form {
        Form {
            docstrings: true,
            assertions: true,
            lines: true,
            file_names: true,
            names: true,
            columns: true,
            folds: Vec::new(),
            stars: BTreeMap::new(),
            all: None,
            defer: Vec::new(),
            marker: None,
        }
    }

    /// The `co_filename` of a module. The one that tells no file is none that Python itself gives
    /// (`<string>`), and the launcher leaves it as it is.
    pub fn filename(&self, module: &str, path: &str) -> String {
        if self.file_names { path.to_owned() } else { pyrmware_payload::nameless(module) }
    }

    /// What goes from the module's bytecode, which says that it is of this file.
    pub fn strip<'a>(&self, filename: &'a str) -> Strip<'a> {
        let lines = match (self.lines, self.defer.is_empty()) {
            (true, _) => Lines::Keep,
            (false, true) => Lines::First,
            // By its line the launcher knows which of the names that wait are not yet there.
            (false, false) => Lines::FirstOfFunctions,
        };
        Strip { filename: Some(filename), lines, names: !self.names }
    }
}

/// Decides the form of every module that is compiled.
///
/// # Errors
/// A source file cannot be read.
pub fn run(plan: &Plan, mut kept: Kept) -> Result<Transformed> {
    let optimize = &plan.config.project.optimize;
    let Shape { lines, columns, file_names, .. } = optimize.shape;
    let sources = sources(&mut kept.graph, plan.interpreter.version)?;
    let rules = Rules::read(plan.interpreter.version, plan.config.project.prune.level)?;
    let docstrings = keep_docstrings(optimize, &kept.graph, &sources, &rules);
    let assertions = keep_assertions(optimize, &kept.graph, &rules);
    let nameless = without_names(optimize, &kept.graph, &sources, &mut kept.notes)?;
    let modules = &kept.graph.tree.modules;
    let coded = |name: &&String| matches!(modules[*name].kind, Kind::Source | Kind::Bytecode);
    let form = |name: &String| {
        let said =
            |all: Option<bool>, of: fn(&Shape) -> Option<bool>| optimize.own(name, of).or(all);
        // Those of a module without source are what they are.
        let has_source = sources.contains_key(name);
        let form = Form {
            docstrings: !has_source || docstrings.contains(name.as_str()),
            assertions: !has_source || assertions.contains(name.as_str()),
            lines: said(lines, |shape| shape.lines).unwrap_or(true),
            file_names: said(file_names, |shape| shape.file_names).unwrap_or(true),
            names: !nameless.contains(name.as_str()),
            columns: said(columns, |shape| shape.columns).unwrap_or(false),
            ..Form::plain()
        };
        (name.clone(), form)
    };
    let mut forms: BTreeMap<String, Form> = modules.keys().filter(coded).map(form).collect();
    let eager = imported_at_once(&kept.graph);
    let mut patterns = BTreeMap::new();
    let lazy = can_defer(plan);
    if lazy || optimize.patterns {
        let none = BTreeSet::new();
        let dialect = Dialect { version: Some(plan.interpreter.version), main: true, names: &none };
        // What does not parse is left as it is: compile reports it.
        let sound: Vec<(&String, &Arc<Source>)> =
            sources.iter().filter(|(_, source)| source.is_sound()).collect();
        let units = parallel::each(&sound, |(name, source)| {
            let package = kept.graph.tree.modules[*name].package;
            Unit::new(name, package, source, dialect)
        })?;
        if optimize.patterns {
            patterns = patterns::of_all(&units);
            // The table lies open in the payload.
            let modules = &kept.graph.tree.modules;
            patterns.retain(|name, _| protect::mode(plan, name, &modules[name]) == Mode::Bytecode);
        }
        if lazy {
            let curious = naming("__subclasses__", &kept.graph, &sources);
            defer(plan, &kept.graph, &units, &curious, &mut forms);
        }
    }
    Ok(Transformed { kept, forms, eager, patterns })
}

/// Decides what modules put off until it is asked for. `curious` may ask for all subclasses of a class.
fn defer(
    plan: &Plan,
    graph: &Graph,
    units: &[Unit<'_>],
    curious: &BTreeSet<Origin>,
    forms: &mut BTreeMap<String, Form>,
) {
    let classes = Classes::new(&graph.tree, units, curious);
    let effects = effects::of_all(units, &graph.tree, &classes);
    let world =
        defer::World::new(&graph.tree, units, &effects, &classes, &plan.interpreter.exports);
    for unit in units {
        if !is_chosen(&plan.config.project.optimize.lazy_imports, unit.name) {
            continue;
        }
        let (defer, stars) = world.defer(unit);
        let (Some(form), false) = (forms.get_mut(unit.name), defer.is_empty()) else {
            continue;
        };
        form.folds = unit.folds.clone();
        form.stars = stars;
        form.all = world.all(unit);
        form.defer = defer;
        form.marker = Some(graph.tree.modules[unit.name].path.clone());
    }
}

/// With a shared libpython nobody can stand before its evaluation loop.
fn can_defer(plan: &Plan) -> bool {
    plan.config.project.optimize.lazy_imports != LazyImports::Off && plan.link.is_static()
}

/// What comes up before the launcher does, and the launcher's own half, start as they are.
fn is_chosen(lazy: &LazyImports, name: &str) -> bool {
    let top = name.split('.').next().unwrap_or(name);
    let starts = matches!(
        top,
        "encodings" | "codecs" | "io" | "abc" | "_pyrmware_runtime" | "importlib" | "runpy"
    );
    // C code of _sqlite3 reads this one's dictionary as it is.
    let read_by_c = name == "sqlite3.dump";
    !starts
        && !read_by_c
        && match lazy {
            LazyImports::Off => false,
            LazyImports::Auto => true,
            LazyImports::Packages(packages) => packages.iter().any(|package| package == top),
        }
}

/// Source module -> its file: as scan has read it, or read now where nothing led there.
fn sources(graph: &mut Graph, version: (u8, u8)) -> Result<BTreeMap<String, Arc<Source>>> {
    let mut known = std::mem::take(&mut graph.sources);
    let modules = graph.tree.modules.iter().filter(|(_, module)| module.kind == Kind::Source);
    let modules: Vec<(&String, &PathBuf)> =
        modules.filter_map(|(name, module)| Some((name, module.file.as_ref()?))).collect();
    known.retain(|name, _| graph.tree.modules.contains_key(name));
    let others: Vec<_> = modules.iter().filter(|(name, _)| !known.contains_key(*name)).collect();
    let read = parallel::each(&others, |(name, file)| {
        let act = || format!("reading module {name} from {}", file.display());
        let source = Source::parse(std::fs::read(file).with_context(act)?, version);
        Ok(((*name).clone(), Arc::new(source)))
    })?;
    let read = read.into_iter().collect::<Result<Vec<_>>>()?;
    known.extend(read);
    known.retain(|name, _| graph.tree.modules[name].kind == Kind::Source);
    Ok(known)
}

/// The modules whose docstrings stay. Who reads docstrings says so: `__doc__` is in the source. What a
/// distribution does so for may be anywhere in it (SQLAlchemy extends its own, docopt parses its user's,
/// which the application's are); a module of the standard library means its own. Of some it is known
/// that they read none of their own.
fn keep_docstrings<'f>(
    optimize: &Optimize,
    graph: &Graph,
    sources: &'f BTreeMap<String, Arc<Source>>,
    rules: &Rules,
) -> BTreeSet<&'f str> {
    let all = optimize.shape.docstrings.unwrap_or_default();
    let own = |name: &str| optimize.own(name, |shape| shape.docstrings);
    let needs = |name: &str| {
        own(name).is_none_or(|own| own == Docstrings::Auto)
            && rules.needs_docstrings(name, imports(graph, name))
    };
    let origin = |name: &str| &graph.tree.modules[name].origin;
    let readers = naming("__doc__", graph, sources);
    let reads = |name: &str| memchr::memmem::find(&sources[name].bytes, b"__doc__").is_some();
    let keeps = |name: &&str| match (own(name).unwrap_or(all), origin(name)) {
        _ if needs(name) => true,
        (Docstrings::Keep, _) | (Docstrings::Auto, Origin::Application) => true,
        (Docstrings::Strip, _) => false,
        (Docstrings::Auto, origin) if rules.is_silent(name, origin) => false,
        (Docstrings::Auto, Origin::Stdlib | Origin::Runtime) => reads(name),
        (Docstrings::Auto, origin) => readers.contains(origin),
    };
    sources.keys().map(String::as_str).filter(keeps).collect()
}

/// The modules whose assertions run: who needs them keeps them, unless something is said of him in
/// particular.
fn keep_assertions<'f>(optimize: &Optimize, graph: &'f Graph, rules: &Rules) -> BTreeSet<&'f str> {
    let all = optimize.shape.assertions.unwrap_or(true);
    let keeps = |name: &&str| {
        let needs = || rules.needs_assertions(name, imports(graph, name));
        optimize.own(name, |shape| shape.assertions).unwrap_or_else(|| all || needs())
    };
    graph.tree.modules.keys().map(String::as_str).filter(keeps).collect()
}

/// The modules whose local variables lose their names: nobody asks for them. A module of the standard
/// library asks for those of others where somebody wants to see them (`pdb`, `inspect`, `traceback`);
/// because of any other, what is not named itself in [`Optimize::packages`] keeps them. The launcher's own half
/// in Python keeps them: before it tells who holds memory, it tries that on variables whose names it knows.
fn without_names<'f>(
    optimize: &Optimize,
    graph: &Graph,
    sources: &'f BTreeMap<String, Arc<Source>>,
    notes: &mut Vec<String>,
) -> Result<BTreeSet<&'f str>> {
    let own = |name: &str| optimize.own(name, |shape| shape.names);
    let all = optimize.shape.names.unwrap_or(true);
    let origin = |name: &str| &graph.tree.modules[name].origin;
    let wanted = |name: &str| *origin(name) != Origin::Runtime && !own(name).unwrap_or(all);
    let mut nameless = BTreeSet::new();
    if !sources.keys().any(|name| wanted(name)) {
        return Ok(nameless);
    }
    let read: Vec<(&String, &Arc<Source>)> = sources.iter().collect();
    let read = parallel::each(&read, |(name, source)| (name.as_str(), locals::asked(source)))?;
    let foreign = |name: &str| !matches!(origin(name), Origin::Stdlib | Origin::Runtime);
    let curious: Vec<&str> = read
        .iter()
        .filter(|(name, asks)| *asks == Asks::Others && foreign(name))
        .map(|(name, _)| *name)
        .collect();
    if let Some(first) = curious.first().filter(|_| !all) {
        let more = match curious.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        notes.push(format!(
            "local variables keep their names: {first}{more} can ask for those of others; name what may \
             lose them in [tool.pyrmware.optimize.packages]"
        ));
    }
    for (name, asks) in read {
        let alone = curious.is_empty() || own(name).is_some();
        if wanted(name) && alone && asks == Asks::No {
            nameless.insert(name);
        }
    }
    Ok(nameless)
}

fn imports<'g>(graph: &'g Graph, name: &str) -> &'g [Edge] {
    graph.edges.get(name).map_or(&[], Vec::as_slice)
}

/// The origins in whose sources a word is.
fn naming(word: &str, graph: &Graph, sources: &BTreeMap<String, Arc<Source>>) -> BTreeSet<Origin> {
    let word = memchr::memmem::Finder::new(word);
    let named = sources.iter().filter(|(_, source)| word.find(&source.bytes).is_some());
    let origins = named.map(|(name, _)| graph.tree.modules[name].origin.clone());
    origins.filter(|origin| *origin != Origin::Stdlib).collect()
}

/// What modules import when they start. Where such an import waits, somebody else may count on it: he
/// finds the module as its package's attribute all the same. Who is below a module does not count, for
/// he comes after it.
fn imported_at_once(graph: &Graph) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (importer, edges) in &graph.edges {
        let targets = edges.iter().filter(|edge| {
            let runs = [EdgeKind::TopLevel, EdgeKind::Guarded, EdgeKind::Extension];
            runs.contains(&edge.kind) && graph.tree.modules.contains_key(&edge.to)
        });
        for target in targets.map(|edge| edge.to.as_str()) {
            let dots = target.match_indices('.').map(|(at, _)| &target[..at]);
            let outside = dots.chain([target]).filter(|name| !is_within(importer, name));
            found.extend(outside.map(str::to_owned));
        }
    }
    found
}
