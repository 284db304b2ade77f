"""Loaded into Nuitka: what is installed where it runs is not what is in the launcher."""

from nuitka import HardImportRegistry
from nuitka.plugins.PluginBase import NuitkaPluginBase


class Pyrmware(NuitkaPluginBase):
    """Does nothing of itself."""

    plugin_name = "pyrmware"
    plugin_desc = "Distributions are looked for on the device."


# Nuitka would answer these modules' calls while it compiles, from its own installation.
for module in ("importlib.metadata", "importlib_metadata", "pkg_resources"):
    HardImportRegistry.hard_modules_trust.get(module, {}).clear()
