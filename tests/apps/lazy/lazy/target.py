"""A module with one of everything that can be put off."""

from __future__ import annotations

import collections
import json as text
import os.path
import re
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from fractions import Fraction

__all__ = ["CONSTANT", "PATTERN", "Pair", "Plain", "T", "function", "later"]

CONSTANT = 3
PATTERN = re.compile(r"(\w+)-(\d+)")
T = TypeVar("T")
Pair = collections.namedtuple("Pair", "left right")
counter = 0
_private = Decimal("1.5")


class Plain:
    """A class."""

    limit = CONSTANT

    def method(self) -> Fraction:
        return Decimal(self.limit)


class Row(NamedTuple):
    name: str
    value: int = 1


def function(value=CONSTANT, *, plain: Plain | None = None):
    return text.dumps({"value": value, "plain": plain}), os.path.basename("a/b")


def later():
    return function(5)


def count():
    global counter
    counter += 1
    return counter


def own_names():
    return sorted(name for name in globals() if not name.startswith("__"))


def evaluated(source):
    return eval(source)


def executed(source):
    scope = {}
    exec(source, globals(), scope)
    return scope
