"""Loaded into Nuitka: what is installed where it runs is not what is in the launcher."""

from nuitka.plugins.PluginBase import NuitkaPluginBase


class Pyrmware(NuitkaPluginBase):
    """Has calls for metadata of distributions left to the device."""

    plugin_name = "pyrmware"
    plugin_desc = "Distributions are looked for on the device."

    def onCompilationStartChecks(self):
        """Nuitka would answer these modules' calls while it compiles, from its own installation."""
        # Not before it knows its options.
        from nuitka.HardImportRegistry import hard_modules_trust

        for module in ("importlib.metadata", "importlib_metadata", "pkg_resources"):
            hard_modules_trust.get(module, {}).clear()
