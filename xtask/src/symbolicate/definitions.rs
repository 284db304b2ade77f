//! Where a module defines a name.

use ruff_python_ast::{self as ast, Expr, Stmt};
use ruff_text_size::{Ranged, TextSize};

use crate::dist::scan::Source;

/// The 1-based line in which the first of these names is bound at module level, or the next ones within
/// it, as far as they are.
pub fn line(source: &Source, names: &[&str]) -> Option<u32> {
    find(&source.body, names).map(|at| source.line(at))
}

fn find(body: &[Stmt], names: &[&str]) -> Option<TextSize> {
    let (name, rest) = names.split_first()?;
    body.iter().find_map(|statement| bound(statement, name, rest))
}

fn bound(statement: &Stmt, name: &str, rest: &[&str]) -> Option<TextSize> {
    let is = |found: &ast::Identifier| found.as_str() == name;
    match statement {
        Stmt::FunctionDef(def) if is(&def.name) => {
            Some(find(&def.body, rest).unwrap_or(def.name.start()))
        }
        Stmt::ClassDef(def) if is(&def.name) => {
            Some(find(&def.body, rest).unwrap_or(def.name.start()))
        }
        Stmt::Assign(assign) => assign.targets.iter().find_map(|target| target_of(target, name)),
        Stmt::AnnAssign(assign) => target_of(&assign.target, name),
        Stmt::If(branch) => find_in(&branch.body, name, rest).or_else(|| {
            branch.elif_else_clauses.iter().find_map(|clause| find_in(&clause.body, name, rest))
        }),
        Stmt::Try(attempt) => [&attempt.body, &attempt.orelse, &attempt.finalbody]
            .into_iter()
            .find_map(|body| find_in(body, name, rest))
            .or_else(|| {
                attempt.handlers.iter().find_map(|handler| {
                    let ast::ExceptHandler::ExceptHandler(handler) = handler;
                    find_in(&handler.body, name, rest)
                })
            }),
        Stmt::With(with) => find_in(&with.body, name, rest),
        _ => None,
    }
}

fn find_in(body: &[Stmt], name: &str, rest: &[&str]) -> Option<TextSize> {
    body.iter().find_map(|statement| bound(statement, name, rest))
}

fn target_of(target: &Expr, name: &str) -> Option<TextSize> {
    match target {
        Expr::Name(found) if found.id.as_str() == name => Some(found.start()),
        Expr::Tuple(tuple) => tuple.elts.iter().find_map(|target| target_of(target, name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_far_as_they_are_written_down() {
        let text = "\
import os
a, b = 1, 2
@decorated
class Room:
    size: int = 3
    def enter(self):
        def inner(): pass
if os.name:
    rooms = {}
else:
    other = 1
try:
    import fast
except ImportError:
    def slow(): pass
";
        let source = Source::parse(text.as_bytes().to_vec(), (3, 11));
        for (dotted, wanted) in [
            ("b", Some(2)),
            ("Room", Some(4)),
            ("Room.size", Some(5)),
            ("Room.enter", Some(6)),
            ("Room.enter.inner", Some(7)),
            ("Room.absent", Some(4)),
            ("rooms.absent", Some(9)),
            ("other", Some(11)),
            ("slow", Some(15)),
            ("absent", None),
            ("os", None),
        ] {
            let names: Vec<&str> = dotted.split('.').collect();
            assert_eq!(line(&source, &names), wanted, "{dotted}");
        }
    }
}
