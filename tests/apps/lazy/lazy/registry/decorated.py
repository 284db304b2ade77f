from lazy import registry
from lazy.registry import command


@registry.handler("decorated")
def handle():
    return "handled"


@command
def start():
    return "started"
