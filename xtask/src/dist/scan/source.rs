//! What one source file asks for.

use std::collections::BTreeSet;

use ruff_python_ast::visitor::{Visitor, walk_expr, walk_stmt};
use ruff_python_ast::{self as ast, BoolOp, ExceptHandler, Expr, Operator, Stmt};
use ruff_text_size::{Ranged, TextRange, TextSize};

use super::condition::{Truth, evaluate};
use super::parsed::Source;
use super::text::{elements, formatted, literal, placeholders};
use crate::dist::scan::{EdgeKind, Hazard, HazardKind, Site};

/// Strings longer than this name no module.
const LONGEST_NAME: usize = 200;

/// What a file asks for, unresolved: names are as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Import statements.
    pub imports: Vec<Import>,
    /// Literal arguments of `import_module` and its like.
    pub calls: Vec<Call>,
    /// String constants that look like names.
    pub strings: Vec<(String, u32)>,
    /// Formatted strings that look like names; `*` stands for what is put in: ".protocol_*".
    pub templates: Vec<(String, u32)>,
    /// Imports by a computed name.
    pub dynamic: Vec<Site>,
    /// What may not work, or not be the same, without sources, documentation or the rest of a package.
    pub hazards: BTreeSet<Hazard>,
    /// The names of [`Dialect::names`] that it writes.
    pub mentions: BTreeSet<String>,
    /// `__all__`, as far as it is written out.
    pub all: Vec<String>,
    /// Why it cannot be parsed, with the line.
    pub error: Option<String>,
}

/// An import statement, or one module of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The module after `import` or `from`; empty for `from . import x`.
    pub module: String,
    /// The names after `from … import`; "*" for all; none for a plain import.
    pub names: Vec<String>,
    /// The number of leading dots.
    pub level: u32,
    /// 1-based.
    pub line: u32,
    /// How it is reached.
    pub kind: EdgeKind,
}

/// A call that imports, or asks for, a module by a literal name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The name, which may start with dots.
    pub name: String,
    /// The package that dots are relative to, where it is a literal too.
    pub package: Option<String>,
    /// 1-based.
    pub line: u32,
    /// Whether the call imports; else it only asks (`find_spec`, `files`).
    pub imports: bool,
}

/// What a file is read for.
#[derive(Debug, Clone, Copy)]
pub struct Dialect<'a> {
    /// Major and minor version of the target's Python; none: whatever asks for version or platform may go either way.
    pub version: Option<(u8, u8)>,
    /// Whether `if __name__ == "__main__":` may be taken.
    pub main: bool,
    /// Identifiers whose use is a fact.
    pub names: &'a BTreeSet<&'a str>,
}

/// Reads one file's facts. Never fails: a file that cannot be parsed says so in [`Facts::error`].
pub fn read(source: &Source, dialect: Dialect<'_>) -> Facts {
    let mut reader = Reader {
        facts: Facts::default(),
        source,
        kind: EdgeKind::TopLevel,
        scope: Vec::new(),
        function: None,
        doc_is_there: false,
        dialect,
    };
    // Where any version is followed, what is for a later one is no error.
    let unsupported = source.unsupported.as_ref().filter(|_| dialect.version.is_some());
    reader.facts.error = source.error.as_ref().or(unsupported).cloned();
    reader.visit_body(&source.body);
    reader.facts
}

struct Reader<'d> {
    facts: Facts,
    source: &'d Source,
    /// How the statement at hand is reached.
    kind: EdgeKind,
    /// Names of the classes and functions around it.
    scope: Vec<String>,
    /// First and last line of the outermost function around it.
    function: Option<(u32, u32)>,
    /// Whether a test around it has asked for a docstring.
    doc_is_there: bool,
    dialect: Dialect<'d>,
}

impl Reader<'_> {
    fn line(&self, at: TextSize) -> u32 {
        self.source.line(at)
    }

    fn within(&mut self, kind: EdgeKind, visit: impl FnOnce(&mut Self)) {
        let outer = self.kind;
        self.kind = nested(outer, kind);
        visit(self);
        self.kind = outer;
    }

    /// The body of a class or a function.
    fn inside(&mut self, name: &str, range: Option<TextRange>, visit: impl FnOnce(&mut Self)) {
        let outer = self.function;
        if let Some(range) = range {
            self.function = outer.or(Some((self.line(range.start()), self.line(range.end()))));
        }
        self.scope.push(name.to_owned());
        visit(self);
        self.scope.pop();
        self.function = outer;
    }

    fn dynamic(&mut self, line: u32) {
        let lines = self.function.unwrap_or((line, line));
        let function = self.scope.join(".");
        self.facts.dynamic.push(Site { line, function, lines, answered: false });
    }

    fn hazard(&mut self, kind: HazardKind, at: TextSize) {
        let line = self.line(at);
        self.facts.hazards.insert(Hazard { line, kind });
    }

    /// A docstring is used as if it were always there.
    fn doc(&mut self, expression: &Expr) {
        if is_doc(expression) && !self.doc_is_there {
            self.hazard(HazardKind::Doc, expression.range().start());
        }
    }

    /// What follows a test.
    fn after(&mut self, test: Option<&Expr>, visit: impl FnOnce(&mut Self)) {
        let outer = self.doc_is_there;
        self.doc_is_there |= test.is_some_and(mentions_doc);
        visit(self);
        self.doc_is_there = outer;
    }

    fn import(&mut self, module: &str, names: Vec<String>, level: u32, at: TextSize) {
        let (line, kind) = (self.line(at), self.kind);
        self.facts.imports.push(Import { module: module.to_owned(), names, level, line, kind });
    }

    fn mention(&mut self, name: &str) {
        if self.dialect.names.contains(name) {
            self.facts.mentions.insert(name.to_owned());
        }
    }

    fn branches(&mut self, statement: &ast::StmtIf) {
        let mut certain = true; // no test so far could have been true
        let first = (Some(statement.test.as_ref()), &statement.body);
        let rest =
            statement.elif_else_clauses.iter().map(|clause| (clause.test.as_ref(), &clause.body));
        for (test, body) in std::iter::once(first).chain(rest) {
            let truth = test.map_or(Truth::Yes, |test| {
                self.visit_expr(test);
                evaluate(test, self.dialect)
            });
            match truth {
                Truth::No => continue,
                Truth::TypeChecking => self.within(EdgeKind::TypeChecking, |r| r.visit_body(body)),
                Truth::Yes if certain => return self.visit_body(body),
                Truth::Yes | Truth::Maybe => {
                    self.after(test, |r| r.within(EdgeKind::Conditional, |r| r.visit_body(body)));
                    certain = false;
                }
            }
            if truth == Truth::Yes {
                return;
            }
        }
    }

    fn attempt(&mut self, statement: &ast::StmtTry) {
        let guards = statement.handlers.iter().any(catches_import_error);
        if guards {
            self.within(EdgeKind::Guarded, |r| r.visit_body(&statement.body));
        } else {
            self.visit_body(&statement.body);
        }
        for ExceptHandler::ExceptHandler(handler) in &statement.handlers {
            self.within(EdgeKind::Conditional, |r| r.visit_body(&handler.body));
        }
        if guards {
            self.within(EdgeKind::Conditional, |r| r.visit_body(&statement.orelse));
        } else {
            self.visit_body(&statement.orelse);
        }
        self.visit_body(&statement.finalbody);
    }

    /// `__all__ = […]`, `__all__ += […]`, `__all__.extend([…])`.
    fn exports(&mut self, target: &Expr, value: &Expr) {
        if matches!(target, Expr::Name(name) if name.id.as_str() == "__all__") {
            self.facts.all.extend(elements(value).iter().filter_map(literal));
        }
    }

    fn call(&mut self, call: &ast::ExprCall) {
        let name = match call.func.as_ref() {
            Expr::Name(name) => name.id.as_str(),
            Expr::Attribute(attribute) => attribute.attr.id.as_str(),
            _ => return,
        };
        if let Some(kind) = HazardKind::of_call(name) {
            return self.hazard(kind, call.range().start());
        }
        let argument = |position: usize, keyword: &str| {
            let named = call.arguments.find_keyword(keyword).map(|keyword| &keyword.value);
            call.arguments.args.get(position).or(named)
        };
        let (first, imports) = match name {
            "import_module" | "__import__" => (argument(0, "name"), true),
            "find_spec" | "resolve_name" | "run_module" | "import_string" | "import_object" => {
                (argument(0, "name"), false)
            }
            "files" | "get_data" | "open_text" | "open_binary" | "read_text" | "read_binary"
            | "contents" | "is_resource" | "resource_filename" | "resource_string"
            | "resource_stream" | "PackageLoader" => (argument(0, "package"), false),
            "docopt" => return call.arguments.args.iter().for_each(|argument| self.doc(argument)),
            "extend" => {
                if let (Expr::Attribute(target), Some(value)) =
                    (call.func.as_ref(), argument(0, ""))
                {
                    self.exports(&target.value, value);
                }
                return;
            }
            _ => return,
        };
        let line = self.line(call.range().start());
        match first.map(|first| (literal(first), first)) {
            Some((Some(name), _)) => {
                let package = argument(1, "package").and_then(literal);
                self.facts.calls.push(Call { name, package, line, imports });
            }
            Some((None, _)) if imports => self.dynamic(line),
            _ => {}
        }
    }

    /// `[sys.executable, "-m", "module"]`.
    fn command(&mut self, elements: &[Expr]) {
        for pair in elements.windows(2) {
            if literal(&pair[0]).as_deref() == Some("-m")
                && let Some(name) = literal(&pair[1])
            {
                let line = self.line(pair[1].range().start());
                for name in [format!("{name}.__main__"), name] {
                    self.facts.calls.push(Call { name, package: None, line, imports: false });
                }
            }
        }
    }

    fn string(&mut self, text: &str, at: TextSize) {
        // "ZIP_LZMA", "logging.handlers.SMTPHandler", "acme.tools:getnode"
        self.mention(text.rsplit(['.', ':']).next().unwrap_or(text));
        let name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | ':' | '-');
        if text.is_empty() || text.len() > LONGEST_NAME {
        } else if text.chars().all(name) {
            let line = self.line(at);
            if text.ends_with('.') && text.len() > 1 {
                self.facts.templates.push((format!("{text}*"), line)); // "package." + name
            }
            self.facts.strings.push((text.to_owned(), line));
        } else if text.contains(['{', '%']) {
            self.template(&placeholders(text), at);
        } else if self.kind != EdgeKind::TypeChecking
            && (text.trim_start().starts_with("import ") || text.trim_start().starts_with("from "))
        {
            // `[sys.executable, "-c", "import module; …"]`
            let line = self.line(at);
            let inner = Source::parse(text.trim_start().into(), self.source.version);
            let inner = read(&inner, self.dialect);
            for import in inner.imports.into_iter().filter(|_| inner.error.is_none()) {
                self.facts.imports.push(Import { line, kind: EdgeKind::String, ..import });
            }
        }
    }

    fn template(&mut self, text: &str, at: TextSize) {
        let name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '*');
        if text.len() <= LONGEST_NAME && text.contains('*') && text.chars().all(name) {
            let line = self.line(at);
            self.facts.templates.push((text.to_owned(), line));
        }
    }
}

impl<'a> Visitor<'a> for Reader<'_> {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        match statement {
            Stmt::Import(import) => {
                for alias in &import.names {
                    self.import(alias.name.id.as_str(), Vec::new(), 0, alias.range.start());
                }
            }
            Stmt::ImportFrom(import) => {
                let module = import.module.as_ref().map_or("", |module| module.id.as_str());
                let names: Vec<String> =
                    import.names.iter().map(|alias| alias.name.id.to_string()).collect();
                for name in &names {
                    match name.as_str() {
                        "*" => self.mention(&format!("{module}.*")),
                        name => self.mention(name),
                    }
                }
                self.import(module, names, import.level, import.range.start());
            }
            Stmt::FunctionDef(function) => {
                for decorator in &function.decorator_list {
                    self.visit_decorator(decorator);
                }
                self.visit_parameters(&function.parameters);
                self.inside(function.name.as_str(), Some(function.range), |r| {
                    r.within(EdgeKind::InFunction, |r| r.visit_body(&function.body));
                });
            }
            Stmt::ClassDef(class) => {
                self.inside(class.name.as_str(), None, |r| walk_stmt(r, statement));
            }
            Stmt::If(statement) => self.branches(statement),
            Stmt::Try(statement) => self.attempt(statement),
            Stmt::With(with) if with.items.iter().any(|item| suppresses(&item.context_expr)) => {
                self.within(EdgeKind::Guarded, |r| r.visit_body(&with.body));
            }
            Stmt::Assign(assign) => {
                for target in &assign.targets {
                    self.exports(target, &assign.value);
                }
                walk_stmt(self, statement);
            }
            Stmt::AugAssign(assign) => {
                self.exports(&assign.target, &assign.value);
                walk_stmt(self, statement);
            }
            // A string on its own is documentation.
            Stmt::Expr(expression) if expression.value.is_string_literal_expr() => {}
            _ => walk_stmt(self, statement),
        }
    }

    fn visit_annotation(&mut self, _: &'a Expr) {}

    fn visit_expr(&mut self, expression: &'a Expr) {
        match expression {
            Expr::StringLiteral(string) => {
                return self.string(string.value.to_str(), string.range.start());
            }
            Expr::FString(string) => self.template(&formatted(string), string.range.start()),
            Expr::Call(call) => {
                self.call(call);
                self.command(&call.arguments.args);
            }
            Expr::If(choice) => {
                self.visit_expr(&choice.test);
                return self.after(Some(&choice.test), |r| {
                    r.visit_expr(&choice.body);
                    r.visit_expr(&choice.orelse);
                });
            }
            Expr::BoolOp(all) if all.op == BoolOp::And => {
                let Some((first, rest)) = all.values.split_first() else { return };
                self.visit_expr(first);
                return self.after(Some(first), |r| rest.iter().for_each(|e| r.visit_expr(e)));
            }
            Expr::Subscript(part) => self.doc(&part.value),
            Expr::BinOp(sum) if sum.op == Operator::Add => {
                self.doc(&sum.left);
                self.doc(&sum.right);
                if let Some(prefix) = literal(&sum.left).filter(|prefix| prefix.contains('.')) {
                    self.template(&format!("{prefix}*"), sum.range.start());
                }
            }
            Expr::BinOp(format) => self.doc(&format.left),
            Expr::List(list) => self.command(&list.elts),
            Expr::Tuple(tuple) => self.command(&tuple.elts),
            Expr::Name(name) => self.mention(name.id.as_str()),
            Expr::Attribute(attribute) => {
                self.doc(&attribute.value);
                self.mention(attribute.attr.id.as_str());
            }
            Expr::Lambda(_) => {
                return self.within(EdgeKind::InFunction, |r| walk_expr(r, expression));
            }
            _ => {}
        }
        walk_expr(self, expression);
    }
}

/// The kind of a statement inside `inner` inside `outer`: what says most about when it runs.
fn nested(outer: EdgeKind, inner: EdgeKind) -> EdgeKind {
    match (outer, inner) {
        (EdgeKind::TypeChecking, _) | (_, EdgeKind::TypeChecking) => EdgeKind::TypeChecking,
        (EdgeKind::TopLevel, inner) => inner,
        (_, EdgeKind::InFunction | EdgeKind::Guarded) => inner,
        (outer, _) => outer,
    }
}

/// `__doc__`, `x.__doc__`.
fn is_doc(expression: &Expr) -> bool {
    match expression {
        Expr::Name(name) => name.id.as_str() == "__doc__",
        Expr::Attribute(attribute) => attribute.attr.id.as_str() == "__doc__",
        _ => false,
    }
}

fn mentions_doc(test: &Expr) -> bool {
    struct Finder(bool);
    impl<'a> Visitor<'a> for Finder {
        fn visit_expr(&mut self, expression: &'a Expr) {
            self.0 |= is_doc(expression);
            walk_expr(self, expression);
        }
    }
    let mut finder = Finder(false);
    finder.visit_expr(test);
    finder.0
}

fn catches_import_error(handler: &ExceptHandler) -> bool {
    let ExceptHandler::ExceptHandler(handler) = handler;
    handler.type_.as_deref().is_none_or(names_import_error)
}

fn names_import_error(expression: &Expr) -> bool {
    let name = match expression {
        Expr::Name(name) => name.id.as_str(),
        Expr::Attribute(attribute) => attribute.attr.id.as_str(),
        Expr::Tuple(tuple) => return tuple.elts.iter().any(names_import_error),
        _ => return false,
    };
    matches!(name, "ImportError" | "ModuleNotFoundError" | "Exception" | "BaseException")
}

/// `contextlib.suppress(ImportError)`.
fn suppresses(expression: &Expr) -> bool {
    let Expr::Call(call) = expression else { return false };
    let suppress = match call.func.as_ref() {
        Expr::Name(name) => name.id.as_str() == "suppress",
        Expr::Attribute(attribute) => attribute.attr.id.as_str() == "suppress",
        _ => false,
    };
    suppress && call.arguments.args.iter().any(names_import_error)
}
