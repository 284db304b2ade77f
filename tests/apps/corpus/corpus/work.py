"""What every program does: serve at a steady pace."""

import asyncio
import time

STEPS = 25
"""Steps in a second: what a program does in one is small, and so is its processor time."""

PER_STEP = 10
"""Sessions in a step: with their lines about a megabyte in a second."""


class Session:
    """What is served and should be forgotten: four kilobytes of small objects."""

    def __init__(self, number=0):
        self.number = number
        self.lines = [f"{number}: line {line} of a session" for line in range(40)]

    def close(self):
        self.lines.clear()

    def on_event(self, event):
        return self.number, event


def steps():
    """Counts the steps as they are due. A step that comes late is made up for, so that a busy
    machine changes how evenly a program works and not how fast."""
    began, number = time.monotonic(), 0
    while True:
        wait = began + number / STEPS - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        yield number
        number += 1


async def steps_of_loop():
    """The same, for a program with an event loop."""
    began, number = time.monotonic(), 0
    while True:
        await asyncio.sleep(max(0.0, began + number / STEPS - time.monotonic()))
        yield number
        number += 1


def numbers():
    """Of sessions, as they are due."""
    for step in steps():
        yield from range(step * PER_STEP, (step + 1) * PER_STEP)
