"""Applications that start themselves again, as servers do after an update of their settings."""

import os
import sys

from procs.checks import check
from procs.executable import run


def again(how, depth):
    """Not a check: `again HOW N` is replaced N times by itself."""
    print("again", how, depth, sys.modules["__main__"].__name__, flush=True)
    if int(depth):
        args = {"argv": sys.argv, "orig": sys.orig_argv[1:]}[how]
        os.execv(sys.executable, [sys.executable, *args[:-1], str(int(depth) - 1)])


@check
def through_run():
    yield run([sys.executable, "-m", "procs.app", "again", "orig", "2"])
    yield run([sys.executable, "-m", "procs.app", "again", "argv", "2"])
