"""importlib.metadata, of the application itself and of its dependencies."""

from importlib import metadata

from layout import LOADED
from layout.checks import check


@check
def own():
    found = metadata.distribution("layout")
    yield metadata.version("layout"), found.metadata["Name"], found.metadata["Summary"]
    yield sorted(metadata.requires("layout")), found.metadata["Requires-Python"]
    text = found.read_text("METADATA")
    yield text.splitlines()[1:3], found.read_text("no-such-file")
    yield found.name, metadata.metadata("layout").get_all("Requires-Dist") is not None
    yield found.metadata.json["name"]


@check
def entry_points():
    plugins = metadata.entry_points(group="layout.plugins")
    yield sorted((plugin.name, plugin.value, plugin.module, plugin.attr) for plugin in plugins)
    (shout,) = metadata.entry_points(group="layout.plugins", name="shout")
    yield shout.load()()("heard"), shout.group, shout.dist.name, shout.dist.version
    before = list(LOADED)
    module = plugins["count"].load()
    yield module.__name__, before in ([], ["count"]), LOADED
    try:
        plugins["broken"].load()
    except ModuleNotFoundError as error:
        yield str(error), error.name
    yield (
        len(metadata.entry_points(group="no.such.group")),
        "layout.plugins" in metadata.entry_points().groups,
    )


@check
def dependencies():
    for name in ("certifi", "jaraco.context", "jaraco_context", "Jaraco-Context", "TZDATA"):
        found = metadata.distribution(name)
        yield name, found.metadata["Name"], found.version == metadata.version(name)
    data = [file for file in metadata.files("certifi") if file.suffix == ".pem"]
    yield [str(file) for file in data], data[0].size > 100_000, data[0].hash.mode
    yield data[0].locate().name, data[0].read_text().count("END CERT") > 100, data[0].dist.name
    names = {found.metadata["Name"].lower() for found in metadata.distributions()}
    yield sorted(names & {"certifi", "tzdata", "layout", "jaraco.context"})
    try:
        metadata.version("no-such-distribution")
    except metadata.PackageNotFoundError as error:
        yield str(error), error.name
    providers = metadata.packages_distributions()
    # The application has a part of jaraco, too: told only where its files are beside its metadata.
    yield [sorted({*providers[name]} - {"layout"}) for name in ("certifi", "tzdata", "jaraco")]
