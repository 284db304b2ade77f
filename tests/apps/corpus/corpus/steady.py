"""Programs that keep what they take within bounds, whatever it looks like for a while."""

import asyncio
import collections
import concurrent.futures
import functools
import importlib
import logging.handlers
import math
import mmap
import os
import random
import socket
import tempfile
import threading

from .work import STEPS, Session, numbers, steps, steps_of_loop

MEGABYTE = 1 << 20


def warm_up():
    """A cache that fills as its keys are asked for: quickly, then ever more slowly."""
    chance, cache = random.Random(1), {}
    for _ in numbers():
        key = chance.randrange(3000)
        if key not in cache:
            cache[key] = Session(key)


# What a program imports when it is first needed.
LATER = [
    "json", "decimal", "fractions", "statistics", "csv", "html.parser", "email.message", "zipfile",
    "tarfile", "gzip", "xml.etree.ElementTree", "configparser", "argparse", "difflib", "textwrap",
    "calendar", "ipaddress", "uuid", "shlex", "pprint", "cmd", "queue",
]  # fmt: skip


def imports():
    """Modules that are imported one after the other, as features are used."""
    for step in steps():
        if step % STEPS == 0 and step // STEPS < len(LATER):
            importlib.import_module(LATER[step // STEPS])


def sawtooth():
    """A batch is collected for some seconds, then written and dropped."""
    batch = []
    for number in numbers():
        batch.append(Session(number))
        if len(batch) == 2000:
            batch.clear()


@functools.lru_cache(maxsize=1000)
def rendered(number):
    return Session(number)


def bounded_cache():
    """As many entries as it may have, and ever new ones."""
    for number in numbers():
        rendered(number)


def bounded_history():
    """The last ones only."""
    history = collections.deque(maxlen=1500)
    for number in numbers():
        history.append(Session(number))


def filling_cache():
    """Steadily to its bound, then no more."""
    cache = {}
    for number in numbers():
        if number % 3 == 0:
            cache[number % 6000] = Session(number)


def expiring_cache():
    """Each entry for some seconds."""
    cache = {}
    for number in numbers():
        cache[number] = Session(number)
        cache.pop(number - 1000, None)


def fragmentation():
    """Of blocks of all sizes some survive for long, and what is between them is used again."""
    chance, kept = random.Random(2), collections.deque()
    for step in steps():
        blocks = [bytearray(chance.randrange(100, 20_000)) for _ in range(100)]
        kept.extend(blocks[::20])
        while len(kept) > 500:
            kept.popleft()
        if step % 100 == 0:
            kept.rotate(chance.randrange(500))


def bursts():
    """Requests that come all at once, and take megabytes for a moment."""
    chance, work, until = random.Random(3), [], 0
    for step in steps():
        if step >= until:
            work.clear()
            if chance.random() < 0.05:
                work = [bytearray(chance.randrange(MEGABYTE)) for _ in range(20)]
                until = step + chance.randrange(STEPS)


def visitors():
    """Clients come and go: sometimes there are few, sometimes many."""
    chance, clients = random.Random(4), []
    for _ in steps():
        wanted = chance.gauss(30, 10)
        if len(clients) < wanted:
            clients.append([Session(number) for number in range(25)])
        elif clients:
            clients.pop(chance.randrange(len(clients)))


def page_cache():
    """A database that is mapped: its pages come into memory as they are read, and the kernel takes
    them back when it needs the room."""
    with tempfile.TemporaryFile() as file:
        for _ in range(40):
            file.write(os.urandom(MEGABYTE))
        file.flush()
        os.fsync(file.fileno())
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            for step in steps():
                start = step * MEGABYTE // STEPS % len(mapped)
                sum(mapped[start : start + MEGABYTE // STEPS : mmap.PAGESIZE])


def files_read():
    """Files that are read once and again."""
    with tempfile.TemporaryFile() as file:
        file.write(bytes(8 * MEGABYTE))
        for _ in steps():
            if file.read(MEGABYTE // 4) == b"":
                file.seek(0)


def temporary_buffers():
    """A picture, uncompressed, for a moment."""
    for step in steps():
        if step % 5 == 0:
            picture = bytearray(8 * MEGABYTE)
            picture[::4096] = b"x" * len(picture[::4096])
            del picture


def sorts():
    """Lists that are made, sorted and dropped."""
    chance = random.Random(5)
    for step in steps():
        if step % 10 == 0:
            sorted(chance.random() for _ in range(20_000))


def thread_pool():
    """It grows to what it may have."""
    done = threading.Semaphore(0)
    with concurrent.futures.ThreadPoolExecutor(max_workers=40) as pool:
        for step in steps():
            pool.submit(done.acquire)
            if step >= 30:
                done.release()


def connection_pool():
    """So many connections, opened as they are needed, closed and opened again when they are old."""
    pool = collections.deque()
    for step in steps():
        if step % 5 == 0:
            pool.append(socket.socketpair())
        if len(pool) > 40:
            for end in pool.popleft():
                end.close()


def log_rotation():
    """A log of a bounded size, and of so many files."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "log")
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=20_000, backupCount=3)
        log = logging.getLogger("corpus.rotation")
        log.propagate = False
        log.addHandler(handler)
        for number in numbers():
            log.warning("session %d: %s", number, "x" * 100)


def temporary_files():
    """Made, written and deleted."""
    for _ in steps():
        with tempfile.NamedTemporaryFile() as file:
            file.write(bytes(10_000))


class Node:
    def __init__(self, number):
        self.session, self.me = Session(number), self


def collected_garbage():
    """Cycles, which the collector finds when it comes to it."""
    for number in numbers():
        Node(number)


def backup():
    """Once in a while everything is read, packed and sent: much memory, for some seconds."""
    packed = []
    for step in steps():
        second = step / STEPS % 25
        if 10 <= second < 12:
            packed.append(bytearray(MEGABYTE // 3))
        elif second >= 15:
            packed.clear()


async def handle(step):
    session = Session(step)
    await asyncio.sleep(2)
    session.close()


async def handle_all():
    running = set()
    async for step in steps_of_loop():
        # More at noon than at night.
        for _ in range(3 + round(3 * math.sin(step / STEPS))):
            task = asyncio.create_task(handle(step))
            running.add(task)
            task.add_done_callback(running.discard)


def tasks():
    """Tasks that end, now more and now fewer."""
    asyncio.run(handle_all())


PROGRAMS = [
    warm_up, imports, sawtooth, bounded_cache, bounded_history, filling_cache, expiring_cache,
    fragmentation, bursts, visitors, page_cache, files_read, temporary_buffers, sorts, thread_pool,
    connection_pool, log_rotation, temporary_files, collected_garbage, backup, tasks,
]  # fmt: skip
