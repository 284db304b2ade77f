"""The import system's own interfaces."""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import pkgutil
import runpy
import sys
import types

import layout
from layout import drivers, parts
from layout.checks import check, mask
from layout.circle import good_a, good_b
from layout.parts import alpha


@check
def facts():
    main = sys.modules["__main__"]
    yield main.__name__, main.__spec__.name, main.__package__, os.path.basename(main.__file__)
    for module in (layout, alpha, parts):
        spec = module.__spec__
        yield spec.name, spec.parent, spec.has_location, os.path.basename(spec.origin)
        yield (
            os.path.basename(module.__file__),
            module.__package__,
            module.__loader__ is spec.loader,
        )
        yield [os.path.basename(path) for path in getattr(module, "__path__", ())]
        yield module.__loader__.is_package(module.__name__), mask(repr(module))
        yield os.path.basename(module.__loader__.get_filename(module.__name__))
        code = module.__loader__.get_code(module.__name__)
        yield type(code).__name__, code.co_name, os.path.basename(code.co_filename)
        yield (
            os.path.dirname(spec.origin)
            == os.path.dirname(module.__file__)
            == os.path.dirname(code.co_filename)
        )
    yield os.path.relpath(alpha.__file__, os.path.dirname(layout.__file__))
    yield isinstance(layout.__path__, list), layout.__doc__, isinstance(alpha.__builtins__, dict)
    yield sys.modules["json"] is importlib.import_module("json") if "json" in sys.modules else True


@check
def found():
    for name in ("layout.tool", "layout.texts", "layout.missing", "json", "sys", "zlib"):
        spec = importlib.util.find_spec(name)
        yield name, spec and spec.name, spec and spec.submodule_search_locations is not None
    yield (
        importlib.util.find_spec(".tool", "layout").name,
        importlib.util.resolve_name("..a", "b.c"),
    )
    try:
        importlib.util.find_spec("missing_package.module")
    except ModuleNotFoundError as error:
        yield str(error)
    yield all(hasattr(finder, "find_spec") for finder in sys.meta_path)


@check
def walked():
    yield sorted(
        (x.name, x.ispkg)
        for x in pkgutil.iter_modules(layout.__path__, "layout.")
        if x.name != "layout.dropped"
    )
    errors = []
    walk = pkgutil.walk_packages(layout.__path__, "layout.", errors.append)
    yield sorted(module.name for module in walk if module.name.count(".") > 1), errors
    yield pkgutil.resolve_name("layout.plugins.shout:Shout").__name__
    yield (
        type(pkgutil.get_loader("layout.tool")).__name__ != ""
        if sys.version_info < (3, 12)
        else None
    )


@check
def computed():
    yield [drivers.driver(name).KIND for name in ("serial", "socket")]
    try:
        drivers.driver("usb")
    except ModuleNotFoundError as error:
        yield str(error)
    yield (
        importlib.import_module(".inner.deep", "layout.parts").VALUE,
        __import__("layout.tool").__name__,
    )
    yield (
        __import__("layout.parts", fromlist=["alpha"]).__name__,
        importlib.__import__("layout").VERSION,
    )


@check
def relative():
    yield alpha.VALUES, parts.lazy.VALUE, dir(parts), hasattr(parts, "nothing")
    namespace = {}
    exec("from layout.parts import *", namespace)
    yield sorted(name for name in namespace if not name.startswith("__"))
    yield good_a.name(), good_b.back()
    try:
        exec("from ..x import y", {"__name__": "layout.tool", "__package__": "layout"})
    except (ImportError, ValueError) as error:
        yield type(error).__name__, str(error)


@check
def reloaded():
    from layout.plugins import count

    before, count.NAME, count.extra = id(count), "changed", "kept"
    times = layout.LOADED.count("count")
    again = importlib.reload(count)
    yield id(again) == before, count.NAME, count.extra, layout.LOADED.count("count") - times
    del sys.modules["layout.plugins.count"]
    fresh = importlib.import_module("layout.plugins.count")
    yield fresh is count, hasattr(fresh, "extra")


@check
def made_by_hand():
    spec = importlib.util.find_spec("layout.tool")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module.RESULT[:3], module is sys.modules.get("layout.tool")
    lazy = importlib.util.LazyLoader(spec.loader)
    lazy_spec = importlib.util.spec_from_loader("layout.lazy_tool", lazy)
    yield lazy_spec.name, isinstance(types.ModuleType("made"), types.ModuleType)

    class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
        def find_spec(self, name, path, target=None):
            if name == "layout.generated":
                return importlib.machinery.ModuleSpec(name, self, origin="memory")

        def exec_module(self, module):
            module.VALUE = module.__spec__.origin

    finder = Finder()
    sys.meta_path.append(finder)
    import layout.generated

    sys.meta_path.remove(finder)
    yield layout.generated.VALUE, layout.generated.__spec__.has_location


@check
def run_by_name():
    result = runpy.run_module("layout.tool")
    yield result["RESULT"][:3]
    result = runpy.run_module("layout.tool", run_name="__main__", alter_sys=True)
    yield result["RESULT"][:3], sys.modules["__main__"].__spec__.name
    try:
        runpy.run_module("layout.parts")
    except ImportError as error:
        yield str(error)


def dropped():
    """Not a check: on stock Python the module is there."""
    try:
        import layout.dropped

        print("dropped:", layout.dropped.WHERE)
    except ModuleNotFoundError as error:
        print("dropped:", error.name, str(error))
