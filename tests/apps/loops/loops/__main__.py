"""python -m loops NAME TIMES [--time]: run a loop that often; print what comes out, or seconds."""

import json
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
    start = time.perf_counter()
    for _ in range(int(times)):
        result = run()
    print(time.perf_counter() - start if rest == ["--time"] else result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
