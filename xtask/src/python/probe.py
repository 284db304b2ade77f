"""Prints, as one JSON object, what the interpreter that runs it is.

Runs with `-I -S`, so that neither the environment nor a `site` has a say, and on any version from
2.7 on: an unsuitable interpreter has to be able to say what it is.
"""

import json
import sys

VARIABLES = """
    CONFIG_ARGS EXT_SUFFIX INSTSONAME LDLIBRARY LDVERSION LIBDIR LIBPL LIBRARY LIBS MODLIBS
    MULTIARCH PLATLIBDIR Py_DEBUG Py_ENABLE_SHARED Py_GIL_DISABLED SOABI SYSLIBS HOST_GNU_TYPE
    abs_builddir abs_srcdir
""".split()  # noqa: SIM905 (a list of strings would be a page)


def version_of(info):
    """Full version as PEP 440 writes it: "3.13.0", "3.14.0rc2"."""
    suffix = {"alpha": "a", "beta": "b", "candidate": "rc", "final": ""}[info.releaselevel]
    return "%d.%d.%d" % info[:3] + (suffix + str(info.serial) if suffix else "")  # noqa: UP031


def frozen_names():
    """Modules that the importer takes out of libpython, save the ones that only test freezing."""
    import _imp

    names = getattr(_imp, "_frozen_module_names", None)
    if names is not None:
        return [name for name in names() if not name.startswith(("__hello", "__phello"))]
    known = ("_frozen_importlib", "_frozen_importlib_external", "zipimport")
    return [name for name in known if _imp.is_frozen(name)]


def markers():
    """The environment of PEP 508 markers."""
    import os
    import platform

    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": version_of(sys.implementation.version),
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": version_of(sys.version_info),
        "python_version": "%d.%d" % sys.version_info[:2],  # noqa: UP031
        "sys_platform": sys.platform,
    }


def facts():
    """What an `Interpreter` is made of."""
    import sysconfig
    from importlib.util import MAGIC_NUMBER

    return {
        "base_program": getattr(sys, "_base_executable", None) or sys.executable,
        "prefix": sys.base_prefix,
        "virtual": sys.prefix != sys.base_prefix,
        "full_version": version_of(sys.version_info),
        "magic": int.from_bytes(MAGIC_NUMBER[:2], "little"),
        "stdlib": sysconfig.get_path("stdlib"),
        "platstdlib": sysconfig.get_path("platstdlib"),
        "include": sysconfig.get_path("include"),
        "path": sys.path,
        "builtins": list(sys.builtin_module_names),
        "frozen": frozen_names(),
        "exports": exports(),
        "markers": markers(),
        "sysconfig": {
            name: str(value)
            for name in VARIABLES
            for value in [sysconfig.get_config_var(name)]
            if value is not None
        },
    }


# Modules in C of which modules of the library import everything.
ACCELERATORS = "_ast _bisect _datetime _heapq _locale _operator _signal _socket _stat _struct"


def exports():
    """What `from module import *` brings, of those modules that are there."""
    import importlib

    found = {}
    for name in ACCELERATORS.split():
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        names = getattr(module, "__all__", None) or vars(module)
        found[name] = [name for name in names if not name.startswith("_")]
    return found


def main():
    """Prints the facts, or of an old or foreign interpreter only its name and version."""
    name = getattr(getattr(sys, "implementation", None), "name", "cpython")
    answer = {"implementation": name, "version": list(sys.version_info[:2])}
    if name == "cpython" and sys.version_info >= (3, 10):
        answer["facts"] = facts()
    sys.stdout.write(json.dumps(answer))


main()
