//! Which statements of a module are put off until their names are asked for.

use std::collections::{BTreeMap, BTreeSet};

use ruff_python_ast::{Expr, Operator, Stmt, StmtClassDef};

use super::classes::Classes;
use super::effects::Effects;
use super::names::{bound, is_builtin, names_in, reads};
use super::unit::{Optional, Unit};
use super::{Deferral, Part};
use crate::dist::collect::{Kind, Tree};
use crate::dist::scan::literal;
use pyrmware_payload::WRITES_ONLY;

/// What is known of all modules.
pub struct World<'w> {
    tree: &'w Tree,
    effects: &'w Effects,
    classes: &'w Classes<'w>,
    /// Modules in C -> what a star import of them brings.
    exports: &'w BTreeMap<String, BTreeSet<String>>,
    /// Module -> its `__all__`, where that is known.
    all: BTreeMap<&'w str, Vec<String>>,
}

/// A statement that may be put off, until something at module level turns out to need it.
struct Candidate<'s> {
    deferral: Deferral,
    /// What reads names when it runs.
    statements: Vec<&'s Stmt>,
    /// Whether it binds its names in several places.
    optional: bool,
}

/// What a module's star imports bring.
#[derive(Default)]
struct Stars<'w> {
    /// Those of modules whose `__all__` is known, by position.
    by_position: BTreeMap<usize, &'w [String]>,
    /// Name -> position of the statement that brings it.
    brought: BTreeMap<String, usize>,
}

impl<'w> World<'w> {
    /// Puts together what the modules tell of each other.
    pub fn new(
        tree: &'w Tree,
        units: &'w [Unit<'w>],
        effects: &'w Effects,
        classes: &'w Classes<'w>,
        exports: &'w BTreeMap<String, BTreeSet<String>>,
    ) -> World<'w> {
        let mut world = World { tree, effects, classes, exports, all: BTreeMap::new() };
        // One may be made of others.
        loop {
            let known = world.all.len();
            for unit in units {
                if !world.all.contains_key(unit.name)
                    && let Some(names) = world.exports(unit)
                {
                    world.all.insert(unit.name, names);
                }
            }
            if world.all.len() == known {
                return world;
            }
        }
    }

    /// The value of `__all__`, as far as the others' are known.
    fn exports(&self, unit: &Unit<'_>) -> Option<Vec<String>> {
        let parts = unit.all.as_ref()?.parts.iter().map(|(_, value)| self.strings(unit, value));
        Some(parts.collect::<Option<Vec<_>>>()?.concat())
    }

    /// Strings written out, and `__all__` of other modules.
    fn strings(&self, unit: &Unit<'_>, value: &Expr) -> Option<Vec<String>> {
        match value {
            Expr::List(list) => list.elts.iter().map(literal).collect(),
            Expr::Tuple(tuple) => tuple.elts.iter().map(literal).collect(),
            Expr::BinOp(sum) if sum.op == Operator::Add => {
                Some([self.strings(unit, &sum.left)?, self.strings(unit, &sum.right)?].concat())
            }
            Expr::Attribute(attribute) if attribute.attr.id.as_str() == "__all__" => {
                // A package's submodule is its attribute once it is imported.
                let module = unit.full_meaning(&attribute.value)?;
                self.all.get(module.as_str()).cloned()
            }
            _ => None,
        }
    }

    /// `__all__` written out, where it is made of that of others: its statements, and what it is.
    pub fn all(&self, unit: &Unit<'_>) -> Option<(Vec<usize>, Vec<String>, bool)> {
        let parts = &unit.all.as_ref()?.parts;
        let names = self.all.get(unit.name)?;
        if let [(_, Expr::List(_) | Expr::Tuple(_))] = parts.as_slice() {
            return None; // it is
        }
        let statements = parts.iter().map(|(index, _)| *index).collect();
        Some((statements, names.clone(), is_tuple(parts.first()?.1)))
    }

    /// What of a module is put off.
    ///
    /// Also what is left of star imports of which something is: position -> names.
    pub fn defer(&self, unit: &Unit<'_>) -> (Vec<Deferral>, BTreeMap<usize, Vec<String>>) {
        // If it is not known what a star import binds, nothing is known.
        let looks = unit.bindings.introspective && !WRITES_ONLY.contains(&unit.name);
        let stars = if looks { None } else { self.stars(unit) };
        let Some(stars) = stars else { return Default::default() };
        let mut candidates: Vec<Candidate<'_>> = Vec::new();
        let mut needed: BTreeSet<String> = BTreeSet::new();
        let all = self.all(unit).map(|(statements, ..)| statements).unwrap_or_default();
        for (index, statement) in unit.body.iter().enumerate() {
            if all.contains(&index) {
                continue; // it is written out, and reads nothing any more
            }
            let found = self.candidates(unit, &stars, index, statement);
            if found.is_empty() {
                needed.extend(reads(statement, unit.annotations));
            } else if let (Stmt::AnnAssign(assign), true) = (statement, unit.annotations) {
                // The annotation stays where it is.
                needed.extend(names_in(&assign.annotation));
            }
            candidates.extend(found);
        }
        needed.extend(looked_up(unit));
        let mut candidates = joined(candidates);
        loop {
            let is_needed = |candidate: &Candidate<'_>| {
                let Deferral { names, parts } = &candidate.deferral;
                let star = matches!(parts[0].1, Part::Star(_));
                let complete = |name| unit.bindings.counts.get(name) == Some(&parts.len());
                names.iter().any(|name| {
                    needed.contains(name) || !(star || candidate.optional || complete(name))
                })
            };
            let (eager, rest): (Vec<_>, Vec<_>) = candidates.into_iter().partition(is_needed);
            candidates = rest;
            if eager.is_empty() {
                let defer: Vec<_> = candidates.into_iter().map(|c| c.deferral).collect();
                let later = |index: &usize, name: &String| {
                    let part = (*index, Part::Star(name.clone()));
                    defer.iter().any(|deferral| deferral.parts.contains(&part))
                };
                let rest = stars.by_position.into_iter().map(|(index, names)| {
                    (index, names.iter().filter(|name| !later(&index, name)).cloned().collect())
                });
                let rest = rest.collect();
                return (defer, rest);
            }
            for candidate in eager {
                let statements = candidate.statements.into_iter();
                needed.extend(statements.flat_map(|s| reads(s, unit.annotations)));
            }
        }
    }

    /// What star imports bring; none if that is not known of one, or if two bring the same name.
    fn stars(&self, unit: &Unit<'_>) -> Option<Stars<'_>> {
        let mut stars = Stars::default();
        let mut count = 0;
        for (index, statement) in unit.body.iter().enumerate() {
            for base in star_imports(unit, statement) {
                count += 1;
                let base = base?;
                let mut bring = |name: &'_ str| {
                    stars.brought.insert(name.to_owned(), index).is_none().then_some(())
                };
                if let Some(names) = self.all.get(base.as_str()) {
                    names.iter().try_for_each(|name| bring(name))?;
                    if statement.is_import_from_stmt() {
                        stars.by_position.insert(index, names.as_slice());
                    }
                } else {
                    self.exports.get(&base)?.iter().try_for_each(|name| bring(name))?;
                }
            }
        }
        // One that was not seen.
        (unit.bindings.counts.get("*").copied().unwrap_or(0) == count).then_some(stars)
    }

    fn candidates<'s>(
        &self,
        unit: &Unit<'s>,
        stars: &Stars<'_>,
        index: usize,
        statement: &'s Stmt,
    ) -> Vec<Candidate<'s>> {
        let whole = |name: &str| Candidate {
            deferral: Deferral {
                names: vec![name.to_owned()],
                parts: vec![(index, Part::Whole(()))],
            },
            statements: vec![statement],
            optional: false,
        };
        // What a star import brings later takes the place of what was there.
        let stays = |name: &str| stars.brought.get(name).is_none_or(|at| *at > index);
        let usable = |name: &str| is_ordinary(name) && stays(name);
        let free = |name: &str| unit.bindings.once(name) && usable(name);
        let assigned = |target: &Expr, value: &Expr| match target {
            Expr::Name(name)
                if free(name.id.as_str())
                    && !value.is_literal_expr()
                    && !value.is_name_expr()
                    && unit.is_pure(value, &[]) =>
            {
                vec![whole(name.id.as_str())]
            }
            _ => Vec::new(),
        };
        match statement {
            Stmt::Import(import) => self.aliases(unit, index, statement, &import.names, true),
            Stmt::ImportFrom(import) => match stars.by_position.get(&index) {
                None => self.aliases(unit, index, statement, &import.names, false),
                Some(names) => {
                    let harmless = import
                        .names
                        .first()
                        .is_some_and(|alias| self.is_harmless(unit, statement, alias));
                    let sole = |name: &String| {
                        is_ordinary(name) && !unit.bindings.counts.contains_key(name)
                    };
                    if !harmless {
                        return Vec::new();
                    }
                    let star = |name: &String| Candidate {
                        deferral: Deferral {
                            names: vec![name.clone()],
                            parts: vec![(index, Part::Star(name.clone()))],
                        },
                        statements: Vec::new(),
                        optional: false,
                    };
                    names.iter().filter(|name| sole(name)).map(star).collect()
                }
            },
            Stmt::FunctionDef(function) => {
                let name = function.name.id.as_str();
                // Overloads come one after the other; they wait together, or not at all.
                let ways = unit.body.iter().filter(|other| {
                    matches!(other, Stmt::FunctionDef(other) if other.name.id == function.name.id)
                });
                let own = unit.bindings.counts.get(name) == Some(&ways.count())
                    && !unit.bindings.deleted.contains(name);
                let pure = own && usable(name) && unit.is_pure_function(function, &[]);
                pure.then(|| whole(name)).into_iter().collect()
            }
            Stmt::ClassDef(class) => {
                let name = class.name.id.as_str();
                let pure = free(name) && self.classes.is_pure(unit, class);
                pure.then(|| whole(name)).into_iter().collect()
            }
            Stmt::Assign(assign) => match assign.targets.as_slice() {
                [target] => assigned(target, &assign.value),
                _ => Vec::new(),
            },
            Stmt::AnnAssign(assign) => match &assign.value {
                Some(value) => assigned(&assign.target, value),
                None => Vec::new(),
            },
            Stmt::Try(_) => {
                let found = Optional::of(statement);
                let names = found.filter(|optional| self.can_wait(unit, optional));
                let names = names.and_then(|optional| unit.own_names(&optional));
                let names = names
                    .filter(|names| !names.is_empty() && names.iter().all(|name| usable(name)));
                let parts = vec![(index, Part::Whole(()))];
                let candidate = |names| Candidate {
                    deferral: Deferral { names, parts },
                    statements: vec![statement],
                    optional: true,
                };
                names.map(candidate).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether nobody notices when an optional import runs.
    fn can_wait(&self, unit: &Unit<'_>, optional: &Optional<'_>) -> bool {
        let mut local: Vec<String> = Vec::new();
        optional.attempt().chain(optional.answers()).all(|statement| {
            let (aliases, plain) = match statement {
                Stmt::Import(import) => (&import.names, true),
                Stmt::ImportFrom(import) => (&import.names, false),
                Stmt::Assign(assign) => return unit.is_pure(&assign.value, &local),
                _ => return true,
            };
            let quiet = |alias| {
                let targets = unit.targets(statement, alias, self.tree);
                // What is not there does nothing.
                !self.is_other_than_submodule(unit, statement, alias)
                    && targets.is_none_or(|names| names.iter().all(|name| self.is_quiet(name)))
            };
            local.extend(aliases.iter().map(|alias| bound(alias, plain).to_owned()));
            aliases.iter().all(quiet)
        })
    }

    fn aliases<'s>(
        &self,
        unit: &Unit<'s>,
        index: usize,
        statement: &'s Stmt,
        names: &[ruff_python_ast::Alias],
        plain: bool,
    ) -> Vec<Candidate<'s>> {
        names
            .iter()
            .enumerate()
            .filter(|(_, alias)| {
                let name = bound(alias, plain);
                name != "*"
                    && unit.is_import_only(name)
                    && is_ordinary(name)
                    && !self.is_other_than_submodule(unit, statement, alias)
                    && self.is_harmless(unit, statement, alias)
            })
            .map(|(at, alias)| Candidate {
                deferral: Deferral {
                    names: vec![bound(alias, plain).to_owned()],
                    parts: vec![(index, Part::Alias(at))],
                },
                statements: Vec::new(),
                optional: false,
            })
            .collect()
    }

    /// A package that binds a name of one of its submodules to something else: importing the submodule binds
    /// it, too, and the last one wins.
    fn is_other_than_submodule(
        &self,
        unit: &Unit<'_>,
        statement: &Stmt,
        alias: &ruff_python_ast::Alias,
    ) -> bool {
        let name = bound(alias, statement.is_import_stmt());
        let submodule = format!("{}.{name}", unit.name);
        self.tree.modules.contains_key(&submodule)
            && unit.imports.get(name).is_none_or(|means| *means != submodule)
    }

    /// Whether an import can wait: the modules are there, and change nothing outside of them.
    fn is_harmless(
        &self,
        unit: &Unit<'_>,
        statement: &Stmt,
        alias: &ruff_python_ast::Alias,
    ) -> bool {
        let Some(targets) = unit.targets(statement, alias, self.tree) else { return false };
        // What libpython has is there at once.
        let costs = |name: &String| self.tree.modules[name].kind != Kind::Interpreter;
        targets.iter().any(costs) && targets.iter().all(|name| self.is_quiet(name))
    }

    /// Whether importing a module changes nothing outside of it.
    fn is_quiet(&self, module: &str) -> bool {
        self.effects.get(module).is_none_or(BTreeSet::is_empty)
    }
}

/// Whether a name may be bound late: one of a builtin would mean that until then, and the interpreter looks
/// for special ones itself.
fn is_ordinary(name: &str) -> bool {
    !is_builtin(name) && !name.starts_with("__")
}

/// The modules of which a statement imports everything, at module level or in a `try` there; none for one
/// that is not known.
fn star_imports(unit: &Unit<'_>, statement: &Stmt) -> Vec<Option<String>> {
    match statement {
        Stmt::ImportFrom(import) if import.names.iter().any(|alias| &alias.name.id == "*") => {
            vec![unit.base(import)]
        }
        Stmt::Try(attempt) => {
            attempt.body.iter().flat_map(|statement| star_imports(unit, statement)).collect()
        }
        _ => Vec::new(),
    }
}

/// Names that `dataclasses` looks for in a module's dictionary without asking for them: it tells a
/// ClassVar by finding `typing`, or `ClassVar` itself, under the name that an annotation's text begins with.
fn looked_up(unit: &Unit<'_>) -> BTreeSet<String> {
    const SPECIAL: [&str; 3] = ["typing", "typing_extensions", "dataclasses"];
    const MARKS: [&str; 3] = ["ClassVar", "InitVar", "KW_ONLY"];
    let has_fields = |class: &StmtClassDef| class.body.iter().any(Stmt::is_ann_assign_stmt);
    let classes = unit.body.iter().filter_map(|statement| statement.as_class_def_stmt());
    if !classes.into_iter().any(has_fields) {
        return BTreeSet::new();
    }
    let is_mark = |means: &str| {
        means
            .rsplit_once('.')
            .is_some_and(|(module, name)| SPECIAL.contains(&module) && MARKS.contains(&name))
    };
    let special = |means: &str| SPECIAL.contains(&means) || is_mark(means);
    let imported = unit.imports.iter().filter(|(_, means)| special(means)).map(|(name, _)| name);
    let other_names = unit.body.iter().filter_map(|statement| {
        let assign = statement.as_assign_stmt()?;
        let [Expr::Name(name)] = assign.targets.as_slice() else { return None };
        let value = assign.value.as_subscript_expr().map_or(&*assign.value, |mark| &mark.value);
        unit.meaning(value).is_some_and(|means| is_mark(&means)).then(|| name.id.to_string())
    });
    imported.cloned().chain(other_names).collect()
}

/// Whether a sum gives a tuple.
fn is_tuple(value: &Expr) -> bool {
    match value {
        Expr::BinOp(sum) => is_tuple(&sum.left),
        Expr::Tuple(_) => true,
        Expr::Attribute(_) => true, // not known; what it is used for takes either
        _ => false,
    }
}

/// Statements that bind the same name (`import a.b`, `import a.c`) run together.
fn joined(candidates: Vec<Candidate<'_>>) -> Vec<Candidate<'_>> {
    let mut joined: Vec<Candidate<'_>> = Vec::new();
    for candidate in candidates {
        let same = |other: &&mut Candidate<'_>| other.deferral.names == candidate.deferral.names;
        match joined.iter_mut().find(same) {
            Some(other) => {
                other.deferral.parts.extend(candidate.deferral.parts);
                other.statements.extend(candidate.statements);
            }
            None => joined.push(candidate),
        }
    }
    joined
}
