"""Statements of more kinds that wait: optional imports, annotated names, overloads and more."""

import typing

try:
    from json import loads as read

    import no_such_module_at_all as missing
except ImportError:
    missing = None
    read = None

try:
    from collections import OrderedDict as Ordered
except ImportError:
    Ordered = dict

try:
    from collections import no_such_name  # noqa: F401
except ImportError:
    pass

VALUE = r"0x[0-9a-f]+|\d+"
LIMITS: dict[str, int] = dict(low=1, high=2)
COUNT: typing.Final = len(VALUE)


@typing.overload
def double(value: int) -> int: ...
@typing.overload
def double(value: str) -> str: ...
def double(value):
    return value * 2


def _table(size):
    table = {}
    for index in range(size):
        table[index] = index * index
    table.update(last=size)
    return table


SQUARES = _table(4)


class _Missing:
    def __repr__(self):
        return "<missing>"


class Named(type):
    """Looks at its classes and tells nobody."""

    def __new__(cls, name, bases, namespace):
        made = super().__new__(cls, name, bases, namespace)
        made.called = name.lower()
        return made


class First(metaclass=Named):
    pass


class Checked:
    def __init_subclass__(cls):
        cls.fields = [name for name in dir(cls) if name.startswith("field")]


class Second(Checked):
    field_a = 1


def run():
    yield "optional", missing, read, Ordered.__name__, "no_such_name" in globals()
    yield "annotated", LIMITS, COUNT, sorted(__annotations__)
    yield "overloads", double(2), double("a")
    yield "made", SQUARES, SQUARES is SQUARES
    yield "classes", First.called, Second.fields
