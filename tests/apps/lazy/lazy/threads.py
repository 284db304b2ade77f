"""Many threads ask for the same names at once."""

import concurrent.futures
import threading

from lazy import contended

COUNT = 16


def run():
    barrier = threading.Barrier(COUNT)

    def ask():
        barrier.wait()
        return contended.function(), id(contended.Thing), id(contended.LOCK)

    with concurrent.futures.ThreadPoolExecutor(COUNT) as pool:
        results = {future.result() for future in [pool.submit(ask) for _ in range(COUNT)]}
    yield "results", len(results), next(iter(results))[0]
