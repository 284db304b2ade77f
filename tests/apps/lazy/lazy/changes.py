"""Names that are set, replaced, deleted and made anew from outside."""

import importlib
from unittest import mock

from lazy import changed


def run():
    with mock.patch("lazy.changed.helper", return_value="patched") as helper:
        yield "patch", changed.uses(), helper.call_count
    yield "restored", changed.uses()
    changed.first = lambda: "set before it was asked for"
    yield "set", changed.uses_first()
    del changed.second
    yield "deleted", hasattr(changed, "second")
    try:
        changed.uses_second()
    except NameError as error:
        yield "deleted", error
    before = changed.third
    importlib.reload(changed)
    yield "reload", changed.third is before, changed.uses_first(), hasattr(changed, "second")
    yield "state", changed.remember("a"), changed.remember("b")
    yield "optional", changed.optional is None, changed.missing is None
