//! What can be evaluated later, or not at all, without anybody noticing.
//!
//! An expression is pure when it changes nothing that others see and gives an equal value whenever it
//! is evaluated after the names it reads are bound. What is known to be so is listed by name.

use ruff_python_ast::{self as ast, Expr};

use super::names::bound_by;
use super::unit::Unit;

/// Functions and types: calling them is pure when their arguments are.
const CALLS: &[&str] = &[
    "_contextvars.ContextVar",
    "_thread.RLock",
    "_thread._local",
    "_thread.allocate_lock",
    "_weakrefset.WeakSet",
    "attr.Factory",
    "attr.attrib",
    "attr.field",
    "attr.ib",
    "attrs.Factory",
    "attrs.field",
    "builtins.abs",
    "builtins.bool",
    "builtins.bytearray",
    "builtins.bytes",
    "builtins.chr",
    "builtins.classmethod",
    "builtins.dict",
    "builtins.enumerate",
    "builtins.filter",
    "builtins.float",
    "builtins.frozenset",
    "builtins.hasattr",
    "builtins.int",
    "builtins.isinstance",
    "builtins.issubclass",
    "builtins.len",
    "builtins.list",
    "builtins.map",
    "builtins.max",
    "builtins.min",
    "builtins.object",
    "builtins.ord",
    "builtins.property",
    "builtins.range",
    "builtins.reversed",
    "builtins.set",
    "builtins.slice",
    "builtins.sorted",
    "builtins.staticmethod",
    "builtins.str",
    "builtins.sum",
    "builtins.tuple",
    "builtins.type",
    "builtins.zip",
    "collections.ChainMap",
    "collections.Counter",
    "collections.OrderedDict",
    "collections.defaultdict",
    "collections.deque",
    "collections.namedtuple",
    "contextvars.ContextVar",
    "dataclasses.field",
    "datetime.date",
    "datetime.datetime",
    "datetime.timedelta",
    "datetime.timezone",
    "decimal.Decimal",
    "enum.auto",
    "functools.cache",
    "functools.lru_cache",
    "functools.partial",
    "functools.wraps",
    "ipaddress.IPv4Address",
    "ipaddress.IPv4Network",
    "ipaddress.IPv6Address",
    "ipaddress.IPv6Network",
    "ipaddress.ip_address",
    "ipaddress.ip_network",
    "itertools.chain",
    "itertools.count",
    "logging.getLogger",
    "mimetypes.MimeTypes",
    "operator.attrgetter",
    "operator.itemgetter",
    "operator.methodcaller",
    "os.fspath",
    "os.path.dirname",
    "os.path.join",
    "pydantic.ConfigDict",
    "pydantic.Field",
    "pydantic.PrivateAttr",
    "pydantic.config.ConfigDict",
    "pydantic.fields.Field",
    "re.compile",
    "re.escape",
    "ssl.SSLContext",
    "ssl.create_default_context",
    "string.Template",
    "struct.Struct",
    "struct.calcsize",
    "threading.Lock",
    "threading.RLock",
    "threading.local",
    "types.MappingProxyType",
    "types.SimpleNamespace",
    "typing.NamedTuple",
    "typing.NewType",
    "typing.ParamSpec",
    "typing.TypeVar",
    "typing.TypeVarTuple",
    "typing.cast",
    "typing_extensions.NewType",
    "typing_extensions.ParamSpec",
    "typing_extensions.TypeAliasType",
    "typing_extensions.TypeVar",
    "typing_extensions.TypeVarTuple",
    "uuid.UUID",
    "weakref.WeakKeyDictionary",
    "weakref.WeakSet",
    "weakref.WeakValueDictionary",
    "weakref.ref",
];

/// Attributes of other modules that are what they are from the start.
const ATTRIBUTES: &[&str] = &[
    "os.altsep",
    "os.curdir",
    "os.devnull",
    "os.linesep",
    "os.name",
    "os.pathsep",
    "os.sep",
    "sys.byteorder",
    "sys.maxsize",
    "sys.maxunicode",
    "sys.platform",
    "sys.version_info",
];

/// Decorators that give a function for a function and tell nobody.
const DECORATORS: &[&str] = &[
    "abc.abstractclassmethod",
    "abc.abstractmethod",
    "abc.abstractproperty",
    "abc.abstractstaticmethod",
    "builtins.classmethod",
    "builtins.property",
    "builtins.staticmethod",
    "contextlib.asynccontextmanager",
    "contextlib.contextmanager",
    "enum.member",
    "enum.nonmember",
    "enum.property",
    "functools.cache",
    "functools.cached_property",
    "functools.lru_cache",
    "functools.singledispatch",
    "functools.singledispatchmethod",
    "functools.wraps",
    "reprlib.recursive_repr",
    "types.DynamicClassAttribute",
    "types.coroutine",
    "typing.final",
    "typing.no_type_check",
    "typing.overload",
    "typing.override",
    "typing.type_check_only",
    "typing_extensions.deprecated",
    "typing_extensions.final",
    "typing_extensions.overload",
    "typing_extensions.override",
    "warnings.deprecated",
];

/// Decorators that give a class for a class and tell nobody.
const CLASS_DECORATORS: &[&str] = &[
    "attr.attrs",
    "attr.dataclass",
    "attr.define",
    "attr.frozen",
    "attr.mutable",
    "attr.s",
    "attrs.define",
    "attrs.frozen",
    "attrs.mutable",
    "dataclasses.dataclass",
    "enum._simple_enum",
    "enum.unique",
    "functools.total_ordering",
    "typing.final",
    "typing.runtime_checkable",
    "typing.type_check_only",
    "typing_extensions.deprecated",
    "typing_extensions.final",
    "typing_extensions.runtime_checkable",
];

/// Modules whose attributes are what they are from the start.
const CONSTANT_MODULES: &[&str] = &[
    "abc",
    "collections",
    "contextlib",
    "dataclasses",
    "datetime",
    "enum",
    "errno",
    "functools",
    "http",
    "logging",
    "math",
    "operator",
    "re",
    "signal",
    "socket",
    "ssl",
    "stat",
    "string",
    "types",
    "typing",
    "typing_extensions",
    "weakref",
];

/// Methods of strings that are called on constants.
const STRING_METHODS: &[&str] = &[
    "decode",
    "encode",
    "format",
    "join",
    "lower",
    "lstrip",
    "replace",
    "rstrip",
    "split",
    "splitlines",
    "strip",
    "upper",
];

fn known(list: &[&str], meaning: &str) -> bool {
    list.binary_search(&meaning).is_ok()
}

impl Unit<'_> {
    /// Whether a decorator of a function tells nobody.
    pub fn is_pure_decorator(&self, decorator: &ast::Decorator) -> bool {
        self.decorates(decorator, DECORATORS)
    }

    /// Whether a decorator of a class tells nobody.
    pub fn is_pure_class_decorator(&self, decorator: &ast::Decorator) -> bool {
        self.decorates(decorator, CLASS_DECORATORS)
    }

    fn decorates(&self, decorator: &ast::Decorator, list: &[&str]) -> bool {
        let (function, arguments) = match &decorator.expression {
            Expr::Call(call) => (call.func.as_ref(), Some(&call.arguments)),
            other => (other, None),
        };
        self.meaning(function).is_some_and(|meaning| known(list, &meaning))
            && arguments.is_none_or(|arguments| self.are_pure(arguments, &[]))
    }

    /// Whether defining a function changes nothing but its name.
    pub fn is_pure_function(&self, function: &ast::StmtFunctionDef, local: &[String]) -> bool {
        let own_property = |decorator: &ast::Decorator| match &decorator.expression {
            Expr::Attribute(attribute) => {
                matches!(attribute.attr.id.as_str(), "setter" | "getter" | "deleter")
                    && matches!(attribute.value.as_ref(),
                        Expr::Name(name) if local.iter().any(|own| own == name.id.as_str()))
            }
            _ => false,
        };
        let decorators = function
            .decorator_list
            .iter()
            .all(|decorator| self.is_pure_decorator(decorator) || own_property(decorator));
        let parameters = function.parameters.iter_non_variadic_params().all(|parameter| {
            parameter.default.as_ref().is_none_or(|default| self.is_pure(default, local))
        });
        let pure = |annotation: &Expr| !self.annotations || self.is_pure(annotation, local);
        let mut annotations = function
            .parameters
            .iter()
            .filter_map(|parameter| parameter.annotation())
            .chain(function.returns.as_deref());
        decorators && parameters && function.type_params.is_none() && annotations.all(pure)
    }

    /// Whether all arguments of a call are pure.
    pub fn are_pure(&self, arguments: &ast::Arguments, local: &[String]) -> bool {
        arguments.args.iter().all(|argument| self.is_pure(argument, local))
            && arguments.keywords.iter().all(|keyword| self.is_pure(&keyword.value, local))
    }

    /// Whether a name means the same whenever it is asked for.
    pub fn is_stable(&self, name: &str) -> bool {
        self.stable.contains(name)
            || (super::names::is_builtin(name) && !self.bindings.counts.contains_key(name))
            || matches!(name, "__name__" | "__file__" | "__package__")
    }

    /// Whether an expression is pure; `local` are names of a class body around it.
    pub fn is_pure(&self, expression: &Expr, local: &[String]) -> bool {
        let pure = |expression: &Expr| self.is_pure(expression, local);
        let maybe = |expression: &Option<Box<Expr>>| expression.as_deref().is_none_or(pure);
        match expression {
            Expr::StringLiteral(_)
            | Expr::BytesLiteral(_)
            | Expr::NumberLiteral(_)
            | Expr::BooleanLiteral(_)
            | Expr::NoneLiteral(_)
            | Expr::EllipsisLiteral(_) => true,
            Expr::Name(name) => {
                let name = name.id.as_str();
                local.iter().any(|own| own == name) || self.is_stable(name)
            }
            // A method, not yet called, of a value just made: `re.compile(…).match`.
            Expr::Attribute(attribute) if attribute.value.is_call_expr() => pure(&attribute.value),
            Expr::Attribute(attribute) => {
                // `module.Class` and `Class.CONSTANT` are what they are; `settings.DEBUG` may change.
                let is_class = |text: &str| {
                    text.chars().next().is_some_and(char::is_uppercase)
                        && text.chars().any(char::is_lowercase)
                };
                let of_class = match attribute.value.as_ref() {
                    Expr::Name(name) => is_class(name.id.as_str()),
                    Expr::Attribute(outer) => is_class(outer.attr.id.as_str()),
                    _ => false,
                };
                let attr = attribute.attr.id.as_str();
                let is_constant = is_class(attr)
                    || (of_class && attr.chars().next().is_some_and(char::is_uppercase));
                let meaning = self.meaning(expression);
                let listed = meaning.is_some_and(|meaning| {
                    [ATTRIBUTES, CALLS, DECORATORS].iter().any(|list| known(list, &meaning))
                });
                let of_constants = self
                    .meaning(&attribute.value)
                    .is_some_and(|module| known(CONSTANT_MODULES, &module));
                (listed || of_constants || is_constant) && pure(&attribute.value)
            }
            Expr::Tuple(tuple) => tuple.elts.iter().all(pure),
            Expr::List(list) => list.elts.iter().all(pure),
            Expr::Set(set) => set.elts.iter().all(pure),
            Expr::Dict(dict) => dict
                .items
                .iter()
                .all(|item| item.key.as_ref().is_none_or(pure) && pure(&item.value)),
            Expr::BinOp(sum) => pure(&sum.left) && pure(&sum.right),
            Expr::UnaryOp(unary) => pure(&unary.operand),
            Expr::BoolOp(op) => op.values.iter().all(pure),
            Expr::Compare(compare) => pure(&compare.left) && compare.comparators.iter().all(pure),
            Expr::If(choice) => pure(&choice.test) && pure(&choice.body) && pure(&choice.orelse),
            Expr::Subscript(subscript) => pure(&subscript.value) && pure(&subscript.slice),
            Expr::Slice(slice) => maybe(&slice.lower) && maybe(&slice.upper) && maybe(&slice.step),
            Expr::Starred(starred) => pure(&starred.value),
            Expr::Lambda(lambda) => lambda.parameters.as_ref().is_none_or(|parameters| {
                parameters
                    .iter_non_variadic_params()
                    .all(|parameter| parameter.default.as_deref().is_none_or(pure))
            }),
            Expr::Call(call) => {
                let listed = match call.func.as_ref() {
                    Expr::Name(name) if self.makers.contains(name.id.as_str()) => true,
                    Expr::Attribute(method)
                        if method.value.is_string_literal_expr()
                            || method.value.is_bytes_literal_expr() =>
                    {
                        known(STRING_METHODS, method.attr.id.as_str())
                    }
                    function => self.meaning(function).is_some_and(|meaning| {
                        known(CALLS, &meaning) && self.is_pure(function, local)
                    }),
                };
                listed && self.are_pure(&call.arguments, local)
            }
            Expr::ListComp(all) => self.is_pure_loop(&all.generators, &[&all.elt], local),
            Expr::SetComp(all) => self.is_pure_loop(&all.generators, &[&all.elt], local),
            Expr::Generator(all) => self.is_pure_loop(&all.generators, &[&all.elt], local),
            Expr::DictComp(all) => {
                let parts: Vec<&Expr> =
                    all.key.iter().chain([&all.value]).map(Box::as_ref).collect();
                self.is_pure_loop(&all.generators, &parts, local)
            }
            _ => false,
        }
    }

    fn is_pure_loop(
        &self,
        generators: &[ast::Comprehension],
        elements: &[&Expr],
        local: &[String],
    ) -> bool {
        let mut local = local.to_vec();
        let loops = generators.iter().all(|generator| {
            let pure = self.is_pure(&generator.iter, &local);
            let names = bound_by(&generator.target);
            pure && names.is_some_and(|names| {
                local.extend(names);
                generator.ifs.iter().all(|test| self.is_pure(test, &local))
            })
        });
        loops && elements.iter().all(|element| self.is_pure(element, &local))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_can_be_searched() {
        for list in
            [ATTRIBUTES, CALLS, DECORATORS, CLASS_DECORATORS, CONSTANT_MODULES, STRING_METHODS]
        {
            assert!(list.is_sorted(), "{list:?}");
        }
    }
}
