"""Drivers are found by a name that a configuration gives."""

import importlib


def driver(name):
    return importlib.import_module(f"{__name__}.{name[::-1]}_driver")
