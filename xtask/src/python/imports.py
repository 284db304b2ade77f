"""Run by a launcher that acts as python3: imports each module that stdin names in its own process.

The processes form the tree of the packages: a module's process is forked from its package's, in
which nothing but the packages above it was imported, just as in a fresh process. Lines on stdout,
fields between tabs: what is known of a module, its name, a text:

    said    what was written to stderr while it was imported, one line each
    failed  why it could not be imported
"""

import _signal
import os
import sys

LIMIT = 20  # seconds for one module


def main():
    os.nice(10)  # the self-test runs at the same time, and its start is measured
    names = sys.stdin.read().split()
    children = {name: [] for name in names}
    tops = []
    for name in names:
        children.get(name.rpartition(".")[0], tops).append(name)
    out = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    take, give = os.pipe()
    os.write(give, b"." * (os.cpu_count() or 1))

    def tell(*fields):
        line = "\t".join(field.replace("\t", " ").replace("\n", " ")[:1000] for field in fields)
        os.write(out, (line + "\n").encode("utf-8", "replace"))

    def each(names):
        """Visits modules side by side, as far as there are processors."""
        started = {}
        for name in names:
            os.read(take, 1)
            process = os.fork()
            if not process:
                visit(name)
            started[process] = name
        for process, name in started.items():
            _, status = os.waitpid(process, 0)
            if os.WIFSIGNALED(status):
                os.write(give, b".")
                tell("failed", name, f"ended by signal {os.WTERMSIG(status)}")

    def visit(name):
        stderr = os.memfd_create("stderr")
        os.dup2(stderr, 2)
        _signal.alarm(LIMIT)
        try:
            __import__(name)
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
            tell("failed", name, text.replace(sys.executable + "/", ""))
        _signal.alarm(0)
        os.write(give, b".")
        with open(stderr, "rb") as file:
            file.seek(0)
            for line in file.read().decode("utf-8", "replace").splitlines():
                tell("said", name, line)
        each(children[name])
        os._exit(0)

    each(tops)


main()
