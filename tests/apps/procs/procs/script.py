"""sys.executable with source that is no module: from stdin, from a file."""

import os
import sys

from procs.checks import check
from procs.executable import run


@check
def with_script():
    """Source from stdin and from a file, as Python takes it."""
    yield run([sys.executable, "-"], input=b"print('from stdin')")
    yield run([sys.executable], input=b"import sys; print('no arguments', sys.argv)")
    with open("script.py", "w") as file:
        file.write("import sys, procs.child\nprint(__name__, sys.argv, procs.child.__name__)\n")
    yield run([sys.executable, "script.py", "x"])
    os.remove("script.py")
