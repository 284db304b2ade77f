"""Errors of statements that are put off, and of names that are not there."""

import traceback

from lazy import fails


def run():
    try:
        fails.undefined()
    except NameError as error:
        yield "name", error, error.name
    try:
        yield "attribute", fails.no_such_name
    except AttributeError as error:
        yield "attribute", error
    try:
        from lazy.fails import nothing  # noqa: F401
    except ImportError as error:
        yield "import", type(error).__name__, error.name
    try:
        fails.divides()
    except ZeroDivisionError as error:
        frames = traceback.extract_tb(error.__traceback__)
        yield "trace", [(frame.name, frame.lineno) for frame in frames]
    yield "early", fails.EARLY, fails.shadowed("a")


def uncaught():
    fails.divides()
