"""concurrent.futures with processes."""

import multiprocessing
import os
import sys
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool

from procs.checks import check

STATE = []


def prepare(value):
    STATE.append(value)


def state():
    return list(STATE)


def fail(value):
    raise ValueError(f"refused {value}")


@check
def executors():
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        with futures.ProcessPoolExecutor(
            2, context, initializer=prepare, initargs=(method,)
        ) as pool:
            yield list(pool.map(pow, [2, 3, 4], [2, 2, 2])), pool.submit(state).result()
            error = pool.submit(fail, 3).exception()
            yield type(error).__name__, str(error), type(error.__cause__).__name__
            yield pool.submit(sys.modules["__main__"].Task("ab"), 2).result()
        with futures.ProcessPoolExecutor(1, context) as pool:
            try:
                pool.submit(os._exit, 3).result()
            except BrokenProcessPool as error:
                yield type(error).__name__
