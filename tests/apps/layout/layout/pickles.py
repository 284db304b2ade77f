"""Objects that are found again by the name of their module."""

import collections
import copy
import enum
import functools
import pickle
import sys
import typing

from layout.checks import check
from layout.plugins.shout import Shout

Pair = collections.namedtuple("Pair", "left right")
Level = enum.Enum("Level", "LOW HIGH")
Number = typing.NewType("Number", int)
Kind = typing.TypeVar("Kind")


class Tree(typing.NamedTuple):
    value: int
    children: tuple = ()


@check
def by_name():
    main = sys.modules["__main__"]
    for value in (main.Local(3), main.Local.Inner(), Shout()):
        data = pickle.dumps(value)
        yield type(value).__module__.encode() in data, type(pickle.loads(data)) is type(value)
    yield type(value).__qualname__, main.Local.Inner.__qualname__, main.Local.__module__
    for value in (
        Pair(1, 2),
        Tree(1, (Tree(2),)),
        Level.HIGH,
        main.main,
        functools.partial(mul, 2),
    ):
        for protocol in (0, pickle.HIGHEST_PROTOCOL):
            copied = pickle.loads(pickle.dumps(value, protocol))
        yield copied == value or copied(3) == value(3)
    yield copy.deepcopy(main.Local([1])).value, pickle.whichmodule(mul, "mul")


@check
def module_of():
    """Made by functions that ask their caller's frame for its module."""
    yield Pair.__module__, Level.__module__, Number.__module__, Kind.__module__, Tree.__module__


@check
def refused():
    for value in (lambda: None, sys, type("Made", (), {})()):
        try:
            pickle.dumps(value)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            yield type(error).__name__
    try:
        pickle.loads(b"\x80\x04\x8c\x15layout.no_such_module\x94\x8c\x01X\x94\x93.")
    except ModuleNotFoundError as error:
        yield str(error)


def mul(a, b):
    return a * b
