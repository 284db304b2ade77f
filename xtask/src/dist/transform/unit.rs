//! One module as the transforms see it: its statements with decided branches folded, and where its names
//! come from.

use std::collections::{BTreeMap, BTreeSet};

use ruff_python_ast::{self as ast, Expr, Stmt};
use ruff_text_size::Ranged;

use super::names::{Bindings, bound};
use crate::dist::collect::Tree;
use crate::dist::scan::{Dialect, Source, Truth, absolute, evaluate};

/// A module with its statements.
pub struct Unit<'s> {
    /// Dotted name.
    pub name: &'s str,
    /// Whether it is a package.
    pub package: bool,
    /// The module-level statements after folding.
    pub body: Vec<&'s Stmt>,
    /// Branches that are decided: line, column, 0 for the body of the `if` or 1 for what else there is.
    pub folds: Vec<(u32, u32, u8)>,
    /// What binds its names.
    pub bindings: Bindings,
    /// Names that plain import statements at module level bind -> what they mean: `re`, `typing.Any`.
    pub imports: BTreeMap<String, String>,
    /// Whether annotations are evaluated when a function is defined.
    pub annotations: bool,
    /// Names that one statement binds, to what never changes: imports, functions, classes, constants.
    pub stable: BTreeSet<String>,
    /// Functions at module level that only make what they give.
    pub makers: BTreeSet<String>,
    /// What makes `__all__`, if that can be told.
    pub all: Option<All<'s>>,
}

impl<'s> Unit<'s> {
    /// Takes a parsed file apart.
    pub fn new(name: &'s str, package: bool, source: &'s Source, dialect: Dialect<'_>) -> Unit<'s> {
        let mut folder = Folder { source, dialect, body: Vec::new(), folds: Vec::new() };
        folder.statements(&source.body);
        let Folder { body, folds, .. } = folder;
        let bindings = Bindings::of(&body);
        let mut unit = Unit {
            name,
            package,
            folds,
            bindings,
            imports: BTreeMap::new(),
            stable: BTreeSet::new(),
            makers: BTreeSet::new(),
            annotations: dialect.version.is_none_or(|version| version < (3, 14)),
            all: all(&body),
            body,
        };
        for statement in unit.body.clone() {
            unit.read_imports(statement);
            if let Some(optional) = Optional::of(statement) {
                optional.attempt().for_each(|statement| unit.read_imports(statement));
                // What is bound to something else instead means two things.
                for name in optional.otherwise() {
                    unit.imports.remove(name);
                }
            }
        }
        // One that is also made elsewhere, in a branch or a function, is not known.
        let made = |all: &All<'_>| unit.bindings.counts.get("__all__") == Some(&all.parts.len());
        unit.all = unit.all.take_if(|all| made(all));
        unit.stabilise();
        unit
    }

    /// Notes what the names of an import statement mean.
    fn read_imports(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Import(import) => {
                for alias in &import.names {
                    let full = alias.name.id.as_str();
                    let top = full.split('.').next().unwrap_or("");
                    let means = if alias.asname.is_some() { full } else { top };
                    self.imports.insert(bound(alias, true).to_owned(), means.to_owned());
                }
            }
            Stmt::ImportFrom(import) => {
                let Some(base) = self.base(import) else { return };
                if base == "__future__" {
                    let future = |alias: &ast::Alias| alias.name.id.as_str() == "annotations";
                    self.annotations &= !import.names.iter().any(future);
                }
                for alias in &import.names {
                    let means = format!("{base}.{}", alias.name.id);
                    self.imports.insert(bound(alias, false).to_owned(), means);
                }
            }
            _ => {}
        }
    }

    fn stabilise(&mut self) {
        let imported = self.imports.keys().filter(|name| self.is_import_only(name)).cloned();
        self.stable = imported.collect();
        for statement in self.body.clone() {
            if let Some(optional) = Optional::of(statement) {
                self.stable.extend(self.own_names(&optional).into_iter().flatten());
            }
            let name = match statement {
                Stmt::FunctionDef(function) => function.name.id.as_str(),
                Stmt::ClassDef(class) => class.name.id.as_str(),
                Stmt::Assign(assign) => match assign.targets.as_slice() {
                    [Expr::Name(name)] if self.is_immutable(&assign.value) => name.id.as_str(),
                    _ => continue,
                },
                _ => continue,
            };
            if self.bindings.once(name) {
                self.stable.insert(name.to_owned());
                if let Stmt::FunctionDef(function) = statement
                    && self.is_maker(function)
                {
                    self.makers.insert(name.to_owned());
                }
            }
        }
    }

    /// Whether one import binds a name, or several of the form `import a.b`, which all bind `a`.
    pub fn is_import_only(&self, name: &str) -> bool {
        let plain = self.body.iter().filter_map(|statement| statement.as_import_stmt());
        let plain = plain.flat_map(|import| &import.names);
        let count = plain.filter(|a| a.asname.is_none() && bound(a, true) == name).count();
        let all = self.bindings.counts.get(name).copied();
        (self.bindings.once(name) || all == Some(count)) && !self.bindings.deleted.contains(name)
    }

    /// The names that an optional import binds, if nothing else binds or deletes them.
    pub fn own_names(&self, optional: &Optional<'_>) -> Option<Vec<String>> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        optional.names().for_each(|name| *counts.entry(name).or_default() += 1);
        let own = |(name, count): (&&str, &usize)| {
            self.bindings.counts.get(*name) == Some(count) && !self.bindings.deleted.contains(*name)
        };
        let all_own = counts.iter().all(own);
        all_own.then(|| counts.into_keys().map(str::to_owned).collect())
    }

    /// Whether a pure value is one that nobody can change.
    fn is_immutable(&self, value: &Expr) -> bool {
        match value {
            Expr::Tuple(tuple) => tuple.elts.iter().all(|element| self.is_immutable(element)),
            Expr::UnaryOp(unary) => self.is_immutable(&unary.operand),
            Expr::BinOp(sum) => self.is_immutable(&sum.left) && self.is_immutable(&sum.right),
            Expr::Name(name) => self.is_stable(name.id.as_str()),
            Expr::Call(call) => {
                const MAKES: &[&str] = &[
                    "re.compile",
                    "collections.namedtuple",
                    "typing.TypeVar",
                    "typing.NewType",
                    "typing.ParamSpec",
                    "typing_extensions.TypeVar",
                    "typing_extensions.ParamSpec",
                    "builtins.frozenset",
                    "builtins.object",
                    "builtins.range",
                    "builtins.type",
                    "struct.Struct",
                    "struct.calcsize",
                    "logging.getLogger",
                    "operator.itemgetter",
                    "operator.attrgetter",
                    "contextvars.ContextVar",
                ];
                let makes = self.meaning(&call.func).is_some_and(|m| MAKES.contains(&m.as_str()));
                makes && self.is_pure(value, &[])
            }
            Expr::Subscript(subscript) => self
                .meaning(&subscript.value)
                .is_some_and(|m| m.starts_with("typing.") && self.is_pure(value, &[])),
            Expr::Attribute(attribute) => {
                self.meaning(value).is_some()
                    && attribute.attr.id.as_str().chars().all(|c| !c.is_lowercase())
            }
            other => other.is_literal_expr(),
        }
    }

    /// The module that a `from` statement names, absolute.
    pub fn base(&self, import: &ast::StmtImportFrom) -> Option<String> {
        let package = match self.package {
            true => self.name,
            false => self.name.rsplit_once('.').map_or("", |(package, _)| package),
        };
        absolute(package, import.level, import.module.as_ref().map_or("", |m| m.id.as_str()))
    }

    /// The modules that one alias of an import statement asks for, parents included; none: it is not known
    /// here.
    pub fn targets(
        &self,
        statement: &Stmt,
        alias: &ast::Alias,
        tree: &Tree,
    ) -> Option<BTreeSet<String>> {
        let name = match statement {
            Stmt::Import(_) => alias.name.id.to_string(),
            Stmt::ImportFrom(import) => {
                let base = self.base(import)?;
                let inner = format!("{base}.{}", alias.name.id);
                if tree.modules.contains_key(&inner) { inner } else { base }
            }
            _ => return None,
        };
        let dots = name.match_indices('.').map(|(at, _)| name[..at].to_owned());
        let mut modules: BTreeSet<String> = dots.collect();
        modules.insert(name);
        modules.iter().all(|name| tree.modules.contains_key(name)).then_some(modules)
    }

    /// What an expression of names and dots means: `re.compile`, `builtins.len`; none for the module's own.
    pub fn meaning(&self, expression: &Expr) -> Option<String> {
        match expression {
            Expr::Name(name) => {
                let name = name.id.as_str();
                match self.imports.get(name) {
                    Some(means) => Some(means.clone()),
                    None => (super::names::is_builtin(name)
                        && !self.bindings.counts.contains_key(name))
                    .then(|| format!("builtins.{name}")),
                }
            }
            Expr::Attribute(attribute) => {
                Some(format!("{}.{}", self.meaning(&attribute.value)?, attribute.attr.id))
            }
            _ => None,
        }
    }

    /// What an expression of names and dots means, a name of the module's own included: `module.name`.
    pub fn full_meaning(&self, expression: &Expr) -> Option<String> {
        let own = || Some(format!("{}.{}", self.name, expression.as_name_expr()?.id));
        self.meaning(expression).or_else(own)
    }
}

/// `try: import a` with an answer to its absence: statements that bind names and nothing else.
pub struct Optional<'s>(&'s ast::StmtTry);

impl<'s> Optional<'s> {
    /// None for any other statement. Whether values are pure is not asked here.
    pub fn of(statement: &'s Stmt) -> Option<Optional<'s>> {
        const ABSENCE: [&str; 3] = ["AttributeError", "ImportError", "ModuleNotFoundError"];
        let Stmt::Try(attempt) = statement else { return None };
        let is_absence =
            |kind: &Expr| matches!(kind, Expr::Name(name) if ABSENCE.contains(&name.id.as_str()));
        let handled = attempt.handlers.iter().all(|handler| {
            let ast::ExceptHandler::ExceptHandler(handler) = handler;
            handler.name.is_none()
                && handler.type_.as_deref().is_some_and(|kind| match kind {
                    Expr::Tuple(kinds) => kinds.elts.iter().all(is_absence),
                    kind => is_absence(kind),
                })
        });
        let optional = Optional(attempt);
        let binds = |statement: &'s Stmt| match statement {
            Stmt::Import(_) | Stmt::Pass(_) => true,
            Stmt::ImportFrom(import) => import.names.iter().all(|alias| &alias.name.id != "*"),
            Stmt::Assign(assign) => matches!(assign.targets.as_slice(), [Expr::Name(_)]),
            _ => false,
        };
        let imports = attempt.body.iter().any(|s| s.is_import_stmt() || s.is_import_from_stmt());
        (!attempt.is_star
            && attempt.finalbody.is_empty()
            && !attempt.handlers.is_empty()
            && handled
            && imports
            && optional.attempt().chain(optional.answers()).all(binds))
        .then_some(optional)
    }

    /// What is tried.
    pub fn attempt(&self) -> impl Iterator<Item = &'s Stmt> + use<'s> {
        self.0.body.iter().chain(&self.0.orelse)
    }

    /// What is done without it.
    pub fn answers(&self) -> impl Iterator<Item = &'s Stmt> + use<'s> {
        self.0.handlers.iter().flat_map(|ast::ExceptHandler::ExceptHandler(handler)| &handler.body)
    }

    /// Names that are bound, one for each place.
    fn names(&self) -> impl Iterator<Item = &'s str> + use<'s> {
        self.attempt().chain(self.answers()).flat_map(names)
    }

    /// Names that the answer binds to more than a constant.
    fn otherwise(&self) -> impl Iterator<Item = &'s str> + use<'s> {
        let constant = |statement: &&Stmt| {
            statement.as_assign_stmt().is_some_and(|assign| assign.value.is_literal_expr())
        };
        self.answers().filter(move |statement| !constant(statement)).flat_map(names)
    }
}

/// What an import or a simple assignment binds.
fn names(statement: &Stmt) -> Vec<&str> {
    match statement {
        Stmt::Import(import) => import.names.iter().map(|alias| bound(alias, true)).collect(),
        Stmt::ImportFrom(import) => import.names.iter().map(|alias| bound(alias, false)).collect(),
        Stmt::Assign(assign) => match assign.targets.as_slice() {
            [Expr::Name(name)] => vec![name.id.as_str()],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Takes decided branches at module level out of their `if`.
struct Folder<'s, 'd> {
    source: &'s Source,
    dialect: Dialect<'d>,
    body: Vec<&'s Stmt>,
    folds: Vec<(u32, u32, u8)>,
}

impl<'s> Folder<'s, '_> {
    fn statements(&mut self, statements: &'s [Stmt]) {
        for statement in statements {
            match statement {
                Stmt::If(branches) if self.branches(branches).is_some() => {}
                _ => self.body.push(statement),
            }
        }
    }

    /// Folds a chain of tests if all that matter are decided.
    fn branches(&mut self, statement: &'s ast::StmtIf) -> Option<()> {
        let first = (statement.range().start(), Some(statement.test.as_ref()), &statement.body);
        let rest = statement
            .elif_else_clauses
            .iter()
            .map(|clause| (clause.range().start(), clause.test.as_ref(), &clause.body));
        let mut folds = Vec::new();
        let mut taken: &'s [Stmt] = &[];
        for (at, test, body) in std::iter::once(first).chain(rest) {
            let (line, column) = self.source.place(at);
            match test.map(|test| evaluate(test, self.dialect)) {
                None => taken = body,
                Some(Truth::Yes) => {
                    folds.push((line, column, 0));
                    taken = body;
                    break;
                }
                Some(Truth::No | Truth::TypeChecking) => folds.push((line, column, 1)),
                Some(Truth::Maybe) => return None,
            }
        }
        self.folds.extend(folds);
        self.statements(taken);
        Some(())
    }
}

/// What is done to `__all__` at module level.
#[derive(Debug)]
pub struct All<'s> {
    /// The statements, by position after folding, with what each adds.
    pub parts: Vec<(usize, &'s Expr)>,
}

/// The statements that make `__all__`; none if it is made in any other way than by assigning and adding.
fn all<'s>(body: &[&'s Stmt]) -> Option<All<'s>> {
    let is_all =
        |expression: &Expr| matches!(expression, Expr::Name(name) if name.id.as_str() == "__all__");
    let mut parts = Vec::new();
    for (index, statement) in body.iter().enumerate() {
        match statement {
            Stmt::Assign(assign) if assign.targets.iter().any(is_all) => {
                (parts.is_empty() && assign.targets.len() == 1)
                    .then(|| parts.push((index, assign.value.as_ref())))?;
            }
            Stmt::AugAssign(assign) if is_all(&assign.target) => {
                (!parts.is_empty() && assign.op == ast::Operator::Add)
                    .then(|| parts.push((index, assign.value.as_ref())))?;
            }
            // `__all__.extend(…)`, or anything else that may change it.
            other if super::names::reads(other, false).contains("__all__") => return None,
            _ => {}
        }
    }
    (!parts.is_empty()).then_some(All { parts })
}
