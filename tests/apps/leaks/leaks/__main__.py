"""`leaks WAY`: leak sessions in this way and print who holds them."""

import asyncio
import gc
import json
import sys
import weakref

import pyrmware

from . import ways

SESSION = "leaks.session.Session"


def report(text):
    if text is None:
        print("nobody looks")
        return
    found = json.loads(text)
    if not (found["complete"] and found["paths"]):
        print("!!", found["complete"], found["paths"])
    for group in found["holders"]:
        print(group["count"], group["signature"])


def tell():
    report(pyrmware.snapshot([SESSION]))


def grown():
    """Two censuses tell what grows, the third who holds it."""
    for _ in range(2):
        pyrmware.snapshot()
        ways.module_list()
    text = pyrmware.snapshot()
    if text is None:
        return report(text)
    for growth in json.loads(text)["grown"]:
        if growth["type"] == SESSION:
            print("more:", growth["count"])
    ways.module_list()
    report(pyrmware.snapshot())


def dead():
    """One object of many, by a weak reference."""
    ways.closure_cell()
    wanted = ways.callbacks[3].__closure__[0].cell_contents
    reference = weakref.ref(wanted)
    del wanted
    report(pyrmware.snapshot(objects=[reference]))


def prompt():
    """Sessions whose clients have left, by weak references."""
    from .prompt import leak

    references = asyncio.run(leak())
    gc.collect()
    print("alive:", sum(reference() is not None for reference in references))
    report(pyrmware.snapshot(objects=references))


def main(way):
    if way == "--ready":
        print("ready")
    elif way == "grown":
        grown()
    elif way == "dead":
        dead()
    elif way == "prompt":
        prompt()
    elif way in [function.__name__ for function in ways.ASYNC_WAYS]:
        asyncio.run(getattr(ways, way)(tell))
    else:
        finish = getattr(ways, way)()
        tell()
        if finish:
            finish()


if __name__ == "__main__":
    main(sys.argv[1])
