//! The names of a module's scope: what binds them, how often, and what reads them while the module's
//! code runs.

use std::collections::{BTreeMap, BTreeSet};

use ruff_python_ast::visitor::{Visitor, walk_expr, walk_pattern, walk_stmt};
use ruff_python_ast::{self as ast, Expr, ExprContext, Pattern, Stmt};

/// What binds the names of a module's scope.
#[derive(Debug, Default)]
pub struct Bindings {
    /// Name -> number of places that bind it, functions with `global` included.
    pub counts: BTreeMap<String, usize>,
    /// Names that are deleted somewhere.
    pub deleted: BTreeSet<String>,
    /// The module looks into its own dictionary, or makes its names by computing.
    pub introspective: bool,
}

impl Bindings {
    /// Reads a module's statements.
    pub fn of(body: &[&Stmt]) -> Bindings {
        let mut reader = Reader { found: Bindings::default(), depth: 0, globals: Vec::new() };
        for statement in body {
            reader.visit_stmt(statement);
        }
        reader.found
    }

    /// Whether exactly one place binds a name, for good.
    pub fn once(&self, name: &str) -> bool {
        self.counts.get(name) == Some(&1) && !self.deleted.contains(name)
    }
}

struct Reader {
    found: Bindings,
    /// Functions and classes around.
    depth: usize,
    /// The `global` names of the functions and classes around.
    globals: Vec<BTreeSet<String>>,
}

impl Reader {
    fn bind(&mut self, name: &str) {
        if self.depth == 0 || self.globals.last().is_some_and(|names| names.contains(name)) {
            *self.found.counts.entry(name.to_owned()).or_default() += 1;
        }
    }

    fn scope(&mut self, body: &[Stmt]) {
        self.depth += 1;
        let mut names = Globals::default();
        names.visit_body(body);
        self.globals.push(names.0);
        self.visit_body(body);
        self.globals.pop();
        self.depth -= 1;
    }
}

/// The names of `global` statements.
#[derive(Default)]
struct Globals(BTreeSet<String>);

impl Visitor<'_> for Globals {
    fn visit_stmt(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Global(global) => self.0.extend(global.names.iter().map(|n| n.id.to_string())),
            Stmt::FunctionDef(_) | Stmt::ClassDef(_) => {}
            _ => walk_stmt(self, statement),
        }
    }
    fn visit_expr(&mut self, _: &Expr) {}
}

/// The name that an import's alias binds.
pub fn bound(alias: &ast::Alias, plain: bool) -> &str {
    match &alias.asname {
        Some(name) => name.id.as_str(),
        None if plain => alias.name.id.as_str().split('.').next().unwrap_or(""),
        None => alias.name.id.as_str(),
    }
}

/// The plain names that a target binds; none if it stores anywhere else, too.
pub fn bound_by(target: &Expr) -> Option<Vec<String>> {
    match target {
        Expr::Name(name) => Some(vec![name.id.to_string()]),
        Expr::Tuple(tuple) => {
            let parts: Option<Vec<_>> = tuple.elts.iter().map(bound_by).collect();
            Some(parts?.concat())
        }
        _ => None,
    }
}

impl Visitor<'_> for Reader {
    fn visit_stmt(&mut self, statement: &Stmt) {
        match statement {
            Stmt::FunctionDef(function) => {
                self.bind(function.name.id.as_str());
                for decorator in &function.decorator_list {
                    self.visit_decorator(decorator);
                }
                self.visit_parameters(&function.parameters);
                return self.scope(&function.body);
            }
            Stmt::ClassDef(class) => {
                self.bind(class.name.id.as_str());
                for decorator in &class.decorator_list {
                    self.visit_decorator(decorator);
                }
                if let Some(arguments) = &class.arguments {
                    self.visit_arguments(arguments);
                }
                return self.scope(&class.body);
            }
            Stmt::Import(import) => {
                import.names.iter().for_each(|alias| self.bind(bound(alias, true)));
            }
            Stmt::ImportFrom(import) => {
                import.names.iter().for_each(|alias| self.bind(bound(alias, false)));
            }
            Stmt::Try(attempt) => {
                for ast::ExceptHandler::ExceptHandler(handler) in &attempt.handlers {
                    if let Some(name) = &handler.name {
                        self.bind(name.id.as_str());
                        if self.depth == 0 {
                            self.found.deleted.insert(name.id.to_string());
                        }
                    }
                }
            }
            Stmt::TypeAlias(_) => {}
            _ => {}
        }
        walk_stmt(self, statement);
    }

    fn visit_pattern(&mut self, pattern: &Pattern) {
        let name = match pattern {
            Pattern::MatchAs(found) => &found.name,
            Pattern::MatchStar(found) => &found.name,
            Pattern::MatchMapping(found) => &found.rest,
            _ => &None,
        };
        if let Some(name) = name {
            self.bind(name.id.as_str());
        }
        walk_pattern(self, pattern);
    }

    fn visit_expr(&mut self, expression: &Expr) {
        match expression {
            Expr::Name(name) => {
                let id = name.id.as_str();
                match name.ctx {
                    ExprContext::Store => self.bind(id),
                    ExprContext::Del
                        if self.depth == 0
                            || self.globals.last().is_some_and(|names| names.contains(id)) =>
                    {
                        self.found.deleted.insert(id.to_owned());
                    }
                    _ if self.depth == 0
                        && matches!(
                            id,
                            "globals" | "locals" | "vars" | "exec" | "eval" | "dir"
                        ) =>
                    {
                        self.found.introspective = true;
                    }
                    _ => {}
                }
            }
            // Another module among modules: `sys.modules["other"]`, `sys.modules[io.__name__]`.
            Expr::Subscript(subscript)
                if is_modules(&subscript.value)
                    && !names_in(&subscript.slice).contains("__name__") =>
            {
                return self.visit_expr(&subscript.slice);
            }
            Expr::Compare(compare) if compare.comparators.iter().all(is_modules) => {
                return self.visit_expr(&compare.left);
            }
            // The module as an object, among modules or with a class of its own.
            Expr::Attribute(attribute)
                if self.depth == 0
                    && (is_modules(expression) || attribute.attr.id.as_str() == "__dict__") =>
            {
                self.found.introspective = true;
            }
            Expr::Attribute(attribute)
                if attribute.attr.id.as_str() == "__class__"
                    && matches!(attribute.ctx, ExprContext::Store)
                    && self.depth == 0 =>
            {
                self.found.introspective = true;
            }
            Expr::ListComp(_) | Expr::SetComp(_) | Expr::DictComp(_) | Expr::Generator(_) => {
                // Targets are local; `:=` is not.
                struct Walrus<'r>(&'r mut Reader);
                impl Visitor<'_> for Walrus<'_> {
                    fn visit_expr(&mut self, expression: &Expr) {
                        if let Expr::Named(named) = expression
                            && let Expr::Name(name) = named.target.as_ref()
                        {
                            self.0.bind(name.id.as_str());
                        }
                        if let Expr::Name(name) = expression
                            && matches!(name.id.as_str(), "globals" | "locals" | "vars")
                            && self.0.depth == 0
                        {
                            self.0.found.introspective = true;
                        }
                        walk_expr(self, expression);
                    }
                }
                return walk_expr(&mut Walrus(self), expression);
            }
            Expr::Lambda(lambda) => {
                self.depth += 1;
                self.globals.push(BTreeSet::new());
                self.visit_expr(&lambda.body);
                self.globals.pop();
                self.depth -= 1;
                return;
            }
            _ => {}
        }
        walk_expr(self, expression);
    }
}

fn is_modules(expression: &Expr) -> bool {
    expression.as_attribute_expr().is_some_and(|attribute| attribute.attr.id.as_str() == "modules")
}

/// The names that a statement reads when it runs: those in bodies of functions it does not.
pub fn reads(statement: &Stmt, annotations: bool) -> BTreeSet<String> {
    let mut reader = Reads { found: BTreeSet::new(), annotations };
    reader.visit_stmt(statement);
    reader.found
}

/// The names that an expression reads when it is evaluated.
pub fn names_in(expression: &Expr) -> BTreeSet<String> {
    let mut reader = Reads { found: BTreeSet::new(), annotations: true };
    reader.visit_expr(expression);
    reader.found
}

struct Reads {
    found: BTreeSet<String>,
    /// Whether annotations are evaluated.
    annotations: bool,
}

impl Visitor<'_> for Reads {
    fn visit_stmt(&mut self, statement: &Stmt) {
        match statement {
            Stmt::FunctionDef(function) => {
                for decorator in &function.decorator_list {
                    self.visit_decorator(decorator);
                }
                self.visit_parameters(&function.parameters);
                if let Some(returns) = &function.returns {
                    self.visit_annotation(returns);
                }
            }
            _ => walk_stmt(self, statement),
        }
    }

    fn visit_annotation(&mut self, annotation: &Expr) {
        if self.annotations {
            self.visit_expr(annotation);
        }
    }

    fn visit_expr(&mut self, expression: &Expr) {
        match expression {
            Expr::Name(name) if matches!(name.ctx, ExprContext::Load) => {
                self.found.insert(name.id.to_string());
            }
            Expr::Lambda(lambda) => {
                if let Some(parameters) = &lambda.parameters {
                    self.visit_parameters(parameters);
                }
                return;
            }
            _ => {}
        }
        walk_expr(self, expression);
    }
}

/// Names of `builtins`, of any version that can be built for: a global of that name hides one, and
/// who asks for it before it is bound gets the other.
pub const BUILTINS: &[&str] = &[
    "ArithmeticError",
    "AssertionError",
    "AttributeError",
    "BaseException",
    "BaseExceptionGroup",
    "BlockingIOError",
    "BrokenPipeError",
    "BufferError",
    "BytesWarning",
    "ChildProcessError",
    "ConnectionAbortedError",
    "ConnectionError",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "DeprecationWarning",
    "EOFError",
    "Ellipsis",
    "EncodingWarning",
    "EnvironmentError",
    "Exception",
    "ExceptionGroup",
    "False",
    "FileExistsError",
    "FileNotFoundError",
    "FloatingPointError",
    "FutureWarning",
    "GeneratorExit",
    "IOError",
    "ImportError",
    "ImportWarning",
    "IndentationError",
    "IndexError",
    "InterruptedError",
    "IsADirectoryError",
    "KeyError",
    "KeyboardInterrupt",
    "LookupError",
    "MemoryError",
    "ModuleNotFoundError",
    "NameError",
    "None",
    "NotADirectoryError",
    "NotImplemented",
    "NotImplementedError",
    "OSError",
    "OverflowError",
    "PendingDeprecationWarning",
    "PermissionError",
    "ProcessLookupError",
    "PythonFinalizationError",
    "RecursionError",
    "ReferenceError",
    "ResourceWarning",
    "RuntimeError",
    "RuntimeWarning",
    "StopAsyncIteration",
    "StopIteration",
    "SyntaxError",
    "SyntaxWarning",
    "SystemError",
    "SystemExit",
    "TabError",
    "TimeoutError",
    "True",
    "TypeError",
    "UnboundLocalError",
    "UnicodeDecodeError",
    "UnicodeEncodeError",
    "UnicodeError",
    "UnicodeTranslateError",
    "UnicodeWarning",
    "UserWarning",
    "ValueError",
    "Warning",
    "ZeroDivisionError",
    "abs",
    "aiter",
    "all",
    "anext",
    "any",
    "ascii",
    "bin",
    "bool",
    "breakpoint",
    "bytearray",
    "bytes",
    "callable",
    "chr",
    "classmethod",
    "compile",
    "complex",
    "copyright",
    "credits",
    "delattr",
    "dict",
    "dir",
    "divmod",
    "enumerate",
    "eval",
    "exec",
    "exit",
    "filter",
    "float",
    "format",
    "frozenset",
    "getattr",
    "globals",
    "hasattr",
    "hash",
    "help",
    "hex",
    "id",
    "input",
    "int",
    "isinstance",
    "issubclass",
    "iter",
    "len",
    "license",
    "list",
    "locals",
    "map",
    "max",
    "memoryview",
    "min",
    "next",
    "object",
    "oct",
    "open",
    "ord",
    "pow",
    "print",
    "property",
    "quit",
    "range",
    "repr",
    "reversed",
    "round",
    "set",
    "setattr",
    "slice",
    "sorted",
    "staticmethod",
    "str",
    "sum",
    "super",
    "tuple",
    "type",
    "vars",
    "zip",
];

/// Whether a name is one of [`BUILTINS`].
pub fn is_builtin(name: &str) -> bool {
    BUILTINS.binary_search(&name).is_ok()
}
