//! Tests whose outcome is known when the launcher is built: the platform, the version, `TYPE_CHECKING`.

use ruff_python_ast::{BoolOp, CmpOp, Expr, Number, UnaryOp};

use super::source::Dialect;

/// What a test gives on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// Always true.
    Yes,
    /// Never true.
    No,
    /// True for type checkers only.
    TypeChecking,
    /// Decided at run time.
    Maybe,
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Truth::Yes } else { Truth::No }
    }
}

/// Evaluates a test as far as platform and version decide it.
pub fn evaluate(test: &Expr, dialect: Dialect<'_>) -> Truth {
    match test {
        Expr::BooleanLiteral(literal) => literal.value.into(),
        Expr::Name(name) if name.id.as_str() == "TYPE_CHECKING" => Truth::TypeChecking,
        Expr::Attribute(attribute) if attribute.attr.id.as_str() == "TYPE_CHECKING" => {
            Truth::TypeChecking
        }
        Expr::UnaryOp(unary) if unary.op == UnaryOp::Not => {
            match evaluate(&unary.operand, dialect) {
                Truth::Yes => Truth::No,
                Truth::No | Truth::TypeChecking => Truth::Yes,
                Truth::Maybe => Truth::Maybe,
            }
        }
        Expr::BoolOp(op) => {
            let values: Vec<Truth> =
                op.values.iter().map(|value| evaluate(value, dialect)).collect();
            match op.op {
                BoolOp::And => all(&values),
                BoolOp::Or => any(&values),
            }
        }
        Expr::Compare(compare) if compare.ops.len() == 1 => {
            comparison(&compare.left, compare.ops[0], &compare.comparators[0], dialect)
        }
        Expr::Call(call) => {
            // sys.platform.startswith("win")
            let Expr::Attribute(method) = call.func.as_ref() else { return Truth::Maybe };
            match (known(&method.value, dialect), call.arguments.args.first()) {
                (Some(value), Some(Expr::StringLiteral(prefix)))
                    if method.attr.id.as_str() == "startswith" =>
                {
                    value.starts_with(prefix.value.to_str()).into()
                }
                _ => Truth::Maybe,
            }
        }
        _ => Truth::Maybe,
    }
}

fn all(values: &[Truth]) -> Truth {
    if values.contains(&Truth::No) {
        Truth::No
    } else if values.contains(&Truth::TypeChecking) {
        Truth::TypeChecking
    } else if values.contains(&Truth::Maybe) {
        Truth::Maybe
    } else {
        Truth::Yes
    }
}

fn any(values: &[Truth]) -> Truth {
    if values.contains(&Truth::Yes) {
        Truth::Yes
    } else if values.contains(&Truth::Maybe) {
        Truth::Maybe
    } else if values.contains(&Truth::TypeChecking) {
        Truth::TypeChecking
    } else {
        Truth::No
    }
}

/// The value of a name that the target fixes.
fn known(expression: &Expr, dialect: Dialect<'_>) -> Option<&'static str> {
    match expression {
        Expr::Attribute(attribute) => {
            let Expr::Name(module) = attribute.value.as_ref() else { return None };
            match (module.id.as_str(), attribute.attr.id.as_str()) {
                ("sys" | "_sys", "platform") => Some("linux"),
                ("os" | "_os", "name") => Some("posix"),
                _ => None,
            }
        }
        Expr::Name(name) if name.id.as_str() == "__name__" && !dialect.main => Some(""),
        _ => None,
    }
}

fn comparison(left: &Expr, op: CmpOp, right: &Expr, dialect: Dialect<'_>) -> Truth {
    let text = |expression: &Expr| {
        expression.as_string_literal_expr().map(|string| string.value.to_str().to_owned())
    };
    if let Some(value) = known(left, dialect) {
        // Without a main guard `__name__` is the module's name, whatever that is: only "__main__" is ruled out.
        let rules = |other: &str| !value.is_empty() || other == "__main__";
        return match (op, right) {
            (CmpOp::Eq | CmpOp::NotEq, right) => match text(right).filter(|other| rules(other)) {
                Some(other) => ((value == other) == (op == CmpOp::Eq)).into(),
                None => Truth::Maybe,
            },
            (CmpOp::In | CmpOp::NotIn, Expr::Tuple(_) | Expr::List(_) | Expr::Set(_))
                if !value.is_empty() =>
            {
                let elements: Vec<Option<String>> = match right {
                    Expr::Tuple(tuple) => tuple.elts.iter().map(text).collect(),
                    Expr::List(list) => list.elts.iter().map(text).collect(),
                    Expr::Set(set) => set.elts.iter().map(text).collect(),
                    _ => return Truth::Maybe,
                };
                if elements.iter().any(Option::is_none) {
                    return Truth::Maybe;
                }
                let found = elements.iter().flatten().any(|element| element == value);
                (found == (op == CmpOp::In)).into()
            }
            _ => Truth::Maybe,
        };
    }
    if is_version(left) { version(op, right, dialect.version) } else { Truth::Maybe }
}

/// `sys.version_info`, or `sys.version_info[:2]`.
fn is_version(expression: &Expr) -> bool {
    match expression {
        Expr::Attribute(attribute) => {
            attribute.attr.id.as_str() == "version_info"
                && matches!(attribute.value.as_ref(), Expr::Name(name) if matches!(name.id.as_str(), "sys" | "_sys"))
        }
        Expr::Subscript(subscript) => {
            matches!(subscript.slice.as_ref(), Expr::Slice(slice) if slice.lower.is_none() && slice.step.is_none())
                && is_version(&subscript.value)
        }
        _ => false,
    }
}

/// Compares the target's version with a tuple of one or two numbers; more decide only where those differ.
fn version(op: CmpOp, right: &Expr, version: (u8, u8)) -> Truth {
    let Expr::Tuple(tuple) = right else { return Truth::Maybe };
    let numbers: Option<Vec<u8>> = tuple.elts.iter().map(number).collect();
    let Some(numbers) = numbers else { return Truth::Maybe };
    let ours = [version.0, version.1];
    let order = match numbers.as_slice() {
        [] => return Truth::Maybe,
        [major] if *major == ours[0] => std::cmp::Ordering::Greater, // (3, 11) > (3,)
        [_] => ours[0].cmp(&numbers[0]),
        [major, minor, ..] => match ours.as_slice().cmp(&[*major, *minor]) {
            // (3, 11, 2, …) against (3, 11): the longer one is greater, unless it was sliced.
            std::cmp::Ordering::Equal => match (op, numbers.len()) {
                (CmpOp::GtE, 2) => return Truth::Yes,
                (CmpOp::Lt, 2) => return Truth::No,
                _ => return Truth::Maybe,
            },
            order => order,
        },
    };
    match op {
        CmpOp::Gt | CmpOp::GtE => order.is_gt().into(),
        CmpOp::Lt | CmpOp::LtE => order.is_lt().into(),
        CmpOp::Eq => Truth::No,
        CmpOp::NotEq => Truth::Yes,
        _ => Truth::Maybe,
    }
}

fn number(expression: &Expr) -> Option<u8> {
    match expression {
        Expr::NumberLiteral(literal) => match &literal.value {
            Number::Int(int) => int.as_u8(),
            _ => None,
        },
        _ => None,
    }
}
