//! Classes whose creation nobody notices.
//!
//! Creating a class calls its metaclass, `__init_subclass__` of its bases and `__set_name__` of its
//! attributes. All bases must be found, as source or as types in C, and none of them may have a hook
//! that is not known to keep to itself.

use std::collections::{BTreeMap, BTreeSet};

use ruff_python_ast::{self as ast, Expr, Stmt};

use super::hooks::is_quiet_hook;
use super::unit::Unit;
use crate::dist::collect::{Kind, Origin, Tree};

/// Metaclasses that change nothing but the class.
const METACLASSES: &[&str] = &[
    "abc.ABCMeta",
    "builtins.type",
    "enum.EnumMeta",
    "enum.EnumType",
    "pydantic._internal._model_construction.ModelMetaclass",
    "typing.NamedTupleMeta",
    "typing._ProtocolMeta",
    "typing._TypedDictMeta",
    "typing_extensions._ProtocolMeta",
];

/// Bases that are known as a whole: what they do to a subclass changes nothing else.
const BASES: &[&str] = &[
    "abc.ABC",
    "enum.Enum",
    "enum.Flag",
    "enum.IntEnum",
    "enum.IntFlag",
    "enum.ReprEnum",
    "enum.StrEnum",
    "pydantic.BaseModel",
    "pydantic.main.BaseModel",
    "typing.Generic",
    "typing.NamedTuple",
    "typing.Protocol",
    "typing.TypedDict",
    "typing_extensions.Generic",
    "typing_extensions.NamedTuple",
    "typing_extensions.Protocol",
    "typing_extensions.TypedDict",
];

/// Re-exports are followed this far.
const FURTHEST: usize = 8;

/// The classes at module level of all modules.
pub struct Classes<'u> {
    tree: &'u Tree,
    units: BTreeMap<&'u str, &'u Unit<'u>>,
    defined: BTreeMap<(&'u str, &'u str), &'u ast::StmtClassDef>,
    /// Who asks for the subclasses that there are.
    curious: &'u BTreeSet<Origin>,
}

impl<'u> Classes<'u> {
    /// Finds the classes. `curious`: the origins whose code names `__subclasses__`.
    pub fn new(
        tree: &'u Tree,
        units: &'u [Unit<'u>],
        curious: &'u BTreeSet<Origin>,
    ) -> Classes<'u> {
        let mut defined = BTreeMap::new();
        for unit in units {
            for class in unit.body.iter().filter_map(|statement| statement.as_class_def_stmt()) {
                if unit.bindings.once(class.name.id.as_str()) {
                    defined.insert((unit.name, class.name.id.as_str()), class);
                }
            }
        }
        let units = units.iter().map(|unit| (unit.name, unit)).collect();
        Classes { tree, units, defined, curious }
    }

    /// The function or class at module level that a dotted name means, wherever it is defined.
    pub fn find(&self, meaning: &str) -> Option<(&'u Unit<'u>, &'u Stmt)> {
        let mut meaning = meaning.to_owned();
        for _ in 0..FURTHEST {
            let (module, name) = meaning.rsplit_once('.')?;
            let unit = *self.units.get(module)?;
            let found = unit.body.iter().find(|statement| match statement {
                Stmt::FunctionDef(function) => function.name.id.as_str() == name,
                Stmt::ClassDef(class) => class.name.id.as_str() == name,
                _ => false,
            });
            match found {
                Some(statement) => return Some((unit, statement)),
                None => meaning = unit.imports.get(name)?.clone(),
            }
        }
        None
    }

    /// The class among the bases of a class, and theirs, that is told of subclasses: its module. None if no
    /// base that can be found has such a hook.
    pub fn told(&self, unit: &Unit<'_>, class: &ast::StmtClassDef, depth: usize) -> Option<String> {
        let arguments = class.arguments.as_deref()?;
        for keyword in &arguments.keywords {
            if keyword.arg.as_ref().is_some_and(|name| name.id.as_str() == "metaclass")
                && !self.is_metaclass(unit, &keyword.value)
                && let Some(meaning) = unit.meaning(&keyword.value)
            {
                return Some(meaning.rsplit_once('.')?.0.to_owned());
            }
        }
        arguments.args.iter().find_map(|base| {
            let meaning = unit.full_meaning(unsubscripted(base))?;
            if depth > FURTHEST || BASES.binary_search(&meaning.as_str()).is_ok() {
                return None;
            }
            let (home, statement) = self.find(&meaning)?;
            let class = statement.as_class_def_stmt()?;
            let hooks = has_hook(home, class) && home.name != "typing";
            let owner = meaning.rsplit_once('.')?.0.to_owned();
            (hooks || self.told(home, class, depth + 1).is_some()).then_some(owner)
        })
    }

    /// Whether creating a class at module level changes nothing but its name.
    pub fn is_pure(&self, unit: &Unit<'_>, class: &ast::StmtClassDef) -> bool {
        let decorators = class.decorator_list.iter().all(|d| unit.is_pure_class_decorator(d));
        let arguments = class.arguments.as_deref();
        let bases = arguments.into_iter().flat_map(|arguments| &arguments.args);
        let keywords = arguments.into_iter().flat_map(|arguments| &arguments.keywords);
        decorators
            && class.type_params.is_none()
            && !self.is_curious(unit.name)
            && keywords.into_iter().all(|keyword| {
                keyword.arg.as_ref().is_some_and(|name| match name.id.as_str() {
                    "metaclass" => self.is_metaclass(unit, &keyword.value),
                    "total" => true,
                    _ => false,
                })
            })
            && bases.into_iter().all(|base| {
                unit.is_pure(base, &[]) && self.is_quiet(unit, base, &mut BTreeSet::new())
            })
            && is_pure_body(unit, &class.body)
    }

    /// Whether a metaclass changes nothing but the classes that it makes.
    fn is_metaclass(&self, unit: &Unit<'_>, expression: &Expr) -> bool {
        unit.full_meaning(expression)
            .is_some_and(|meaning| self.is_quiet_metaclass(&meaning, FURTHEST))
    }

    fn is_quiet_metaclass(&self, meaning: &str, steps: usize) -> bool {
        if METACLASSES.binary_search(&meaning).is_ok() {
            return true;
        }
        let Some((home, Stmt::ClassDef(class))) = self.find(meaning) else { return false };
        let Some(steps) = steps.checked_sub(1) else { return false };
        let Some(arguments) = class.arguments.as_deref() else { return false };
        let methods = ["__new__", "__init__", "__prepare__", "__call__", "__init_subclass__"];
        let quiet = |statement: &Stmt| match statement {
            Stmt::FunctionDef(function) => {
                !methods.contains(&function.name.id.as_str()) || is_quiet_hook(home, function)
            }
            _ => true,
        };
        // A metaclass that is changed later is another one then.
        let changed = |statement: &&Stmt| match statement {
            Stmt::Assign(assign) => assign.targets.iter().any(|target| {
                matches!(target, Expr::Attribute(attribute) if matches!(attribute.value.as_ref(),
                    Expr::Name(name) if name.id == class.name.id))
            }),
            _ => false,
        };
        arguments.keywords.is_empty()
            && class.decorator_list.is_empty()
            && class.body.iter().all(quiet)
            && !home.body.iter().any(changed)
            && arguments.args.iter().all(|base| {
                home.full_meaning(base).is_some_and(|base| self.is_quiet_metaclass(&base, steps))
            })
    }

    fn is_curious(&self, module: &str) -> bool {
        self.tree.modules.get(module).is_some_and(|module| self.curious.contains(&module.origin))
    }

    /// Whether subclassing `base` tells nobody.
    fn is_quiet(
        &self,
        unit: &Unit<'_>,
        base: &Expr,
        seen: &mut BTreeSet<(String, String)>,
    ) -> bool {
        let base = unsubscripted(base);
        if let Expr::Call(call) = base {
            let made = unit.meaning(&call.func);
            return made.is_some_and(|made| {
                made == "collections.namedtuple" || made == "typing.NamedTuple"
            });
        }
        let meaning = unit.full_meaning(base);
        let parts = meaning.as_deref().and_then(|meaning| meaning.rsplit_once('.'));
        parts.is_some_and(|(module, name)| self.is_quiet_class(module, name, seen, 0))
    }

    fn is_quiet_class(
        &self,
        module: &str,
        name: &str,
        seen: &mut BTreeSet<(String, String)>,
        depth: usize,
    ) -> bool {
        if module == "builtins" || !seen.insert((module.to_owned(), name.to_owned())) {
            return true;
        }
        let full = format!("{module}.{name}");
        if BASES.binary_search(&full.as_str()).is_ok() {
            return true;
        }
        if self.is_curious(module) || depth > FURTHEST {
            return false;
        }
        let Some(unit) = self.units.get(module) else {
            // A type in C has no hooks in Python.
            return self.tree.modules.get(module).is_some_and(|module| {
                matches!(module.kind, Kind::Extension | Kind::Interpreter) && module.file.is_none()
                    || module.kind == Kind::Extension
            });
        };
        let Some(class) = self.defined.get(&(module, name)) else {
            // Imported from elsewhere.
            let means = unit.imports.get(name).and_then(|means| means.rsplit_once('.'));
            return means
                .is_some_and(|(module, name)| self.is_quiet_class(module, name, seen, depth + 1));
        };
        let hooks = has_hook(unit, class);
        let arguments = class.arguments.as_deref();
        let mut keywords = arguments.into_iter().flat_map(|arguments| &arguments.keywords);
        let mut bases = arguments.into_iter().flat_map(|arguments| &arguments.args);
        !hooks
            && keywords.all(|keyword| {
                keyword.arg.as_ref().is_none_or(|name| name.id.as_str() != "metaclass")
                    || self.is_metaclass(unit, &keyword.value)
            })
            && bases.all(|base| self.is_quiet(unit, base, seen))
    }
}

/// What is made a subclass of: of `Base[T]` that is `Base`.
fn unsubscripted(base: &Expr) -> &Expr {
    base.as_subscript_expr().map_or(base, |subscript| &subscript.value)
}

/// Whether a class has itself told of subclasses, and passes that on.
fn has_hook(unit: &Unit<'_>, class: &ast::StmtClassDef) -> bool {
    class.body.iter().any(|statement| match statement {
        Stmt::FunctionDef(function) => {
            function.name.id.as_str() == "__init_subclass__" && !is_quiet_hook(unit, function)
        }
        _ => false,
    })
}

/// Whether a class body does nothing but bind its own names.
fn is_pure_body(unit: &Unit<'_>, body: &[Stmt]) -> bool {
    let mut local: Vec<String> = Vec::new();
    for statement in body {
        let (pure, name) = match statement {
            Stmt::FunctionDef(function) => {
                (unit.is_pure_function(function, &local), Some(function.name.id.to_string()))
            }
            Stmt::Assign(assign) => {
                let names: Option<Vec<String>> = assign.targets.iter().map(name_of).collect();
                let Some(names) = names else { return false };
                let pure = unit.is_pure(&assign.value, &local);
                local.extend(names);
                (pure, None)
            }
            Stmt::AnnAssign(assign) => {
                let value = assign.value.as_ref().is_none_or(|value| unit.is_pure(value, &local));
                let annotation = !unit.annotations || unit.is_pure(&assign.annotation, &local);
                let name = name_of(&assign.target);
                (value && annotation && name.is_some(), name)
            }
            Stmt::Expr(expression) => (unit.is_pure(&expression.value, &local), None),
            Stmt::ClassDef(class) => {
                let plain = class.decorator_list.is_empty()
                    && class.type_params.is_none()
                    && class.arguments.as_ref().is_none_or(|arguments| {
                        arguments.keywords.is_empty()
                            && arguments.args.iter().all(|base| {
                                let meaning = unit.meaning(base);
                                meaning.is_some_and(|meaning| meaning.starts_with("builtins."))
                            })
                    });
                (plain && is_pure_body(unit, &class.body), Some(class.name.id.to_string()))
            }
            Stmt::Pass(_) => (true, None),
            _ => (false, None),
        };
        if !pure {
            return false;
        }
        local.extend(name);
    }
    true
}

fn name_of(target: &Expr) -> Option<String> {
    match target {
        Expr::Name(name) => Some(name.id.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_can_be_searched() {
        assert!(METACLASSES.is_sorted() && BASES.is_sorted());
    }
}
