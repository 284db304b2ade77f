"""Loaded into Nuitka: what is installed where it runs is not what is in the launcher."""

from nuitka.plugins.PluginBase import NuitkaPluginBase


class Pyrmware(NuitkaPluginBase):
    """Has calls for metadata and resources left to the device."""

    plugin_name = "pyrmware"
    plugin_desc = "Distributions and resources are looked for on the device."

    def onCompilationStartChecks(self):
        """Nuitka would answer calls for metadata while it compiles, from its own installation, and leave
        out those for resources whose result nobody uses, although they may fail."""
        # Not before it knows its options.
        from nuitka.HardImportRegistry import hard_modules_trust

        metadata = ("importlib.metadata", "importlib_metadata", "pkg_resources")
        for module in (*metadata, "importlib.resources", "importlib_resources", "pkgutil"):
            hard_modules_trust.get(module, {}).clear()
