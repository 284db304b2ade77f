"""Packages without __init__.py, in the application and shared with a dependency."""

import importlib
import importlib.util
import pkgutil
import sys

import jaraco.context

import fleet
import fleet.south
import jaraco.pyrmware_layout
from layout.checks import check


@check
def of_the_application():
    yield (
        fleet.__name__,
        getattr(fleet, "__file__", None),
        len(fleet.__path__),
        fleet.south.NEIGHBOUR,
    )
    yield fleet.__spec__.origin, fleet.__spec__.loader is not None, fleet.__package__
    yield type(fleet.__path__).__name__, len(fleet.__spec__.submodule_search_locations)
    yield sorted((x.name, x.ispkg) for x in pkgutil.iter_modules(fleet.__path__))
    yield repr(fleet).startswith("<module 'fleet' (namespace)")
    spec = importlib.util.find_spec("fleet.notes")
    yield spec.name, spec.origin, importlib.util.find_spec("fleet.missing")
    yield importlib.import_module("fleet.notes.old").__name__, "fleet.notes" in sys.modules


@check
def shared():
    """`jaraco` has a portion here and one among the dependencies."""
    yield jaraco.pyrmware_layout.TRAP, jaraco.context.ExceptionTrap.__module__
    names = {module.name for module in pkgutil.iter_modules(jaraco.__path__)}
    yield sorted(names & {"context", "pyrmware_layout"}), getattr(jaraco, "__file__", None)
    if sys.version_info < (3, 12):
        # A namespace of the old kind: its __init__.py calls pkgutil.extend_path.
        import backports.tarfile

        yield backports.tarfile.__name__, hasattr(backports, "__file__")
