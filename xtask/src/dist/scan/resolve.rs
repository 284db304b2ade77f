//! Facts -> edges: names as written become names in the tree.

use std::collections::{BTreeMap, BTreeSet};

use super::binary::Index;
use super::codecs::Codecs;
use super::rules::Rules;
use super::{Cut, Edge, EdgeKind, Facts, Graph, Hazard, Site, source};
use crate::dist::collect::names::{fits, is_dotted, is_within, normalise, wildcard};
use crate::dist::collect::{Origin, Tree};

/// Names under which the interpreter keeps another module.
const ALIASES: [(&str, &str); 1] = [("os.path", "posixpath")];

/// Parts of the standard library that a mere string does not bring in: documentation and tables of
/// renamed modules name them, programs that use them import them.
const NOT_BY_STRING: [&str; 6] =
    ["idlelib", "lib2to3", "test", "tkinter", "turtledemo", "distutils"];

/// Groups of entry points that the command line uses, not the program.
const SCRIPTS: [&str; 2] = ["console_scripts", "gui_scripts"];

/// Resolves names against one tree.
pub struct Resolver<'a> {
    tree: &'a Tree,
    rules: &'a Rules,
    /// `[tool.pyrmware.prune.dynamic]`.
    answers: &'a BTreeMap<String, Vec<String>>,
    index: Index,
    codecs: Codecs,
    names: BTreeSet<&'a str>,
    /// Group of entry points -> modules.
    groups: BTreeMap<&'a str, Vec<&'a str>>,
}

/// What one module's facts come to.
#[derive(Debug, Default)]
pub struct Resolved {
    pub edges: Vec<Edge>,
    cuts: Vec<Cut>,
    missing: BTreeSet<String>,
    metadata: BTreeSet<String>,
    dynamic: Vec<Site>,
    hazards: BTreeSet<Hazard>,
    error: Option<String>,
}

impl Resolved {
    /// Adds it to the graph under its module's name.
    pub fn store(self, name: &str, graph: &mut Graph) {
        graph.edges.insert(name.to_owned(), self.edges);
        if !self.cuts.is_empty() {
            graph.cuts.insert(name.to_owned(), self.cuts);
        }
        if !self.missing.is_empty() {
            graph.missing.insert(name.to_owned(), self.missing.into_iter().collect());
        }
        if !self.metadata.is_empty() {
            graph.metadata.insert(name.to_owned(), self.metadata.into_iter().collect());
        }
        if !self.dynamic.is_empty() {
            graph.dynamic.insert(name.to_owned(), self.dynamic);
        }
        if !self.hazards.is_empty() {
            graph.hazards.insert(name.to_owned(), self.hazards);
        }
        if let Some(error) = self.error {
            graph.unparsable.insert(name.to_owned(), error);
        }
    }
}

impl<'a> Resolver<'a> {
    /// Prepares the tables of a tree.
    pub fn new(
        tree: &'a Tree,
        rules: &'a Rules,
        answers: &'a BTreeMap<String, Vec<String>>,
    ) -> Resolver<'a> {
        let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for distribution in tree.distributions.values() {
            for (group, names) in &distribution.entry_points {
                if !SCRIPTS.contains(&group.as_str()) {
                    let modules =
                        names.values().map(|value| value.split(':').next().unwrap_or("").trim());
                    groups.entry(group).or_default().extend(modules);
                }
            }
        }
        let (index, codecs) = (Index::new(tree), Codecs::new(tree));
        Resolver { tree, rules, answers, index, codecs, names: rules.names(), groups }
    }

    /// The names to look for in binaries.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The identifiers to look for in sources.
    pub fn names(&self) -> &BTreeSet<&'a str> {
        &self.names
    }

    fn has(&self, name: &str) -> bool {
        self.tree.modules.contains_key(name)
    }

    fn is_stdlib(&self, name: &str) -> bool {
        self.tree.modules.get(name).is_some_and(|module| module.origin == Origin::Stdlib)
    }

    /// The package that a module's relative names start from.
    fn package<'n>(&self, name: &'n str) -> &'n str {
        match self.tree.modules.get(name) {
            Some(module) if module.package => name,
            _ => name.rsplit_once('.').map_or("", |(package, _)| package),
        }
    }

    /// The edges of one module, as far as its own facts decide.
    pub fn resolve(&self, name: &str, facts: &Facts) -> Resolved {
        let mut found = Resolved::default();
        match facts {
            Facts::Source(facts) => {
                self.imports(name, facts, &mut found);
                self.calls(name, facts, &mut found);
                if !self.is_stdlib(name) {
                    self.strings(name, facts, &mut found);
                    self.sites(name, facts, &mut found);
                }
                found.hazards.clone_from(&facts.hazards);
                for mention in &facts.mentions {
                    for to in self.rules.mentioned(name, mention, self.tree) {
                        found.edges.push(Edge { to, kind: EdgeKind::Rule, line: 0 });
                    }
                }
                found.error.clone_from(&facts.error);
            }
            Facts::Binary(names) => {
                for to in names {
                    found.edges.push(Edge { to: to.clone(), kind: EdgeKind::Extension, line: 0 });
                }
            }
            Facts::None => {}
        }
        for to in self.rules.edges(name, self.tree) {
            found.edges.push(Edge { to, kind: EdgeKind::Rule, line: 0 });
        }
        let cuts = &mut found.cuts;
        found.edges.retain(|edge| {
            let cut = self.rules.cut(name, &edge.to, self.tree);
            cuts.extend(cut.map(|rule| Cut { edge: edge.clone(), reason: rule.reason.clone() }));
            edge.to != name && cut.is_none() && !self.rules.gives(&edge.to)
        });
        found
    }

    fn imports(&self, name: &str, facts: &source::Facts, found: &mut Resolved) {
        for import in &facts.imports {
            let Some(base) = absolute(self.package(name), import.level, &import.module) else {
                continue; // beyond the top-level package: Python refuses it as well
            };
            if !base.is_empty() {
                self.ask(&base, import.kind, import.line, found);
            }
            for part in import.names.iter().filter(|part| *part != "*") {
                let full = if base.is_empty() { part.clone() } else { format!("{base}.{part}") };
                if self.has(&full) {
                    found.edges.push(Edge { to: full, kind: import.kind, line: import.line });
                } else if let Some(target) = alias(&full) {
                    self.ask(target, import.kind, import.line, found);
                }
            }
        }
    }

    /// An edge to a module, or to its nearest parent that is there, with a note that it is missing.
    fn ask(&self, name: &str, kind: EdgeKind, line: u32, found: &mut Resolved) {
        let mut nearest = name;
        if let Some(target) = alias(name) {
            found.edges.push(Edge { to: target.to_owned(), kind, line });
        } else if !self.has(name) && kind != EdgeKind::TypeChecking {
            found.missing.insert(name.to_owned());
        }
        while !self.has(nearest) {
            match nearest.rsplit_once('.') {
                Some((parent, _)) => nearest = parent,
                None => return,
            }
        }
        found.edges.push(Edge { to: nearest.to_owned(), kind, line });
    }

    fn calls(&self, name: &str, facts: &source::Facts, found: &mut Resolved) {
        for call in &facts.calls {
            let level = call.name.len() - call.name.trim_start_matches('.').len();
            let package = call.package.as_deref().unwrap_or(self.package(name));
            let Some(full) = absolute(package, level as u32, &call.name[level..]) else { continue };
            if self.has(&full) || (call.imports && is_dotted(&full)) {
                self.ask(&full, EdgeKind::String, call.line, found);
            } else if is_dotted(&full) {
                self.longest(&full, 2, call.line, found);
            }
        }
    }

    /// Whether a key of `[tool.pyrmware.prune.dynamic]` is about a place in a module.
    pub fn is_at(&self, module: &str, site: &Site, key: &str) -> bool {
        match key.split_once(':') {
            None => key == module,
            Some((of, place)) => {
                of == module && (place == site.function || place == site.line.to_string())
            }
        }
    }

    fn sites(&self, name: &str, facts: &source::Facts, found: &mut Resolved) {
        for site in &facts.dynamic {
            let mut answered = false;
            for (_, answer) in self.answers.iter().filter(|(key, _)| self.is_at(name, site, key)) {
                answered = true;
                let fit = |to: &&String| answer.iter().any(|pattern| fits(pattern, to));
                let edge =
                    |to: &String| Edge { to: to.clone(), kind: EdgeKind::String, line: site.line };
                found.edges.extend(self.tree.modules.keys().filter(fit).map(edge));
            }
            found.dynamic.push(Site { answered, ..site.clone() });
        }
    }

    fn strings(&self, name: &str, facts: &source::Facts, found: &mut Resolved) {
        for (text, line) in &facts.strings {
            for module in self.groups.get(text.as_str()).into_iter().flatten() {
                self.ask(module, EdgeKind::String, *line, found);
            }
            if let Some(distribution) = Some(normalise(text))
                .filter(|distribution| self.tree.distributions.contains_key(distribution))
            {
                found.metadata.insert(distribution);
            }
            if let Some(codec) = self.codecs.module(text, self.tree) {
                found.edges.push(Edge { to: codec, kind: EdgeKind::String, line: *line });
            }
            self.string(name, text, *line, found);
        }
    }

    /// "package.module", "package.module:attribute", "package.module.Class", ".module".
    fn string(&self, name: &str, text: &str, line: u32, found: &mut Resolved) {
        let (module, attribute) = match text.split_once(':') {
            Some((module, attribute)) => (module, Some(attribute)),
            None => (text, None),
        };
        if attribute.is_some_and(|attribute| !is_dotted(attribute)) {
            return;
        }
        let level = module.len() - module.trim_start_matches('.').len();
        if level > 0 {
            let full = absolute(self.package(name), level as u32, &module[level..]);
            if let Some(full) = full.filter(|full| self.has(full) && level < module.len()) {
                found.edges.push(Edge { to: full, kind: EdgeKind::String, line });
            }
        } else if attribute.is_some() && self.has(module) && !self.is_stdlib(module) {
            found.edges.push(Edge { to: module.to_owned(), kind: EdgeKind::String, line });
        } else if is_dotted(module) {
            self.longest(module, 2, line, found);
        }
    }

    /// An edge to the longest prefix of a dotted name that is a module of at least `parts` parts.
    fn longest(&self, name: &str, parts: usize, line: u32, found: &mut Resolved) {
        if NOT_BY_STRING.iter().any(|package| is_within(name, package)) {
            return;
        }
        let mut prefix = name;
        while prefix.split('.').count() >= parts {
            if self.has(prefix) {
                found.edges.push(Edge { to: prefix.to_owned(), kind: EdgeKind::String, line });
                return;
            }
            prefix = prefix.rsplit_once('.').map_or("", |(parent, _)| parent);
        }
    }

    /// Edges that need more than one file's facts: `from package import *` takes in what `__all__` names;
    /// a formatted name counts inside a top package that imports by computed names.
    pub fn across(&self, facts: &BTreeMap<String, Facts>) -> BTreeMap<String, Vec<Edge>> {
        let sources = || {
            facts.iter().filter_map(|(name, facts)| match facts {
                Facts::Source(facts) => Some((name, facts)),
                _ => None,
            })
        };
        let top = |name: &str| name.split('.').next().unwrap_or("").to_owned();
        let dynamic: BTreeSet<String> = sources()
            .filter(|(name, facts)| !facts.dynamic.is_empty() && !self.is_stdlib(name))
            .map(|(name, _)| top(name))
            .collect();
        let mut edges: BTreeMap<String, Vec<Edge>> = BTreeMap::new();
        for (name, source) in sources() {
            let mut found = Vec::new();
            for import in
                source.imports.iter().filter(|import| import.names.contains(&"*".to_owned()))
            {
                let base = absolute(self.package(name), import.level, &import.module);
                let Some((base, Facts::Source(starred))) =
                    base.and_then(|base| facts.get_key_value(&base))
                else {
                    continue;
                };
                let submodules = starred.all.iter().map(|short| format!("{base}.{short}"));
                found.extend(submodules.filter(|to| self.has(to)).map(|to| Edge {
                    to,
                    kind: import.kind,
                    line: import.line,
                }));
            }
            if dynamic.contains(&top(name)) && !self.is_stdlib(name) {
                for (template, line) in &source.templates {
                    let direct = source.dynamic.iter().any(|site| site.line == *line);
                    let targets = self.fitting(name, template, direct);
                    let targets =
                        targets.filter(|to| self.rules.cut(name, to, self.tree).is_none());
                    found.extend(targets.map(|to| Edge {
                        to: to.clone(),
                        kind: EdgeKind::String,
                        line: *line,
                    }));
                }
            }
            found.retain(|edge| edge.to != *name);
            if !found.is_empty() {
                edges.insert(name.clone(), found);
            }
        }
        edges
    }

    /// The modules of the importer's top package that fit a template: ".protocol_*" fits
    /// `serial.urlhandler.protocol_loop`. One that is all placeholder counts only where it is imported.
    fn fitting<'s>(
        &'s self,
        importer: &'s str,
        template: &'s str,
        direct: bool,
    ) -> impl Iterator<Item = &'s String> {
        let top = importer.split('.').next().unwrap_or("");
        let parts: Vec<&str> = template.trim_start_matches('.').split('.').collect();
        let relative = template.starts_with('.');
        let speaks = parts.last().is_some_and(|part| part.chars().any(|c| c != '*'))
            || (!relative && parts.len() > 1 && parts[0] == top);
        let package = self.package(importer);
        let usable = !parts.contains(&"") && (relative || parts.len() > 1) && (speaks || direct);
        self.tree.modules.keys().filter(move |name| {
            if !usable || !is_within(name, top) {
                return false;
            }
            let own: Vec<&str> = name.split('.').collect();
            let fits = own.len() >= parts.len()
                && own
                    .iter()
                    .rev()
                    .zip(parts.iter().rev())
                    .all(|(own, part)| wildcard(part.as_bytes(), own.as_bytes()));
            match (relative, speaks) {
                (true, false) => fits && name.rsplit_once('.').is_some_and(|(p, _)| p == package),
                (true, true) => fits,
                (false, _) if parts[0].contains('*') => fits && speaks,
                (false, _) => fits && own.len() == parts.len(),
            }
        })
    }
}

fn alias(name: &str) -> Option<&'static str> {
    ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, target)| *target)
}

/// The absolute name of `module` after `level` dots in `package`; none beyond the top-level package.
pub fn absolute(package: &str, level: u32, module: &str) -> Option<String> {
    if level == 0 {
        return Some(module.to_owned());
    }
    let mut base = package;
    for _ in 1..level {
        base = base.rsplit_once('.').map(|(parent, _)| parent)?;
    }
    match (base.is_empty(), module.is_empty()) {
        (true, _) => None,
        (false, true) => Some(base.to_owned()),
        (false, false) => Some(format!("{base}.{module}")),
    }
}
