"""python -m loops NAME TIMES [--time]: run a loop that often; print what comes out, or seconds.

Seconds of the first pass, in which lazy imports happen and bytecode is specialised, and the median
of the others.
"""

import json
import statistics
import sys
import time

from loops import bodies, calls, documents, network, scheduler, words

LOOPS = {
    "bodies": bodies.run,
    "calls": calls.run,
    "documents": documents.run,
    "network": network.run,
    "scheduler": scheduler.run,
    "words": words.run,
}


def main(arguments):
    if arguments == ["--selftest"]:
        print(json.dumps({name: run() for name, run in LOOPS.items()}, sort_keys=True))
        return 0
    name, times, *rest = arguments
    run = LOOPS[name]
    seconds = []
    for _ in range(int(times)):
        start = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - start)
    if rest == ["--time"]:
        print(seconds[0], statistics.median(seconds[1:]))
    else:
        print(result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
