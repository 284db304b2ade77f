"""Files beside a module, through paths that are made of __file__."""

import codecs
import configparser
import fnmatch
import glob
import io
import json
import os
import shutil
import stat
from pathlib import Path

import layout
from layout.checks import check

HERE = os.path.dirname(__file__)
ROOT = Path(__file__).parent


def data_only(names):
    """Modules are not promised as files, nor are the folders of their caches."""
    return sorted(name for name in names if not name.endswith((".py", ".pyc", "__pycache__")))


@check
def opened():
    with open(os.path.join(HERE, "texts", "en.txt")) as file:
        yield file.readlines(), file.mode, os.path.basename(file.name), file.encoding.lower()
    with open(os.path.join(HERE, "assets", "two.bin"), "rb") as file:
        yield file.read(), file.tell(), file.seek(-1, os.SEEK_END), file.read()
    with open(ROOT / "texts" / "de.txt", encoding="utf-8") as file:
        yield list(file)
    with io.open(f"{HERE}/texts/../assets/one.txt", "rt") as file:  # noqa: UP020 (a name of its own)
        yield file.read()
    with codecs.open(os.path.join(HERE, "texts", "de.txt"), encoding="utf-8") as file:
        yield file.read()
    with open(os.fsencode(os.path.join(HERE, "assets", "one.txt"))) as file:
        yield file.read()
    with open(os.path.join(layout.__path__[0], "assets", "deep", "er", "four.json")) as file:
        yield json.load(file)
    with open(os.path.join(HERE, "assets", "two.bin"), "rb", buffering=0) as file:
        buffer = bytearray(2)
        yield file.readinto(buffer), bytes(buffer)
    out = io.BytesIO()
    with open(ROOT / "assets" / "one.txt", "rb") as file:
        shutil.copyfileobj(file, out)
    yield out.getvalue()
    parser = configparser.ConfigParser()
    yield len(parser.read(os.path.join(HERE, "assets", "settings.ini"))), parser["server"]["port"]


@check
def refused():
    paths = ("assets/missing.txt", "assets", "assets/one.txt/below", "missing/one.txt")
    for path in paths:
        try:
            open(os.path.join(HERE, path))
        except OSError as error:
            yield path, type(error).__name__, error.errno, os.path.basename(error.filename)
        try:
            os.stat(os.path.join(HERE, path))
        except OSError as error:
            yield path, type(error).__name__, error.errno
    try:
        os.listdir(os.path.join(HERE, "assets", "one.txt"))
    except OSError as error:
        yield type(error).__name__


@check
def pathlib_methods():
    data = ROOT / "assets"
    yield (
        (data / "one.txt").read_text(),
        (data / "two.bin").read_bytes(),
        (data / "one.txt").exists(),
    )
    yield data.is_dir(), data.is_file(), (data / "one.txt").is_file(), (data / "no").exists()
    yield sorted(path.name for path in data.glob("*.txt"))
    yield sorted(str(path.relative_to(data)) for path in data.rglob("*.*"))
    yield sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("**/*.json"))
    yield data_only(path.name for path in data.iterdir()), (data / "one.txt").stat().st_size
    with (data / "one.txt").open() as file:
        yield file.read()
    resolved = Path(__file__).resolve()
    yield resolved.name, resolved.parent.name, (resolved.parent / "texts" / "en.txt").exists()
    yield (ROOT.parent / "fleet" / "notes" / "note.txt").read_text(), ROOT.is_dir()
    yield (data / "one.txt").samefile(data / "deep" / ".." / "one.txt")


@check
def listed():
    yield data_only(os.listdir(HERE)), data_only(os.listdir(os.path.join(HERE, "assets")))
    with os.scandir(os.path.join(HERE, "assets")) as entries:
        yield sorted((entry.name, entry.is_dir(), entry.is_file()) for entry in entries)
    for folder, folders, files in sorted(os.walk(os.path.join(HERE, "assets"))):
        yield os.path.relpath(folder, HERE), sorted(folders), sorted(files)
    yield sorted(map(os.path.basename, glob.glob(os.path.join(HERE, "texts", "*.txt"))))
    found = glob.glob("**/*.txt", root_dir=HERE, recursive=True)
    yield fnmatch.filter(sorted(found), "*e*.txt")


@check
def stated():
    path = os.path.join(HERE, "assets", "one.txt")
    result = os.stat(path)
    yield (
        result.st_size,
        stat.S_ISREG(result.st_mode),
        os.path.getsize(path),
        os.access(path, os.R_OK),
    )
    yield (
        os.path.isfile(path),
        os.path.isdir(path),
        os.path.isdir(HERE),
        os.path.exists(HERE + "/no"),
    )
    yield os.path.islink(path), os.path.lexists(path), stat.S_ISDIR(os.lstat(HERE).st_mode)
    yield os.path.getmtime(path) >= 0, os.path.isabs(path), os.path.samefile(path, path)
    yield os.path.basename(os.path.realpath(path)), os.path.isfile(os.path.abspath(path))
