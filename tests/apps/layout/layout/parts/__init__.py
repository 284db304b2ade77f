"""A package with attributes that are made on demand."""

import importlib

__all__ = ["alpha", "VALUE"]
VALUE = 1
_PRIVATE = 2


def __getattr__(name):
    if name == "lazy":
        return importlib.import_module(".inner.lazy", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return [*__all__, "lazy"]
