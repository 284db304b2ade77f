"""importlib.resources and pkgutil.get_data, by every function that a version has."""

import importlib
import io
import pkgutil
import sys
import warnings
import zoneinfo
from importlib import resources

import certifi

import layout.texts
from layout.checks import check


def tree(folder):
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir() and item.name != "__pycache__":
            yield item.name + "/", list(tree(item))
        elif item.is_file() and not item.name.endswith((".py", ".pyc")):
            yield item.name


@check
def traversable():
    root = resources.files("layout")
    text = root / "texts" / "en.txt"
    yield text.read_text("utf-8"), text.read_bytes(), text.name, text.is_file(), text.is_dir()
    yield (
        root.joinpath("assets", "deep", "three.txt").read_text(),
        root.joinpath("assets/one.txt").read_text(),
    )
    yield list(tree(root.joinpath("assets"))), root.name
    with text.open(encoding="utf-8") as file:
        yield file.readline(), type(file).__name__
    with root.joinpath("assets/two.bin").open("rb") as file:
        yield file.read(2), file.seek(0), file.read(), file.seekable()
    yield resources.files(layout.texts).joinpath("de.txt").read_text("utf-8")
    missing = root / "assets" / "missing.txt"
    yield missing.is_file(), missing.is_dir()
    for action in (missing.read_bytes, lambda: (root / "assets").read_bytes()):
        try:
            action()
        except OSError as error:
            yield type(error).__name__
    yield root.joinpath("assets", "empty.txt").read_bytes()
    if sys.version_info >= (3, 12):
        yield resources.files().joinpath("texts", "en.txt").is_file()


@check
def functions():
    """The functions of old, some deprecated, some gone in 3.13 and back later."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield resources.read_text("layout.texts", "de.txt", encoding="utf-8")
        yield resources.read_binary("layout.texts", "en.txt")
        yield (
            resources.is_resource("layout.texts", "en.txt"),
            resources.is_resource("layout.texts", "no"),
        )
        with resources.open_text(layout.texts, "de.txt", encoding="utf-8") as file:
            yield file.read()
        with resources.open_binary("layout.texts", "en.txt") as file:
            yield io.BufferedReader(file).read(5) if file.readable() else None
        with resources.path("layout.texts", "en.txt") as path:
            yield path.read_text(), path.exists()
        yield sorted(x for x in resources.contents("layout.texts") if not x.startswith("__"))
        try:
            resources.read_text("layout.texts", "missing.txt", encoding="utf-8")
        except FileNotFoundError as error:
            yield type(error).__name__


@check
def reader():
    module = importlib.import_module("layout.texts")
    found = module.__loader__.get_resource_reader("layout.texts")
    yield found.is_resource("en.txt"), found.open_resource("en.txt").read()
    yield sorted(name for name in found.contents() if name.endswith(".txt"))


@check
def in_namespaces():
    notes = resources.files("fleet").joinpath("notes")
    yield notes.joinpath("note.txt").read_text(), sorted(item.name for item in notes.iterdir())
    yield (resources.files("fleet.notes") / "old" / "note.txt").read_text()
    yield resources.files("layout.assets.deep").joinpath("er/four.json").read_text()


@check
def get_data():
    yield (
        pkgutil.get_data("layout", "assets/deep/er/four.json"),
        pkgutil.get_data("layout.texts", "en.txt"),
    )
    yield pkgutil.get_data("layout.tool", "texts/en.txt")
    try:
        pkgutil.get_data("layout", "assets/missing.txt")
    except OSError as error:
        yield type(error).__name__
    yield pkgutil.get_data("no_such_package", "x")


@check
def of_dependencies():
    bundle = resources.files("certifi") / "cacert.pem"
    yield (
        bundle.is_file(),
        bundle.read_text() == certifi.contents(),
        len(bundle.read_bytes()) > 100_000,
    )
    zoneinfo.reset_tzpath(())
    yield (
        zoneinfo.TZPATH,
        zoneinfo.ZoneInfo("Europe/Berlin").key,
        len(zoneinfo.available_timezones()) > 400,
    )
    yield resources.files("tzdata.zoneinfo").joinpath("Europe", "Berlin").read_bytes()[:4]
    zoneinfo.reset_tzpath()
