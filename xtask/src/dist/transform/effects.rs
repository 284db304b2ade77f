//! What importing a module changes outside of it.
//!
//! A module that registers, patches or configures something elsewhere must be imported when its
//! importer is, or whoever looks there finds nothing. The analysis is of statements at module level: calls
//! whose result nobody keeps, stores into what was imported, decorators that are not known to be
//! harmless. Each has an *owner*, the module in which the change can be seen. Importing is a change,
//! too: a module has the effects of what it imports when it starts. The changes that it makes to
//! itself and to modules below it do not count: nobody gets there without importing it.

use std::collections::{BTreeMap, BTreeSet};

use ruff_python_ast::visitor::{Visitor, walk_expr, walk_stmt};
use ruff_python_ast::{self as ast, Expr, ExprContext, Stmt};

use super::classes::Classes;
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
    "warnings.warn",
];

/// Changes that were looked at: (module, owner, why nobody misses them before the module is used).
const VETTED: &[(&str, &str, &str)] = &[
    ("fastapi.openapi.models", "fastapi._compat", "rebuilds models of its own"),
    ("typing_extensions", "typing", "typing takes parameters with defaults, which only it makes"),
    ("werkzeug.urls", "codecs", "an error handler under a name of its own"),
    ("werkzeug.urls", "urllib", "links of iOS's installer have a host"),
];

/// The last parts of names of harmless calls. `X.register(Own)`: of a class of the module's own there are
/// no instances before it exists. `_convert_`: an enumeration becomes constants of the module.
const HARMLESS_METHODS: &[&str] = &["addHandler", "setLevel", "_convert_", "_convert", "addFilter"];

/// Modules of the standard library that are known to change something elsewhere. All others are taken to
/// register what is of their own types, or asked for by way of them only: an assumption, not an analysis.
const STDLIB: &[&str] =
    &["antigravity", "readline", "rlcompleter", "site", "sitecustomize", "this"];

/// Methods that change what they are called on.
pub const CHANGES: &[&str] =
    &["add", "append", "appendleft", "extend", "insert", "register", "setdefault", "update"];

/// Works out the effects of every module.
pub fn of_all(units: &[Unit<'_>], tree: &Tree, classes: &Classes<'_>) -> Effects {
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
        let mut reader =
            Reader { unit, tree, classes, owners: none(), read: none(), imports: none() };
        reader.statements(unit.body.iter().copied());
        let is_vetted =
            |owner: &str| VETTED.iter().any(|(module, of, _)| (*module, *of) == (unit.name, owner));
        reader.owners.retain(|owner| !is_within(owner, unit.name) && !is_vetted(owner));
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
    classes: &'r Classes<'r>,
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
            Stmt::Assign(assign) => {
                assign.targets.iter().for_each(|target| self.store(target));
                self.kept(&assign.value);
            }
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
                    if !self.unit.is_pure_class_decorator(decorator) && !self.is_register(decorator)
                    {
                        self.decorator(decorator);
                    }
                }
                self.owners.extend(self.classes.told(self.unit, class, 0));
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

    /// A value that is kept: what makes it is taken to do no more, unless it can be read and does.
    fn kept(&mut self, value: &Expr) {
        if let Expr::Call(call) = value
            && let Some(meaning) = self.unit.meaning(&call.func)
            && let Some((home, Stmt::FunctionDef(function))) = self.classes.find(&meaning)
            && !is_quiet_function(home, function, false)
        {
            self.owner_of(&call.func);
        }
    }

    /// `@Mapping.register`: there are no instances before the class exists.
    fn is_register(&self, decorator: &ast::Decorator) -> bool {
        const ABSTRACT: [&str; 4] = ["_collections_abc", "collections.abc", "numbers", "typing"];
        let Expr::Attribute(method) = &decorator.expression else { return false };
        let meaning = self.unit.meaning(&method.value);
        let home = meaning.as_deref().and_then(|meaning| meaning.rsplit_once('.'));
        method.attr.id.as_str() == "register"
            && home.is_some_and(|(home, _)| ABSTRACT.contains(&home))
    }

    fn is_own(&self, expression: &Expr) -> bool {
        matches!(expression, Expr::Name(name) if !self.unit.imports.contains_key(name.id.as_str())
            && !super::names::is_builtin(name.id.as_str()))
    }

    /// A decorator that can be read and changes nothing outside of itself puts something around what it
    /// is given; any other may make it known.
    fn decorator(&mut self, decorator: &ast::Decorator) {
        let (function, is_factory) = match &decorator.expression {
            Expr::Call(call) => (call.func.as_ref(), true),
            other => (other, false),
        };
        if !self.is_quiet(function, is_factory) {
            self.owner_of(function);
        }
    }

    /// Whether calling a function, and what it gives if that is called too, changes nothing outside. What
    /// is only defined in it runs later.
    fn is_quiet(&self, function: &Expr, is_factory: bool) -> bool {
        let meaning = self.unit.full_meaning(function);
        let Some((home, found)) = meaning.and_then(|meaning| self.classes.find(&meaning)) else {
            return false;
        };
        match found {
            Stmt::FunctionDef(function) => is_quiet_function(home, function, is_factory),
            Stmt::ClassDef(class) => class.body.iter().all(|statement| match statement {
                Stmt::FunctionDef(method) => match method.name.id.as_str() {
                    "__init__" | "__new__" => is_quiet_function(home, method, false),
                    "__call__" => !is_factory || is_quiet_function(home, method, false),
                    _ => true,
                },
                _ => true,
            }),
            _ => false,
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

/// Whether a function's body, and with `deep` that of functions in it, changes what belongs to neither its
/// arguments nor itself.
pub fn is_quiet_function(home: &Unit<'_>, function: &ast::StmtFunctionDef, deep: bool) -> bool {
    let mut reader = Body { home, quiet: true, deep };
    reader.visit_body(&function.body);
    reader.quiet
}

struct Body<'b, 's> {
    home: &'b Unit<'s>,
    quiet: bool,
    deep: bool,
}

impl Body<'_, '_> {
    /// Whether an expression begins with a name of the module.
    fn is_global(&self, expression: &Expr) -> bool {
        match expression {
            Expr::Attribute(attribute) => self.is_global(&attribute.value),
            Expr::Subscript(subscript) => self.is_global(&subscript.value),
            Expr::Call(call) => self.is_global(&call.func),
            Expr::Name(name) => self.home.bindings.counts.contains_key(name.id.as_str()),
            _ => false,
        }
    }
}

impl Visitor<'_> for Body<'_, '_> {
    fn visit_stmt(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Global(_) => self.quiet = false,
            Stmt::FunctionDef(function) => {
                if self.deep {
                    self.quiet &= is_quiet_function(self.home, function, false);
                }
                return;
            }
            Stmt::ClassDef(_) => return,
            _ => {}
        }
        walk_stmt(self, statement);
    }

    fn visit_expr(&mut self, expression: &Expr) {
        match expression {
            Expr::Attribute(ast::ExprAttribute { value, ctx: ExprContext::Store, .. })
            | Expr::Subscript(ast::ExprSubscript { value, ctx: ExprContext::Store, .. })
                if self.is_global(value) =>
            {
                self.quiet = false;
            }
            Expr::Call(call) => {
                if let Expr::Attribute(method) = call.func.as_ref()
                    && CHANGES.contains(&method.attr.id.as_str())
                    && self.is_global(&method.value)
                {
                    self.quiet = false;
                }
            }
            Expr::Lambda(_) => return,
            _ => {}
        }
        walk_expr(self, expression);
    }
}
