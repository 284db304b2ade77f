//! Regular expressions that can be read out of the source, so that nobody has to compile them when
//! the application starts.
//!
//! The idea, to keep the arguments of `_sre.compile` and look them up, is older than this product; what
//! is looked for here are calls of `re` whose pattern and flags are constants, or made of constants by
//! sums and formatting, in whatever module those are.

use std::collections::{BTreeMap, BTreeSet};

use ruff_python_ast::visitor::{Visitor, walk_expr};
use ruff_python_ast::{self as ast, Expr, FStringPart, InterpolatedStringElement, Operator, Stmt};

use super::unit::Unit;

/// What `re.compile` is called with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Pattern {
    /// The pattern; of bytes, each as the character of its value.
    pub text: String,
    /// Whether it is one of bytes.
    pub bytes: bool,
    /// The flags' bits.
    pub flags: u32,
}

/// Functions that take a pattern first -> the position of their flags.
const TAKERS: [(&str, usize); 9] = [
    ("re.compile", 1),
    ("re.findall", 2),
    ("re.finditer", 2),
    ("re.fullmatch", 2),
    ("re.match", 2),
    ("re.search", 2),
    ("re.split", 3),
    ("re.sub", 4),
    ("re.subn", 4),
];

/// Names in `re`; what is compiled for the locale, or explained while it is, is left out.
const FLAGS: [(&str, u32); 12] = [
    ("re.A", 256),
    ("re.ASCII", 256),
    ("re.DOTALL", 16),
    ("re.I", 2),
    ("re.IGNORECASE", 2),
    ("re.M", 8),
    ("re.MULTILINE", 8),
    ("re.S", 16),
    ("re.U", 32),
    ("re.UNICODE", 32),
    ("re.VERBOSE", 64),
    ("re.X", 64),
];

/// Constants may be made of constants; more steps than this are a circle.
const FURTHEST: usize = 12;

/// Module -> the regular expressions in its source.
pub fn of_all(units: &[Unit<'_>]) -> BTreeMap<String, BTreeSet<Pattern>> {
    let constants = Constants::new(units);
    let found = units.iter().map(|unit| {
        let mut finder = Finder { unit, constants: &constants, found: BTreeSet::new() };
        unit.body.iter().for_each(|statement| finder.visit_stmt(statement));
        (unit.name.to_owned(), finder.found)
    });
    found.filter(|(_, patterns)| !patterns.is_empty()).collect()
}

struct Finder<'f, 'u> {
    unit: &'f Unit<'u>,
    constants: &'f Constants<'f, 'u>,
    found: BTreeSet<Pattern>,
}

impl Visitor<'_> for Finder<'_, '_> {
    fn visit_expr(&mut self, expression: &Expr) {
        if let Expr::Call(call) = expression {
            self.found.extend(self.pattern(call));
        }
        walk_expr(self, expression);
    }
}

impl Finder<'_, '_> {
    fn pattern(&self, call: &ast::ExprCall) -> Option<Pattern> {
        let meaning = self.unit.meaning(&call.func)?;
        let (_, position) = TAKERS.iter().find(|(name, _)| *name == meaning)?;
        let pattern = call.arguments.find_argument_value("pattern", 0)?;
        let flags = match call.arguments.find_argument_value("flags", *position) {
            Some(flags) => self.constants.flags(self.unit, flags, FURTHEST)?,
            None => 0,
        };
        let (text, bytes) = match self.constants.value(self.unit, pattern, FURTHEST)? {
            Value::Text(text) => (text, false),
            Value::Bytes(bytes) => (bytes.into_iter().map(char::from).collect(), true),
        };
        Some(Pattern { text, bytes, flags })
    }
}

/// A constant.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    Bytes(Vec<u8>),
}

/// What names at module level are bound to once.
struct Constants<'c, 'u> {
    /// (module, name) -> where it is, and the expression.
    known: BTreeMap<(&'c str, &'c str), (&'c Unit<'u>, &'u Expr)>,
}

impl<'c, 'u> Constants<'c, 'u> {
    fn new(units: &'c [Unit<'u>]) -> Self {
        let mut known = BTreeMap::new();
        for unit in units {
            for statement in &unit.body {
                let bound = match statement {
                    Stmt::Assign(assign) => match assign.targets.as_slice() {
                        [Expr::Name(name)] => Some((name, assign.value.as_ref())),
                        _ => None,
                    },
                    Stmt::AnnAssign(assign) => match (assign.target.as_ref(), &assign.value) {
                        (Expr::Name(name), Some(value)) => Some((name, value.as_ref())),
                        _ => None,
                    },
                    _ => None,
                };
                if let Some((name, value)) = bound.filter(|(name, _)| unit.bindings.once(&name.id))
                {
                    known.insert((unit.name, name.id.as_str()), (unit, value));
                }
            }
        }
        Constants { known }
    }

    /// What a name of a module, or `module.name`, is bound to.
    fn bound(&self, unit: &Unit<'_>, expression: &Expr) -> Option<(&'c Unit<'u>, &'u Expr)> {
        if let Expr::Name(name) = expression
            && let Some(found) = self.known.get(&(unit.name, name.id.as_str()))
        {
            return Some(*found);
        }
        let meaning = unit.meaning(expression)?;
        let (module, name) = meaning.rsplit_once('.')?;
        self.known.get(&(module, name)).copied()
    }

    fn value(&self, unit: &Unit<'_>, expression: &Expr, steps: usize) -> Option<Value> {
        let steps = steps.checked_sub(1)?;
        match expression {
            Expr::StringLiteral(text) => Some(Value::Text(text.value.to_str().to_owned())),
            Expr::BytesLiteral(bytes) => Some(Value::Bytes(bytes.value.bytes().collect())),
            Expr::Name(_) | Expr::Attribute(_) => {
                let (home, value) = self.bound(unit, expression)?;
                self.value(home, value, steps)
            }
            Expr::BinOp(sum) if sum.op == Operator::Add => {
                match (self.value(unit, &sum.left, steps)?, self.value(unit, &sum.right, steps)?) {
                    (Value::Text(left), Value::Text(right)) => Some(Value::Text(left + &right)),
                    (Value::Bytes(left), Value::Bytes(right)) => {
                        Some(Value::Bytes([left, right].concat()))
                    }
                    _ => None,
                }
            }
            Expr::BinOp(format) if format.op == Operator::Mod => {
                let text = self.text(unit, &format.left, steps)?;
                let values = match format.right.as_ref() {
                    Expr::Tuple(tuple) => {
                        let values = tuple.elts.iter().map(|value| self.text(unit, value, steps));
                        values.collect::<Option<Vec<_>>>()?
                    }
                    value => vec![self.text(unit, value, steps)?],
                };
                percent(&text, &values).map(Value::Text)
            }
            Expr::FString(string) => {
                let mut text = String::new();
                for part in &string.value {
                    match part {
                        FStringPart::Literal(literal) => text.push_str(literal),
                        FStringPart::FString(string) => {
                            for element in &string.elements {
                                text.push_str(&self.element(unit, element, steps)?);
                            }
                        }
                    }
                }
                Some(Value::Text(text))
            }
            // `"…".encode()`: of what is the same in every encoding that is asked for.
            Expr::Call(call) => match call.func.as_ref() {
                Expr::Attribute(method) if method.attr.id.as_str() == "encode" => {
                    let text = self.text(unit, &method.value, steps)?;
                    text.is_ascii().then(|| Value::Bytes(text.into_bytes()))
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn text(&self, unit: &Unit<'_>, expression: &Expr, steps: usize) -> Option<String> {
        match self.value(unit, expression, steps)? {
            Value::Text(text) => Some(text),
            Value::Bytes(_) => None,
        }
    }

    /// A part of an f-string, with nothing but a name in its braces.
    fn element(
        &self,
        unit: &Unit<'_>,
        element: &InterpolatedStringElement,
        steps: usize,
    ) -> Option<String> {
        match element {
            InterpolatedStringElement::Literal(literal) => Some(literal.value.to_string()),
            InterpolatedStringElement::Interpolation(inner) => {
                let plain = inner.debug_text.is_none()
                    && inner.conversion == ast::ConversionFlag::None
                    && inner.format_spec.is_none();
                plain.then(|| self.text(unit, &inner.expression, steps)).flatten()
            }
        }
    }

    fn flags(&self, unit: &Unit<'_>, expression: &Expr, steps: usize) -> Option<u32> {
        let steps = steps.checked_sub(1)?;
        match expression {
            Expr::NumberLiteral(number) => match &number.value {
                ast::Number::Int(number) if *number == 0u8 => Some(0),
                _ => None,
            },
            Expr::BinOp(sum) if matches!(sum.op, Operator::BitOr | Operator::Add) => {
                let left = self.flags(unit, &sum.left, steps)?;
                let right = self.flags(unit, &sum.right, steps)?;
                (sum.op == Operator::BitOr || left & right == 0).then_some(left | right)
            }
            Expr::Name(_) | Expr::Attribute(_) => {
                let meaning = unit.meaning(expression);
                let known = FLAGS.iter().find(|(name, _)| Some(*name) == meaning.as_deref());
                match known {
                    Some((_, bits)) => Some(*bits),
                    None => {
                        let (home, value) = self.bound(unit, expression)?;
                        self.flags(home, value, steps)
                    }
                }
            }
            _ => None,
        }
    }
}

/// `text % values` with nothing but `%s` and `%%` in the text.
fn percent(text: &str, values: &[String]) -> Option<String> {
    let mut values = values.iter();
    let mut pieces = text.split('%');
    let mut out = pieces.next()?.to_owned();
    while let Some(piece) = pieces.next() {
        if piece.is_empty() {
            out.push('%');
            out.push_str(pieces.next()?);
        } else {
            out.push_str(values.next()?);
            out.push_str(piece.strip_prefix('s')?);
        }
    }
    values.next().is_none().then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::scan::{Dialect, Source};

    fn found(modules: &[(&str, &str)]) -> Vec<(String, bool, u32)> {
        let none = BTreeSet::new();
        let dialect = Dialect { version: Some((3, 11)), main: true, names: &none };
        let sources: Vec<Source> =
            modules.iter().map(|(_, text)| Source::parse((*text).into(), (3, 11))).collect();
        let units: Vec<Unit<'_>> = modules
            .iter()
            .zip(&sources)
            .map(|((name, _), source)| Unit::new(name, false, source, dialect))
            .collect();
        let patterns = of_all(&units).into_values().flatten();
        patterns.map(|pattern| (pattern.text, pattern.bytes, pattern.flags)).collect()
    }

    fn one(text: &str) -> Vec<(String, bool, u32)> {
        found(&[("m", text)])
    }

    #[test]
    fn calls_with_constants_are_found_wherever_they_are() {
        let text = "import re\nfrom re import sub as s, X\ndef f():\n return re.match('a' 'b', x, re.I | X)\n\
                    class C:\n P = re.compile(rb'\\xff')\n Q = s('c', '', y, flags=X)\n";
        let expected = [("ab", false, 66), ("\\xff", true, 0), ("c", false, 64)];
        let mut expected = expected.map(|(text, bytes, flags)| (text.to_owned(), bytes, flags));
        expected.sort();
        assert_eq!(one(text), expected);
    }

    #[test]
    fn constants_are_followed() {
        let a = "WORD = r'\\w+'\nFLAGS = 0\n";
        let b = "import re, a\nfrom a import WORD as W\nQ = W + '%'\nF = re.S | re.M\n\
                 A = re.compile(f'({W})={a.WORD}', F)\nB = re.compile('%s%%-%s' % (Q, 'x'), a.FLAGS)\n\
                 C = re.compile(('^' + W).encode())\n";
        let texts: Vec<_> = found(&[("a", a), ("b", b)]);
        let expected = [
            ("(\\w+)=\\w+".to_owned(), false, 24),
            ("\\w+%%-x".to_owned(), false, 0),
            ("^\\w+".to_owned(), true, 0),
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn what_is_not_known_is_left_alone() {
        let texts = [
            "import re\nre.compile(x)",
            "import re\nre.compile('a', flags)",
            "import re\nre.compile('a', re.L)",
            "import re\nA = 'a'\nA = 'b'\nre.compile(A)",
            "import re\nA = 'a'\ndef f():\n global A\n A = 'b'\nre.compile(A)",
            "import re\nre.compile(f'{x}')",
            "import re\nA = 'x'\nre.compile(f'{A!r}')",
            "import re\nre.compile('%d' % 'a')",
            "import regex as re\nre.compile('a')",
            "import re\nA = B\nB = A\nre.compile(A)",
        ];
        for text in texts {
            assert_eq!(one(text), [], "{text}");
        }
    }

    #[test]
    fn percent_formats_as_python_does() {
        let values = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>();
        assert_eq!(percent("%s=%s%%", &values(&["a", "b"])).as_deref(), Some("a=b%"));
        assert_eq!(percent("%%s", &[]).as_deref(), Some("%s"));
        for (text, some) in
            [("%s", &[][..]), ("a", &["x"]), ("%d", &["x"]), ("%", &[]), ("%r", &["x"])]
        {
            assert_eq!(percent(text, &values(some)), None, "{text}");
        }
    }
}
