"""What the language offers about itself: types, signatures, frames, tests."""

import abc
import asyncio
import contextlib
import contextvars
import copy
import dataclasses
import dis
import doctest
import enum
import functools
import gc
import importlib.util
import inspect
import io
import symtable
import sys
import traceback
import types
import typing
import unittest
import warnings
import weakref
from unittest import mock

from stdlib_tour.checks import check

if typing.TYPE_CHECKING:
    from stdlib_tour.no_such_module import Nothing  # noqa: F401 (must never be imported)


@dataclasses.dataclass(order=True)
class Reading:
    """A reading, for `dataclasses` and `typing`."""

    unit: "str"
    value: float = 0.0
    tags: "typing.Optional[list[str]]" = dataclasses.field(default_factory=list, compare=False)  # noqa: UP045 (evaluated from the string)


class Color(enum.Enum):
    RED = "r"
    GREEN = "g"


class Right(enum.IntFlag):
    READ = enum.auto()
    WRITE = enum.auto()


class Shape(typing.Protocol):
    def area(self) -> float: ...


class Base(abc.ABC):
    @abc.abstractmethod
    def area(self): ...


@functools.singledispatch
def describe(value, /, *rest: int, unit: str = "mm", **more) -> str:
    """Describe a value.

    >>> describe(3)
    'int 3'
    """
    return f"other {value}"


@describe.register
def _(value: int):
    return f"int {value}"


@check
def classes():
    first, second = Reading("a", 2.0, ["x"]), Reading("a", 3.0)
    yield first, first < second, dataclasses.asdict(first), dataclasses.replace(first, value=1.0)
    yield Color("r"), Color.GREEN.name, list(Color), Right.READ | Right.WRITE, Right(3)
    yield typing.get_type_hints(Reading), typing.get_args(typing.Union[int, None])  # noqa: UP007 (as an object)
    yield typing.get_type_hints(describe), Shape.__mro__[1].__name__
    try:
        Base()
    except TypeError as error:
        yield str(error)
    yield copy.deepcopy(first) == first, types.SimpleNamespace(a=1), describe(1), describe("x")


@check
def introspection():
    yield str(inspect.signature(describe)), inspect.signature(Reading).parameters["value"].default
    yield inspect.getdoc(Reading), inspect.getmodule(Reading).__name__, inspect.isabstract(Base)
    yield describe.__wrapped__.__code__.co_varnames, describe.__wrapped__.__qualname__
    yield inspect.getclosurevars(introspection).globals["inspect"] is inspect
    yield [frame.function for frame in inspect.stack()][:2], sys._getframe().f_code.co_name
    yield [item.opname for item in dis.get_instructions("x = y + 1")]
    yield symtable.symtable("def f(a): return a", "<text>", "exec").get_children()[0].get_name()
    yield importlib.util.find_spec("json").name, importlib.util.find_spec("no_such_module")
    yield sys.stdlib_module_names >= {"json", "asyncio"}, "sys" in sys.builtin_module_names


@check
def errors():
    def fail(depth):
        if depth:
            fail(depth - 1)
        raise ValueError("deep")

    try:
        try:
            fail(2)
        except ValueError as error:
            raise KeyError("outer") from error
    except KeyError as error:
        yield [frame.name for frame in traceback.extract_tb(error.__cause__.__traceback__)]
        yield traceback.format_exception_only(type(error), error)
        summary = traceback.TracebackException.from_exception(error)
        yield summary.exc_type.__name__, str(summary.__cause__), len(summary.stack)
        here = traceback.extract_tb(error.__traceback__)[0]
        yield here.name, here.lineno - errors.__code__.co_firstlineno
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn("careful", RuntimeWarning, stacklevel=1)
    yield caught[0].category.__name__, str(caught[0].message)


@check
def contexts():
    variable = contextvars.ContextVar("variable", default=0)
    token = variable.set(1)
    yield (
        variable.get(),
        contextvars.copy_context()[variable],
        variable.reset(token),
        variable.get(),
    )
    with contextlib.ExitStack() as stack:
        stack.callback(print, "callback")
        stack.enter_context(contextlib.suppress(ValueError))
        raise ValueError
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.closing(io.BytesIO()):
        print("kept")
    yield out.getvalue(), contextlib.nullcontext(3).__enter__()

    async def numbers():
        for number in range(3):
            await asyncio.sleep(0)
            yield number

    async def gather():
        return [number async for number in numbers()]

    yield asyncio.run(gather())


@check
def references():
    class Node:
        pass

    node = Node()
    reference = weakref.ref(node)
    finalizer = weakref.finalize(node, print, "finalized")
    node.self = node
    del node
    gc.collect()
    yield reference(), finalizer.alive, weakref.WeakValueDictionary().data


@check
def tests():
    """A device may test itself with the library's own tools."""

    class Case(unittest.TestCase):
        def test_equal(self):
            self.assertEqual(1 + 1, 2)

        def test_mock(self):
            with mock.patch("json.dumps", return_value="mocked"):
                import json

                self.assertEqual(json.dumps(1), "mocked")

        @unittest.skip("because")
        def test_skipped(self):
            raise AssertionError

        def test_fails(self):
            with self.subTest(n=1):
                self.assertIn(1, [2])

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Case).run(result)
    yield result.testsRun, len(result.failures), result.skipped[0][1]
    out = io.StringIO()
    examples = doctest.DocTestParser().get_doctest(
        describe.__doc__, {"describe": describe}, "describe", None, 0
    )
    yield doctest.DocTestRunner(verbose=False).run(examples, out=out.write), out.getvalue()
    fake = mock.MagicMock(spec=Reading("a"))
    fake.unit = mock.Mock()
    fake.unit.upper.return_value = "A"
    yield fake.unit.upper(), fake.unit.upper.call_count


@check
def compiling():
    namespace = {}
    exec(compile("def f(x):\n    return x / 0\n", "<generated>", "exec"), namespace)
    try:
        namespace["f"](1)
    except ZeroDivisionError as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        yield frame.filename, frame.lineno, frame.name
    yield (
        eval("[x * 2 for x in range(3)]"),
        types.FunctionType(namespace["f"].__code__, {}).__name__,
    )
    kind = types.new_class("Made", (Reading,), {}, lambda body: body.update(extra=1))
    yield kind.extra, kind.__module__, type("Other", (), {})().__class__.__name__
