"""Modules that come from the file system, beside those of the launcher."""

import importlib.util
import os
import sys

from layout.checks import check


@check
def from_disk():
    """A module that was no part of the build, in the working folder."""
    with open("pyrmware_plugin.py", "w") as file:
        file.write("import layout\nVALUE = layout.VERSION + ' seen from disk'\n")
    sys.path.insert(0, os.getcwd())
    importlib.invalidate_caches()
    import pyrmware_plugin

    yield pyrmware_plugin.VALUE, os.path.exists(pyrmware_plugin.__file__)
    spec = importlib.util.spec_from_file_location("by_path", "pyrmware_plugin.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module.VALUE, sys.path.pop(0) == os.getcwd()
    os.remove("pyrmware_plugin.py")
