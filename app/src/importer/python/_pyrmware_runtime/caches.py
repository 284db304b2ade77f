"""Caches of well-known packages that can be cleared while they are in use: what they hold can be
had again.

Nothing is imported, nothing lazy is bound, and the heap is not walked: a cache is looked for in the
names that modules have, and a package that nobody has imported is left out. What is called here
runs between two bytecode instructions of whatever the main thread does, which may be in the middle
of using the cache: each of these is safe there, for it takes no lock and its users look a thing up
and take it in one step.
"""

import sys

from _pyrmware import namespace

SOFT, HARD = 10, 20  # as in pyrmware


def catalogue(wanted, level):
    """[(name, clear)] of what there is to clear at this level, in order. `wanted` has the names
    that are configured; `clear` takes nothing.
    """
    found = {}
    for name in wanted:
        kind, _, function = name.partition(":")
        if kind == "functools":
            found[name] = _functools(function)
            continue
        for known in KNOWN if kind == "auto" else [name]:
            package, least, clear = KNOWN[known]
            if package in sys.modules and level >= least:
                found[known] = clear
    return list(found.items())


def _names(module):
    """The names of a module that are bound, as a dict; empty where it was not imported."""
    return namespace(sys.modules.get(module)) or {}


def _everything():
    """What all modules' names are bound to."""
    for module in list(sys.modules.values()):
        yield from list((namespace(module) or {}).values())


def _call(module, function):
    """Clears by what the module itself has for it; one that is just being imported may lack it."""

    def clear():
        getattr(sys.modules[module], function, _nothing)()

    return clear


def _nothing():
    pass


def _filters():
    """A filter remembers what it was combined with, and that holds a method, and so a session. The
    filters that modules have live for ever, and so does what they were combined with.
    """
    names = _names("prompt_toolkit.filters.base")
    for name in ("_and_cache", "_or_cache", "_invert_cache"):  # until 3.0.36
        if isinstance(names.get(name), dict):
            names[name].clear()
    kind = names.get("Filter")
    if kind is None:
        return
    # Not isinstance: the class's metaclass would remember every type that it is asked about.
    found = [value for value in _everything() if kind in type(value).__mro__]
    seen = set()
    while found:
        of = getattr(found.pop(), "__dict__", {})
        if id(of) in seen or "_and_cache" not in of:
            continue
        seen.add(id(of))
        # What was combined is shared by those who did it alike, and remembers in its turn.
        found += [*of["_and_cache"].values(), *of["_or_cache"].values()]
        if of["_invert_result"] is not None:
            found.append(of["_invert_result"])
        of["_and_cache"].clear()
        of["_or_cache"].clear()
        of["_invert_result"] = None


def _prompt_toolkit():
    _filters()
    # `has_focus` of a window, until 3.0.36.
    kind = _names("prompt_toolkit.cache").get("SimpleCache")
    for value in list(_names("prompt_toolkit.filters.app").values()):
        for cell in getattr(value, "__closure__", None) or ():
            if type(cell.cell_contents) is kind:
                cell.cell_contents.clear()
    # Widths of strings and cells of screens: they never shrink.
    for module, name, order in (
        ("prompt_toolkit.utils", "_CHAR_SIZES_CACHE", "_long_strings"),
        ("prompt_toolkit.layout.screen", "_CHAR_CACHE", "_keys"),
    ):
        cache = _names(module).get(name)
        if isinstance(cache, dict):
            cache.clear()
            getattr(cache, order, set()).clear()


def _warnings():
    """What was warned of already, by text: texts that differ each time fill it up."""
    for module in list(sys.modules.values()):
        registry = (namespace(module) or {}).get("__warningregistry__")
        if registry:
            registry.clear()


def _fnmatch():
    """Patterns of file names: 32768 of them since Python 3.11."""
    compiled = _names("fnmatch").get("_compile_pattern")
    getattr(compiled, "cache_clear", _nothing)()


def _sqlalchemy():
    """Statements as they were compiled, of engines that are names of modules."""
    kind = _names("sqlalchemy.engine.base").get("Engine")
    asynchronous = _names("sqlalchemy.ext.asyncio.engine").get("AsyncEngine")
    for value in _everything():
        engine = value.sync_engine if type(value) is asynchronous else value
        if type(engine) is kind:
            engine.clear_compiled_cache()


def _functools(path):
    """What functions under `functools.lru_cache` remember: one function or method by its full name,
    or with `*` all that modules and their classes have.
    """

    def clear():
        found = _all_functions() if path == "*" else [_function(path)]
        for function in found:
            if callable(getattr(function, "cache_clear", None)):
                function.cache_clear()

    return clear


def _function(path):
    parts = path.split(".")
    for count in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:count])
        if module in sys.modules:
            found = _names(module).get(parts[count])
            for name in parts[count + 1 :]:
                found = getattr(found, "__dict__", {}).get(name)
                found = getattr(found, "__func__", found)
            return found
    return None


def _all_functions():
    from _functools import _lru_cache_wrapper as kind  # built in, and there since the start

    for name, module in list(sys.modules.items()):
        for value in list((namespace(module) or {}).values()):
            if type(value) is kind:
                yield value
            elif isinstance(value, type) and value.__module__ == name:
                methods = [getattr(of, "__func__", of) for of in list(vars(value).values())]
                yield from (method for method in methods if type(method) is kind)


# The module whose cache it is, the level from which on it is cleared, how.
KNOWN = {
    "prompt_toolkit": ("prompt_toolkit", SOFT, _prompt_toolkit),
    "re": ("re", SOFT, _call("re", "purge")),
    "linecache": ("linecache", SOFT, _call("linecache", "clearcache")),
    "fnmatch": ("fnmatch", SOFT, _fnmatch),
    "warnings": ("warnings", SOFT, _warnings),
    # To compile a statement takes milliseconds.
    "sqlalchemy": ("sqlalchemy", HARD, _sqlalchemy),
}
