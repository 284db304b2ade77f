"""What modules that nobody names again have made known."""

import lazy.registry.called
import lazy.registry.decorated  # noqa: F401
from lazy import registry
from lazy.registry import subclassed  # noqa: F401


def run():
    yield "handlers", sorted(registry.HANDLERS)
    yield "commands", registry.COMMANDS
    yield "plugins", registry.Plugin.plugins
    yield "handled", registry.HANDLERS["decorated"]()
    yield "called", lazy.registry.called.MADE
