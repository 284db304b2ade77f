"""What `cargo xtask bench memory` runs: an application of which the memory is supervised, or not.

Says what it measured as JSON, one object in a line.
"""

import asyncio
import json
import logging
import os
import sys
import time

import pyrmware

log = logging.getLogger("supervised")


def say(**fields):
    print(json.dumps(fields), flush=True)


def private():
    """KiB that no other process shares."""
    with open("/proc/self/smaps_rollup") as rollup:
        lines = [line.split() for line in rollup]
    return sum(int(line[1]) for line in lines if line[0].startswith("Private"))


def supervisor():
    """Nanoseconds that the launcher's thread has run; None where there is none."""
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/comm") as name:
            if name.read().strip() == "memory":
                with open(f"/proc/self/task/{task}/schedstat") as times:
                    return int(times.read().split()[0])
    return None


def idle(seconds, mib):
    """With so much memory, does nothing."""
    kept = os.urandom(1 << 20) * mib
    time.sleep(1)
    before, since = supervisor(), time.monotonic()
    time.sleep(seconds)
    ran = None if before is None else supervisor() - before
    say(private=private() - len(kept) // 1024, ran=ran, lasted=time.monotonic() - since)


class Node:
    def __init__(self, number):
        self.number = number
        self.parts = [number]


def heap(objects):
    """So many tracked objects: instances, and lists in them."""
    return [Node(number) for number in range(objects // 2)]


def snapshots(objects):
    """Looks for what is not there, so that all is walked."""
    kept = heap(objects)
    pyrmware.snapshot(["supervised.None"])  # the first one tests itself
    found = [json.loads(pyrmware.snapshot(["supervised.None"])) for _ in range(9)]
    pauses = sorted(one["pause_us"] for one in found)
    memory = max(one["memory"] for one in found)
    say(pause=pauses[4], longest=pauses[-1], memory=memory, objects=found[0]["objects"])
    return len(kept)


def relief(objects, mib):
    """Is over the soft limit, with so many objects, until it was asked three times."""
    kept = heap(objects)
    levels = []
    pyrmware.on_pressure(levels.append)
    hoard = [b"x" * (mib << 20)]
    while len(levels) < 3:
        time.sleep(0.01)
        if len(levels) == len(hoard):
            hoard.append(b"x" * (mib << 20))
    return len(kept)


if __name__ == "__main__":
    asyncio.new_event_loop().close()
    globals()[sys.argv[1]](*map(int, sys.argv[2:]))
