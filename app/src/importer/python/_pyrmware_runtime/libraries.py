"""Shared libraries of the payload for `ctypes`, which gives paths to the dynamic linker."""

import _pyrmware

from . import files


def configure():
    """Called before `ctypes` is imported."""
    import _ctypes

    original = _ctypes.dlopen

    def dlopen(name, *flags):
        return original(_real(name), *flags)

    _ctypes.dlopen = dlopen


def _real(name):
    if not files.is_inside(name):
        return name
    try:
        return _pyrmware.library(files.relative(name)) or name
    except ImportError as error:
        raise OSError(str(error)) from None
