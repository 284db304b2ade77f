"""Modules of the device's standard library to which the launcher does what it does to its own."""

from _frozen_importlib_external import PathFinder

import _pyrmware


def find_spec(name, filename, path):
    spec = PathFinder.find_spec(name, path)
    if spec is None:
        return None
    run = spec.loader.exec_module

    def exec_module(module):
        _pyrmware.before(filename)
        run(module)
        _pyrmware.after(filename, module)

    spec.loader.exec_module = exec_module
    return spec
