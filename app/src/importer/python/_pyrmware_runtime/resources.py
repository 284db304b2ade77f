"""`importlib.resources` for packages of the payload."""

import contextlib
import os
import pathlib
import sys

import _pyrmware

from . import files

try:
    from importlib.resources import abc, as_file
except ImportError:  # up to 3.10
    from importlib import abc
    from importlib.resources import as_file


class PayloadPath(type(pathlib.Path())):
    """A path below the launcher. It does everything that a `pathlib.Path` does, save writing."""


@as_file.register(PayloadPath)
@contextlib.contextmanager
def _(path):
    """A path that C code and other processes can open while the context lasts: a memory file of
    this process.

    A folder is unpacked into the temporary folder, as `importlib.resources` does it from 3.12 on
    for all that is no folder of the machine; before, it is given as it is, for Python code to walk
    through.
    """
    if path.is_dir():
        unpacked = getattr(sys.modules[as_file.__module__], "_temp_dir", contextlib.nullcontext)
        with unpacked(path) as folder:
            yield folder
        return
    descriptor = _pyrmware.memory_file(files.relative(path))
    try:
        yield pathlib.Path(f"/proc/{os.getpid()}/fd/{descriptor}")
    finally:
        os.close(descriptor)


class Reader(abc.TraversableResources):
    """What `get_resource_reader` gives."""

    def __init__(self, folder):
        self._folder = PayloadPath(folder)

    def files(self):
        return self._folder


def keep_to_folders(readers):
    """3.13 takes every part of a namespace package's path for an archive; the launcher is none."""
    original = getattr(readers.NamespaceReader, "_resolve_zip_path", None)
    if original is not None:
        readers.NamespaceReader._resolve_zip_path = staticmethod(
            lambda path: () if files.is_inside(path) else original(path)
        )
