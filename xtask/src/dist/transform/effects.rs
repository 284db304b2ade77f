//! What importing a module changes outside of it.
//!
//! A module that registers, patches or configures something elsewhere must be imported when its
//! importer is, or whoever looks there finds nothing. The analysis is of statements at module level: calls
//! whose result nobody keeps, stores into what was imported, decorators that are not known to be
//! harmless. Each has an *owner*, the module in which the change can be seen. Importing is a change,
//! too: a module has the effects of what it imports when it starts. The changes that it makes to
//! itself and to modules below it do not count: nobody gets there without importing it.

use std::collections::{BTreeMap, BTreeSet};

use ruff_python_ast::{self as ast, Expr, Stmt};

use super::unit::Unit;
use crate::dist::collect::names::is_within;
use crate::dist::collect::{Origin, Tree};

/// Module -> the owners of what changes when it is imported.
pub type Effects = BTreeMap<String, BTreeSet<String>>;

/// Calls that change something that nobody misses before the module is there: they speak of the
/// module's own objects, or of the end of the process.
const HARMLESS: &[&str] = &[
    "atexit.register",
    "copyreg.pickle",
    "copyreg.constructor",
    "os.register_at_fork",
    "_os.register_at_fork",
    "weakref.finalize",
    "logging.captureWarnings",
];

/// The last parts of names of harmless calls. `X.register(Own)`: of a class of the module's own there are
/// no instances before it exists. `_convert_`: an enumeration becomes constants of the module.
const HARMLESS_METHODS: &[&str] = &["addHandler", "setLevel", "_convert_", "_convert", "addFilter"];

/// Modules of the standard library that change something elsewhere. All others were read: what they register
/// is of their own types, or is asked for by way of them only.
const STDLIB: &[&str] =
    &["antigravity", "readline", "rlcompleter", "site", "sitecustomize", "this"];

/// A decorator of such a name makes something known. All other functions that decorate are taken for
/// what they mostly are: they put something around what they are given.
const ANNOUNCES: &[&str] = &[
    "add",
    "attach",
    "bind",
    "command",
    "connect",
    "event",
    "expose",
    "export",
    "handle",
    "hook",
    "implements",
    "install",
    "listen",
    "on",
    "plugin",
    "provide",
    "receiver",
    "record",
    "register",
    "route",
    "rule",
    "subscribe",
    "task",
];

/// Works out the effects of every module.
pub fn of_all(units: &[Unit<'_>], tree: &Tree) -> Effects {
    let mut effects = Effects::new();
    let mut imports: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for unit in units {
        let none = BTreeSet::new;
        if tree.modules[unit.name].origin == Origin::Stdlib {
            let changes = STDLIB.contains(&unit.name);
            effects.insert(
                unit.name.to_owned(),
                changes.then(|| "sys".to_owned()).into_iter().collect(),
            );
            continue;
        }
        let mut reader = Reader { unit, tree, owners: none(), read: none(), imports: none() };
        reader.statements(unit.body.iter().copied());
        reader.owners.retain(|owner| !is_within(owner, unit.name));
        effects.insert(unit.name.to_owned(), reader.owners);
        imports.insert(unit.name, reader.imports);
    }
    loop {
        let mut changed = false;
        for (name, targets) in &imports {
            let mut owners: BTreeSet<String> = BTreeSet::new();
            for target in targets {
                owners.extend(effects.get(target).into_iter().flatten().cloned());
            }
            owners.retain(|owner| !is_within(owner, name));
            let own = effects.entry((*name).to_owned()).or_default();
            let before = own.len();
            own.extend(owners);
            changed |= own.len() != before;
        }
        if !changed {
            return effects;
        }
    }
}

struct Reader<'r, 's> {
    unit: &'r Unit<'s>,
    tree: &'r Tree,
    owners: BTreeSet<String>,
    /// Functions of the module that have been read.
    read: BTreeSet<String>,
    /// Modules that are imported when this one is.
    imports: BTreeSet<String>,
}

impl Reader<'_, '_> {
    fn statements<'t>(&mut self, statements: impl IntoIterator<Item = &'t Stmt>) {
        for statement in statements {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Import(import) => import.names.iter().for_each(|a| self.import(statement, a)),
            Stmt::ImportFrom(import) => import.names.iter().for_each(|a| self.import(statement, a)),
            Stmt::Expr(expression) => self.value(&expression.value),
            Stmt::Assign(assign) => assign.targets.iter().for_each(|target| self.store(target)),
            Stmt::AugAssign(assign) => self.store(&assign.target),
            Stmt::AnnAssign(assign) => self.store(&assign.target),
            Stmt::Delete(delete) => delete.targets.iter().for_each(|target| self.store(target)),
            Stmt::FunctionDef(function) => {
                for decorator in &function.decorator_list {
                    if !self.unit.is_pure_decorator(decorator) {
                        self.decorator(decorator);
                    }
                }
            }
            Stmt::ClassDef(class) => {
                for decorator in &class.decorator_list {
                    if !self.unit.is_pure_class_decorator(decorator) {
                        self.decorator(decorator);
                    }
                }
            }
            Stmt::If(branches) => {
                if !is_main_guard(&branches.test) {
                    self.statements(&branches.body);
                }
                for clause in &branches.elif_else_clauses {
                    self.statements(&clause.body);
                }
            }
            Stmt::For(each) => {
                self.statements(&each.body);
                self.statements(&each.orelse);
            }
            Stmt::While(each) => self.statements(&each.body),
            Stmt::With(with) => {
                self.statements(&with.body);
            }
            Stmt::Try(attempt) => {
                self.statements(&attempt.body);
                for ast::ExceptHandler::ExceptHandler(handler) in &attempt.handlers {
                    self.statements(&handler.body);
                }
                self.statements(&attempt.orelse);
                self.statements(&attempt.finalbody);
            }
            Stmt::Match(choice) => choice.cases.iter().for_each(|case| self.statements(&case.body)),
            _ => {}
        }
    }

    fn import(&mut self, statement: &Stmt, alias: &ast::Alias) {
        self.imports.extend(self.unit.targets(statement, alias, self.tree).unwrap_or_default());
    }

    /// An expression whose value nobody keeps.
    fn value(&mut self, expression: &Expr) {
        let Expr::Call(call) = expression else { return };
        let meaning = self.unit.meaning(&call.func);
        if meaning.as_deref().is_some_and(|meaning| HARMLESS.contains(&meaning)) {
            return;
        }
        match call.func.as_ref() {
            Expr::Attribute(method) => {
                let method_name = method.attr.id.as_str();
                let own_class = method_name == "register"
                    && call.arguments.args.iter().all(|argument| self.is_own(argument));
                if !own_class && !HARMLESS_METHODS.contains(&method_name) {
                    self.owner_of(&method.value);
                }
            }
            // A function of the module's own is read like a statement, as far as it can be.
            Expr::Name(name) if !self.unit.imports.contains_key(name.id.as_str()) => {
                let own = self.unit.body.iter().find_map(|statement| match statement {
                    Stmt::FunctionDef(function) if function.name.id == name.id => Some(function),
                    _ => None,
                });
                if let Some(function) = own.filter(|own| self.read.insert(own.name.id.to_string()))
                {
                    self.statements(&function.body);
                }
            }
            function => self.owner_of(function),
        }
    }

    fn is_own(&self, expression: &Expr) -> bool {
        matches!(expression, Expr::Name(name) if !self.unit.imports.contains_key(name.id.as_str())
            && !super::names::is_builtin(name.id.as_str()))
    }

    fn decorator(&mut self, decorator: &ast::Decorator) {
        let function = match &decorator.expression {
            Expr::Call(call) => call.func.as_ref(),
            other => other,
        };
        let (name, of_object) = match function {
            Expr::Name(name) => (name.id.as_str(), false),
            // A method of an object, not a function of a module.
            Expr::Attribute(attribute) => {
                let module = self.unit.meaning(&attribute.value);
                let known = |name: String| self.tree.modules.contains_key(&name);
                (attribute.attr.id.as_str(), !module.is_some_and(known))
            }
            _ => return self.owner_of(function),
        };
        let announces = |word: &str| ANNOUNCES.contains(&word);
        if of_object || name.to_lowercase().split('_').any(announces) {
            self.owner_of(function);
        }
    }

    fn store(&mut self, target: &Expr) {
        match target {
            Expr::Attribute(attribute) => self.owner_of(&attribute.value),
            Expr::Subscript(subscript) => self.owner_of(&subscript.value),
            Expr::Tuple(tuple) => tuple.elts.iter().for_each(|target| self.store(target)),
            _ => {}
        }
    }

    /// What changes belongs to the module that the expression's first name was imported from.
    fn owner_of(&mut self, expression: &Expr) {
        let mut root = expression;
        loop {
            root = match root {
                Expr::Attribute(attribute) => &attribute.value,
                Expr::Subscript(subscript) => &subscript.value,
                Expr::Call(call) => &call.func,
                _ => break,
            };
        }
        let Expr::Name(name) = root else { return };
        let Some(means) = self.unit.imports.get(name.id.as_str()) else { return };
        // `from module import name`, or a module.
        let module = match self.tree.modules.contains_key(means) {
            true => means.as_str(),
            false => means.rsplit_once('.').map_or(means.as_str(), |(module, _)| module),
        };
        self.owners.insert(module.to_owned());
    }
}

/// `__name__ == "__main__"`: not when it is imported.
fn is_main_guard(test: &Expr) -> bool {
    let Expr::Compare(compare) = test else { return false };
    matches!(compare.left.as_ref(), Expr::Name(name) if name.id.as_str() == "__name__")
}
