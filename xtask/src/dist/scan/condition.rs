//! Tests whose outcome is known when the launcher is built: the platform, the version, `TYPE_CHECKING`.

use std::cmp::Ordering;

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
        Expr::BooleanLiteral(literal) if dialect.version.is_some() => literal.value.into(),
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
                ("sys" | "_sys", "platform") => dialect.version.map(|_| "linux"),
                ("os" | "_os", "name") => dialect.version.map(|_| "posix"),
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
    match (version_part(left), dialect.version) {
        (Some(part), Some((major, minor))) => version(&part, op, right, [major, minor]),
        _ => Truth::Maybe,
    }
}

/// What is compared with a constant: `sys.version_info` or a part of it.
enum Version {
    /// The first parts of a tuple of this length.
    Tuple(usize),
    /// One part.
    Part(usize),
}

fn version_part(expression: &Expr) -> Option<Version> {
    match expression {
        Expr::Attribute(attribute) => {
            match (attribute.value.as_ref(), attribute.attr.id.as_str()) {
                (Expr::Name(module), "version_info") => {
                    matches!(module.id.as_str(), "sys" | "_sys").then_some(Version::Tuple(5))
                }
                (inner, "major") => version_part(inner).map(|_| Version::Part(0)),
                (inner, "minor") => version_part(inner).map(|_| Version::Part(1)),
                _ => None,
            }
        }
        Expr::Subscript(subscript) => {
            version_part(&subscript.value)?;
            match subscript.slice.as_ref() {
                Expr::Slice(slice) if slice.lower.is_none() && slice.step.is_none() => {
                    slice.upper.as_deref().and_then(number).map(|end| Version::Tuple(end.into()))
                }
                index => number(index).map(|index| Version::Part(index.into())),
            }
        }
        _ => None,
    }
}

/// Compares the target's version, whose first two parts are known, with a constant.
fn version(left: &Version, op: CmpOp, right: &Expr, ours: [u8; 2]) -> Truth {
    let order = match (left, right) {
        (Version::Part(index), right) => match (ours.get(*index), number(right)) {
            (Some(part), Some(number)) => part.cmp(&number),
            _ => return Truth::Maybe,
        },
        (Version::Tuple(length), Expr::Tuple(tuple)) => {
            let Some(theirs) = tuple.elts.iter().map(number).collect::<Option<Vec<u8>>>() else {
                return Truth::Maybe;
            };
            let known = theirs.len().min(*length).min(ours.len());
            match ours[..known].cmp(&theirs[..known]) {
                // The parts that decide are not known.
                Ordering::Equal if known < theirs.len().min(*length) => return Truth::Maybe,
                Ordering::Equal => length.cmp(&theirs.len()),
                order => order,
            }
        }
        _ => return Truth::Maybe,
    };
    match op {
        CmpOp::Gt => order.is_gt(),
        CmpOp::GtE => order.is_ge(),
        CmpOp::Lt => order.is_lt(),
        CmpOp::LtE => order.is_le(),
        CmpOp::Eq => order.is_eq(),
        CmpOp::NotEq => order.is_ne(),
        _ => return Truth::Maybe,
    }
    .into()
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
