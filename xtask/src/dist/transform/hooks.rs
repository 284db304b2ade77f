//! What is called when a class is made, and whether it tells others of the class.

use ruff_python_ast::visitor::{Visitor, walk_expr, walk_stmt};
use ruff_python_ast::{self as ast, Expr, ExprContext, Stmt};

use super::effects::{CHANGES, is_quiet_function};
use super::unit::Unit;

/// Functions that look at what they are given.
const LOOKERS: &[&str] = &[
    "builtins.callable",
    "builtins.dir",
    "builtins.getattr",
    "builtins.hasattr",
    "builtins.isinstance",
    "builtins.issubclass",
    "builtins.len",
    "builtins.repr",
    "builtins.set",
    "builtins.super",
    "builtins.type",
    "builtins.vars",
    "inspect.isabstract",
    "typing.get_type_hints",
];

/// Methods of names, namespaces and classes that look at them.
const LOOKING_METHODS: &[&str] = &[
    "copy",
    "endswith",
    "format",
    "get",
    "items",
    "join",
    "keys",
    "lower",
    "mro",
    "replace",
    "split",
    "startswith",
    "strip",
    "upper",
    "values",
];

/// Whether a hook (`__init_subclass__`, or a metaclass's method) looks at a class and tells nobody of it: it changes
/// nothing but the class, and gives it only to functions that are known.
pub fn is_quiet_hook(home: &Unit<'_>, function: &ast::StmtFunctionDef) -> bool {
    let mut given: Vec<&str> =
        function.parameters.iter().map(|parameter| parameter.name().id.as_str()).collect();
    // The first parameter of these is the metaclass, which others know.
    let makes = matches!(function.name.id.as_str(), "__new__" | "__prepare__" | "__call__");
    let metaclass = given.first().copied().filter(|_| makes);
    let mut names = Names(&mut given);
    names.visit_body(&function.body);
    let mut hook = Hook { home, given, metaclass, quiet: true };
    hook.visit_body(&function.body);
    let plain = |decorator: &ast::Decorator| {
        matches!(&decorator.expression,
            Expr::Name(name) if matches!(name.id.as_str(), "classmethod" | "staticmethod"))
    };
    hook.quiet
        && function.decorator_list.iter().all(plain)
        && is_quiet_function(home, function, true)
}

/// Names that are made of what is given, and may be the class.
struct Names<'n, 'h>(&'n mut Vec<&'h str>);

impl<'h> Visitor<'h> for Names<'_, 'h> {
    fn visit_stmt(&mut self, statement: &'h Stmt) {
        if let Stmt::Assign(assign) = statement {
            let names = assign.targets.iter().filter_map(|target| target.as_name_expr());
            self.0.extend(names.map(|name| name.id.as_str()));
        }
        walk_stmt(self, statement);
    }
}

struct Hook<'h, 's> {
    home: &'h Unit<'s>,
    given: Vec<&'h str>,
    metaclass: Option<&'h str>,
    quiet: bool,
}

/// The name that an expression begins with.
fn root(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Attribute(attribute) => root(&attribute.value),
        Expr::Subscript(subscript) => root(&subscript.value),
        Expr::Starred(starred) => root(&starred.value),
        Expr::Name(name) => Some(name.id.as_str()),
        _ => None,
    }
}

impl Hook<'_, '_> {
    fn is_given(&self, expression: &Expr) -> bool {
        root(expression).is_some_and(|name| self.given.contains(&name))
    }

    fn is_quiet_call(&self, call: &ast::ExprCall) -> bool {
        let values = call.arguments.keywords.iter().map(|keyword| &keyword.value);
        let passed = call.arguments.args.iter().chain(values).any(|value| self.is_given(value));
        if let Expr::Attribute(method) = call.func.as_ref() {
            let name = method.attr.id.as_str();
            if method.value.is_call_expr() {
                return name.starts_with("__") || !passed; // `super().__new__(…)`
            }
            if self.is_given(&method.value) {
                return LOOKING_METHODS.contains(&name);
            }
        }
        let known = |meaning: String| LOOKERS.contains(&meaning.as_str());
        !passed || self.home.meaning(&call.func).is_some_and(known)
    }
}

impl<'h> Visitor<'h> for Hook<'h, '_> {
    fn visit_expr(&mut self, expression: &'h Expr) {
        self.quiet &= match expression {
            Expr::Subscript(subscript) if matches!(subscript.ctx, ExprContext::Store) => {
                !self.is_given(&subscript.value)
            }
            Expr::Attribute(attribute) if matches!(attribute.ctx, ExprContext::Store) => {
                root(&attribute.value) != self.metaclass || self.metaclass.is_none()
            }
            Expr::Attribute(attribute) => {
                !(self.is_given(&attribute.value) && CHANGES.contains(&attribute.attr.id.as_str()))
            }
            Expr::Call(call) => self.is_quiet_call(call),
            _ => true,
        };
        walk_expr(self, expression);
    }
}
