//! Functions that make a value and do nothing else: a call of one can be put off like what it makes.

use ruff_python_ast::{self as ast, Expr, Stmt};

use super::names::bound_by;
use super::unit::Unit;

impl Unit<'_> {
    /// Whether calling a function changes nothing but what it makes itself, and gives an equal value every
    /// time.
    pub fn is_maker(&self, function: &ast::StmtFunctionDef) -> bool {
        let parameters = function.parameters.iter().map(|p| p.name().id.to_string());
        let mut body = Maker { unit: self, local: parameters.collect(), own: Vec::new() };
        !function.is_async && function.decorator_list.is_empty() && body.are_quiet(&function.body)
    }
}

/// A function's body, read in order.
struct Maker<'m, 'u> {
    unit: &'m Unit<'u>,
    local: Vec<String>,
    /// Names of values that were made in here.
    own: Vec<String>,
}

impl Maker<'_, '_> {
    fn are_quiet(&mut self, body: &[Stmt]) -> bool {
        body.iter().all(|statement| self.is_quiet(statement))
    }

    fn is_quiet(&mut self, statement: &Stmt) -> bool {
        match statement {
            Stmt::Assign(assign) => {
                self.is_pure(&assign.value)
                    && assign.targets.iter().all(|target| self.stores(target, &assign.value))
            }
            Stmt::AnnAssign(assign) => match &assign.value {
                Some(value) => self.is_pure(value) && self.stores(&assign.target, value),
                None => true,
            },
            Stmt::AugAssign(assign) => {
                let known = |name: &ast::ExprName| self.local.iter().any(|own| *own == *name.id);
                self.is_pure(&assign.value)
                    && match assign.target.as_ref() {
                        Expr::Name(name) => known(name),
                        target => self.is_inside(target),
                    }
            }
            Stmt::Expr(expression) => match expression.value.as_ref() {
                // A method of what was made in here.
                Expr::Call(call) => match call.func.as_ref() {
                    Expr::Attribute(method) if self.is_own(&method.value) => {
                        let values = call.arguments.keywords.iter().map(|keyword| &keyword.value);
                        call.arguments.args.iter().chain(values).all(|value| self.is_pure(value))
                    }
                    _ => self.is_pure(&expression.value),
                },
                value => self.is_pure(value),
            },
            Stmt::Return(result) => result.value.as_deref().is_none_or(|value| self.is_pure(value)),
            Stmt::If(choice) => {
                self.is_pure(&choice.test)
                    && self.are_quiet(&choice.body)
                    && choice.elif_else_clauses.iter().all(|clause| {
                        clause.test.as_ref().is_none_or(|test| self.is_pure(test))
                            && self.are_quiet(&clause.body)
                    })
            }
            Stmt::For(each) => {
                self.is_pure(&each.iter)
                    && self.stores(&each.target, &each.iter)
                    && self.are_quiet(&each.body)
                    && self.are_quiet(&each.orelse)
            }
            Stmt::Pass(_) | Stmt::Continue(_) | Stmt::Break(_) => true,
            _ => false,
        }
    }

    fn stores(&mut self, target: &Expr, value: &Expr) -> bool {
        let Some(names) = bound_by(target) else { return self.is_inside(target) };
        // These give what others have, too.
        const SHARED: [&str; 4] =
            ["builtins.max", "builtins.min", "logging.getLogger", "typing.cast"];
        let new = match value {
            Expr::Call(call) => !self
                .unit
                .meaning(&call.func)
                .is_some_and(|meaning| SHARED.contains(&meaning.as_str())),
            value => matches!(value, Expr::List(_) | Expr::Dict(_) | Expr::Set(_)),
        };
        if new && target.is_name_expr() {
            self.own.extend(names.iter().cloned());
        }
        self.local.extend(names);
        true
    }

    /// Whether it is an attribute or an element of what was made in here.
    fn is_inside(&self, target: &Expr) -> bool {
        match target {
            Expr::Attribute(attribute) => self.is_own(&attribute.value),
            Expr::Subscript(subscript) => {
                self.is_own(&subscript.value) && self.is_pure(&subscript.slice)
            }
            _ => false,
        }
    }

    fn is_own(&self, expression: &Expr) -> bool {
        matches!(expression, Expr::Name(name) if self.own.iter().any(|own| *own == *name.id))
    }

    fn is_pure(&self, expression: &Expr) -> bool {
        self.unit.is_pure(expression, &self.local)
    }
}
