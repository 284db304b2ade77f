"""What a failed import says."""

import sys

from layout.checks import check, mask


def outcome(statement):
    try:
        exec(statement, {"__name__": "layout.somewhere", "__package__": "layout"})
    except (ImportError, AttributeError) as error:
        where = getattr(error, "path", None)
        return (
            type(error).__name__,
            mask(error),
            getattr(error, "name", None),
            where and mask(where),
        )
    return "imported"


@check
def missing():
    yield outcome("import no_such_module"), outcome("import layout.no_such_module")
    yield (
        outcome("from layout import no_such_name"),
        outcome("from layout.tool import no_such_name"),
    )
    yield outcome("from . import no_such_name"), outcome("from .no_such_module import x")
    yield outcome("import layout.tool.below"), outcome("import json.no_such_module.below")
    yield outcome("from fleet import no_such_name"), outcome("from sys import no_such_name")
    yield (
        outcome("import layout; layout.no_such_attribute"),
        outcome("from layout.parts import nothing"),
    )
    yield outcome("from layout.tool import RESULT"), "layout.no_such_module" in sys.modules


@check
def circles():
    yield outcome("import layout.circle.bad_a"), "layout.circle.bad_a" in sys.modules
    yield outcome("import layout.circle.attribute_a")


@check
def blocked():
    sys.modules["layout.blocked"] = None
    yield outcome("import layout.blocked")
    del sys.modules["layout.blocked"]
