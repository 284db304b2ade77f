"""A module's names from inside and outside."""

import copy
import importlib
import inspect
import pickle
import runpy
import sys
import types
import typing

import lazy
import lazy.shapes
from lazy import annotated, grown, starred, target, watched


def public(names):
    return sorted(name for name in names if not name.startswith("__"))


def counted_on():
    import lazy.parts.first

    return lazy.parts.second.SIZE, lazy.parts.first.size()


class Watched(types.ModuleType):
    """Modules of this kind do what others do by way of their base class."""

    def __getattribute__(self, name):
        return super().__getattribute__(name)

    def __setattr__(self, name, value):
        super().__setattr__(name, value)

    def __delattr__(self, name):
        super().__delattr__(name)


def own_kind():
    watched.__class__ = Watched
    found = watched.Thing().name
    watched.added = 1
    del watched.Gone
    watched.__class__ = types.ModuleType
    return found, watched.added, hasattr(watched, "Gone")


def run():
    yield "hints", sorted(typing.get_type_hints(annotated.Below))
    yield "hasattr", hasattr(target, "Row"), hasattr(target, "nothing")
    yield "getattr", target.later(), getattr(target, "nothing", "none")
    yield "vars", public(vars(target))
    yield "dir", public(dir(target))
    yield "pickle", pickle.loads(pickle.dumps(globals)) is globals, inspect.signature(globals)
    yield "grown", public(vars(grown))
    yield "dict", public(target.__dict__), "PATTERN" in target.__dict__
    yield "globals", target.own_names()
    yield "eval", target.evaluated("Pair(1, 2).right + CONSTANT")
    yield "exec", target.executed("found = [Plain().method(), PATTERN.match('a-1').groups()]")
    yield "count", target.count(), target.count(), target.counter
    yield "star", public(vars(starred)), starred.reads(), starred.Pair is target.Pair
    yield "same", target.function is starred.function, target.T is starred.T
    yield "members", [name for name, _ in inspect.getmembers(target, inspect.isclass)]
    yield "signature", inspect.signature(target.function)
    yield "hints", sorted(typing.get_type_hints(target.Row).items())
    yield "module", target.Plain.__module__, target.Pair.__module__, target.function.__qualname__
    yield "pickle", pickle.loads(pickle.dumps(target.Plain)) is target.Plain
    yield "pickle", pickle.loads(pickle.dumps([target.Pair(1, 2), target.Row("a"), target.T]))
    yield "copy", copy.copy(target.function) is target.function
    yield "scope", eval("function()", dict(vars(target)))
    yield "submodule", lazy.shapes.AREA, lazy.shapes.square.area(3)
    yield "package", public(vars(lazy.shapes))
    yield "counted on", counted_on()
    yield "own kind", own_kind()
    yield "alone", runpy.run_module("lazy.alone")["SO_FAR"]
    yield (
        "import",
        importlib.import_module("lazy.shapes.circle").NAME,
        sys.modules["lazy.target"]._private,
    )
