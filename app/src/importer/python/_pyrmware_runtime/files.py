"""The read-only virtual folder below the launcher's path.

Functions here have the names and signatures of those in `posix` and `io` that they stand in for;
the launcher calls them for paths inside of its virtual folder only.
"""

import errno
import os
import stat as _stat

import _pyrmware

_originals = _pyrmware.originals
_PREFIX = _pyrmware.root + "/"
_FOLDER_SIZE = 4096


def relative(path):
    """The path below the folder, normalised; the folder itself is the empty string."""
    path = os.path.normpath(os.fsdecode(path))
    if path.startswith(_PREFIX):
        return path[len(_PREFIX) :]
    if path == _pyrmware.root:
        return ""
    # `..` led out of the folder: a file is no folder, so the way there is not a way.
    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)


def is_inside(path):
    """Whether a path argument lies below the folder; the launcher asks by itself for its hooks."""
    return isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path).startswith(_PREFIX)


def _entry(path):
    name = relative(path)
    found = _pyrmware.entry(name)
    if found is None:
        number = errno.ENOTDIR if _below_a_file(name) else errno.ENOENT
        raise OSError(number, os.strerror(number), path)
    return found


def _below_a_file(name):
    while name:
        name = name.rpartition("/")[0]
        found = _pyrmware.entry(name)
        if found is not None:
            return found is not True
    return False


def stat(path, *, dir_fd=None, follow_symlinks=True):
    return _result(path, _entry(path))


def lstat(path, *, dir_fd=None):
    return _result(path, _entry(path))


def _result(path, entry):
    # Owner and times are those of the launcher; the inode number only has to tell entries apart.
    launcher = _originals["posix.stat"](_pyrmware.root)
    folder = entry is True
    mode = _stat.S_IFDIR | 0o555 if folder else _stat.S_IFREG | 0o444
    size = _FOLDER_SIZE if folder else entry
    values = list(launcher)
    values[_stat.ST_MODE] = mode
    values[_stat.ST_INO] = hash(relative(path)) & 0x7FFFFFFFFFFFFFFF
    values[_stat.ST_NLINK] = 1
    values[_stat.ST_SIZE] = size
    times = ("st_atime", "st_mtime", "st_ctime")
    more = {name: getattr(launcher, name) for name in times}
    more |= {f"{name}_ns": getattr(launcher, f"{name}_ns") for name in times}
    more |= {"st_blksize": launcher.st_blksize, "st_blocks": -(-size // 512), "st_rdev": 0}
    return os.stat_result(values, more)


def access(path, mode, *, dir_fd=None, effective_ids=False, follow_symlinks=True):
    try:
        entry = _entry(path)
    except OSError:
        return False
    denied = os.W_OK if entry is True else os.W_OK | os.X_OK
    return not mode & denied


def listxattr(path=None, *, follow_symlinks=True):
    _entry(path)
    return []


def listdir(path=None):
    as_bytes = isinstance(path, bytes)
    return [os.fsencode(name) if as_bytes else name for name, _ in _names(path)]


def _names(path):
    names = _pyrmware.names(relative(path))
    if names is None:
        _entry(path)
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    return names


class DirEntry:
    """As `os.DirEntry`."""

    def __init__(self, name, path, folder):
        self.name = name
        self.path = path
        self._folder = folder

    def __fspath__(self):
        return self.path

    def __repr__(self):
        return f"<DirEntry {self.name!r}>"

    def is_dir(self, *, follow_symlinks=True):
        return self._folder

    def is_file(self, *, follow_symlinks=True):
        return not self._folder

    def is_symlink(self):
        return False

    def is_junction(self):
        return False

    def stat(self, *, follow_symlinks=True):
        return stat(self.path)

    def inode(self):
        return self.stat().st_ino


class _Scan:
    """As the iterator of `os.scandir`: a context manager, too."""

    def __init__(self, path):
        path = os.fspath(path)
        convert = os.fsencode if isinstance(path, bytes) else str
        self._entries = iter(
            [
                DirEntry(convert(name), os.path.join(path, convert(name)), folder)
                for name, folder in _names(path)
            ]
        )

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._entries)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._entries = iter(())


def scandir(path=None):
    return _Scan(path)


def _descriptor(path, flags):
    if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
    name = relative(path)
    descriptor = _pyrmware.memory_file(name)
    if descriptor is None:
        source = _pyrmware.source_text(name) if name.endswith(".py") else None
        if source is not None:
            # A `symbols` folder is at hand: tracebacks show its lines.
            return _memory(source)
        if _entry(path) is True:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        raise FileNotFoundError(errno.ENOENT, "The launcher holds no source, only bytecode", path)
    return descriptor


def _memory(content):
    descriptor = os.memfd_create("source", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def posix_open(path, flags, mode=0o777, *, dir_fd=None):
    return _descriptor(path, flags)


def io_open(
    file,
    mode="r",
    buffering=-1,
    encoding=None,
    errors=None,
    newline=None,
    closefd=True,
    opener=None,
):
    return _originals["_io.open"](
        file, mode, buffering, encoding, errors, newline, closefd, opener or _descriptor
    )


def open_code(path):
    try:
        return io_open(path, "rb")
    except FileNotFoundError:
        # `runpy.run_path` and `pkgutil` take bytecode, too.
        descriptor = _pyrmware.memory_file(relative(path) + "c")
        if descriptor is None:
            raise
        return os.fdopen(descriptor, "rb")
