"""The path hook: finders for folders below the launcher, for `pkgutil` and paths in `sys.path`."""

import _frozen_importlib

import _pyrmware


def path_hook(path):
    if path == _pyrmware.root:
        return FolderFinder(path, "")
    prefix = _pyrmware.root + "/"
    if not isinstance(path, str) or not path.startswith(prefix):
        raise ImportError("not below the launcher", path=path)
    below = path[len(prefix) :].strip("/")
    package = below.replace("/", ".")
    # A package of extension modules may have its files beside the launcher.
    if _pyrmware.entry(below) is not True and not _pyrmware.submodules(package):
        raise ImportError("only directories are supported", path=path)
    return FolderFinder(path, package)


class FolderFinder:
    """As `importlib.machinery.FileFinder`: finds what lies in one folder."""

    def __init__(self, path, package):
        self.path = path
        self._package = package

    def __repr__(self):
        return f"FolderFinder({self.path!r})"

    def find_spec(self, fullname, target=None):
        tail = fullname.rpartition(".")[2]
        place = f"{self._package}.{tail}" if self._package else tail
        spec = _pyrmware.spec_of(fullname, place)
        if spec is False:
            # A portion of a namespace package; the path finder puts the portions together.
            spec = _frozen_importlib.ModuleSpec(fullname, None)
            spec.submodule_search_locations = [f"{self.path}/{tail}"]
        return spec

    def iter_modules(self, prefix=""):
        for name, package in _pyrmware.submodules(self._package):
            if name != "__main__" or not package:
                yield prefix + name, package

    def invalidate_caches(self):
        """Nothing is cached: the payload does not change."""
