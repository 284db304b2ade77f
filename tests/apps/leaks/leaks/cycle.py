"""Scenarios of `cargo xtask leakcheck`: called once in each cycle. No other launcher has them."""

import asyncio
import collections
import functools
import os
import re
import socket
import threading

from . import ways
from .session import Session

ways.COUNT = 1
tasks = set()
files = []
names = []
loose = []


async def leaking():
    """Every way to leak by itself, and what is no object of a class."""
    for way in ways.WAYS:
        if way is not ways.thread_local:  # it forgets the sessions of the last call
            way()
    for coroutine in (ways.client(0), ways.connection()):
        tasks.add(asyncio.create_task(coroutine))
    await asyncio.sleep(0)
    ways.by_name[f"client {len(names)}"] = Session()
    ways.by_number[len(names)] = {"session": Session(), "state": "closed"}
    ways.handlers[f"event {len(names)}"] = Session().on_event
    files.append(os.dup(0))
    names.append("a name that no other cycle has " * 30 + str(len(names)))


def text():
    """Nothing but text, which no collector knows."""
    names.append(f"line {len(names)} of a log")


def allowed():
    ways.module_list()


def failing():
    raise OSError("no such sensor")


recent = collections.deque(maxlen=30)
ring = [None] * 25
calls = 0


@functools.lru_cache(maxsize=32)
def looked_up(number):
    return Session(number)


async def settling():
    """What comes and goes: caches that are full at some time, cycles, threads, files, tasks."""
    global calls
    calls += 1
    looked_up(calls)
    recent.append(Session(calls))
    ring[calls % len(ring)] = Session(calls)
    if calls % 20 == 0:
        loose.clear()  # a sawtooth
    loose.append([Session(calls) for _ in range(3)])
    one = Session(calls)
    one.itself = one  # garbage that only a collection finds
    ways.thread_local()
    thread = threading.Thread(target=looked_up, args=(calls,))
    thread.start()
    thread.join()
    with socket.socketpair()[0] as left:
        left.fileno()
    await asyncio.gather(*(asyncio.sleep(0) for _ in range(calls % 5)))
    re.compile(f"number {calls % 40}")  # the module's own cache
    str(Session(calls))[:-1].encode() * (calls % 100)
