//! Who asks for local variables by their names: there they keep them.

use std::collections::BTreeSet;

use ruff_python_ast::visitor::{self, Visitor};
use ruff_python_ast::{self as ast, Expr, ExprContext, Stmt};

use crate::dist::scan::Source;

/// Whose local variables a module may ask for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asks {
    /// Nobody's.
    No,
    /// Those of its own functions: it calls `locals`, `eval` or the like.
    Own,
    /// Those of whoever calls it: it reads a frame's, or hands such a function on.
    Others,
}

/// Builtins that see the variables of the function that calls them, and how many arguments make them look
/// elsewhere.
const LOOKERS: [(&str, usize); 5] =
    [("locals", usize::MAX), ("vars", 1), ("dir", 1), ("eval", 2), ("exec", 2)];
/// Attributes, and arguments by name, that give the variables of any frame.
const FRAMES: [&str; 4] = ["f_locals", "getargvalues", "formatargvalues", "capture_locals"];

/// Whose local variables a module asks for. What it writes of `locals` as a text alone counts where it is
/// what an attribute or an item is looked up by.
pub fn asked(source: &Source) -> Asks {
    if !source.is_sound() {
        return Asks::Own;
    }
    let mut reader = Reader { asks: Asks::No, handed_on: BTreeSet::new(), bound: BTreeSet::new() };
    source.body.iter().for_each(|statement| reader.visit_stmt(statement));
    // A variable that happens to be called `dir` is the module's own matter.
    match reader.handed_on.difference(&reader.bound).next() {
        Some(_) => Asks::Others,
        None if reader.handed_on.is_empty() => reader.asks,
        None => reader.asks.max(Asks::Own),
    }
}

struct Reader<'a> {
    asks: Asks,
    /// Lookers that are named and not called.
    handed_on: BTreeSet<&'a str>,
    /// Names of lookers that the module binds.
    bound: BTreeSet<&'a str>,
}

fn looker(name: &str) -> Option<(&'static str, usize)> {
    LOOKERS.into_iter().find(|(looker, _)| *looker == name)
}

impl Reader<'_> {
    fn found(&mut self, asks: Asks) {
        self.asks = self.asks.max(asks);
    }

    fn by_text(&mut self, text: &Expr) {
        if let Expr::StringLiteral(text) = text
            && (looker(text.value.to_str()).is_some() || FRAMES.contains(&text.value.to_str()))
        {
            self.found(Asks::Others);
        }
    }

    /// A call of a looker, by which that is not handed on.
    fn call(&mut self, call: &ast::ExprCall) -> bool {
        let name = match call.func.as_ref() {
            Expr::Name(name) => name.id.as_str(),
            Expr::Attribute(attribute) if is_builtins(&attribute.value) => attribute.attr.as_str(),
            _ => return false,
        };
        let Some((_, elsewhere)) = looker(name) else { return false };
        let arguments = &call.arguments.args;
        if arguments.len() < elsewhere || arguments.iter().any(Expr::is_starred_expr) {
            self.found(Asks::Own);
        }
        true
    }
}

fn is_builtins(value: &Expr) -> bool {
    matches!(value, Expr::Name(name) if matches!(name.id.as_str(), "builtins" | "__builtins__"))
}

impl<'a> Visitor<'a> for Reader<'a> {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        if let Stmt::ImportFrom(import) = statement {
            let renamed = import.names.iter().filter(|alias| alias.asname.is_some());
            if renamed.into_iter().any(|alias| looker(&alias.name).is_some()) {
                self.found(Asks::Others);
            }
        }
        visitor::walk_stmt(self, statement);
    }

    fn visit_parameter(&mut self, parameter: &'a ast::Parameter) {
        self.bound.extend(looker(&parameter.name).map(|(name, _)| name));
        visitor::walk_parameter(self, parameter);
    }

    fn visit_keyword(&mut self, keyword: &'a ast::Keyword) {
        if keyword.arg.as_ref().is_some_and(|name| FRAMES.contains(&name.as_str())) {
            self.found(Asks::Others);
        }
        visitor::walk_keyword(self, keyword);
    }

    fn visit_expr(&mut self, expression: &'a Expr) {
        match expression {
            Expr::Call(call) => {
                if matches!(call.func.as_ref(), Expr::Name(name) if name.id.as_str() == "getattr") {
                    call.arguments.args.iter().skip(1).for_each(|text| self.by_text(text));
                }
                if self.call(call) {
                    return self.visit_arguments(&call.arguments);
                }
            }
            Expr::Subscript(item) => self.by_text(&item.slice),
            Expr::Attribute(attribute) => {
                let name = attribute.attr.as_str();
                let handed_on = is_builtins(&attribute.value) && looker(name).is_some();
                if handed_on || FRAMES.contains(&name) {
                    self.found(Asks::Others);
                }
            }
            Expr::Name(name) => {
                if let Some((looker, _)) = looker(&name.id) {
                    let names = match name.ctx {
                        ExprContext::Load => &mut self.handed_on,
                        _ => &mut self.bound,
                    };
                    names.insert(looker);
                }
            }
            _ => {}
        }
        visitor::walk_expr(self, expression);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_is_known() {
        for (text, wanted) in [
            (
                "def f(a):\n    b = a\n    return vars(a), dir(b), eval('b', {}), g(mode='exec')",
                Asks::No,
            ),
            ("def f(dir):\n    for vars in dir: print(vars)", Asks::Own),
            ("def f(a):\n    return '{a}'.format(**locals())", Asks::Own),
            ("def f(a):\n    import builtins\n    return builtins.locals()", Asks::Own),
            ("def f(a):\n    exec('b = a')", Asks::Own),
            ("def f(*a):\n    return eval(*a)", Asks::Own),
            ("def f():\n    return dir()", Asks::Own),
            ("look = locals", Asks::Others),
            ("f(locals)", Asks::Others),
            ("from x import exec as run", Asks::Others),
            ("look = getattr(builtins, 'vars')", Asks::Others),
            ("look = __builtins__['eval']", Asks::Others),
            ("def f():\n    return sys._getframe(1).f_locals['x']", Asks::Others),
            ("TracebackException(*error, capture_locals=True)", Asks::Others),
        ] {
            let source = Source::parse(text.as_bytes().to_vec(), (3, 11));
            assert_eq!(asked(&source), wanted, "{text}");
        }
    }
}
