"""The ways to leak. Each makes `COUNT` sessions, and may return what ends what it has begun."""

import asyncio
import collections
import contextvars
import functools
import threading

from .session import Session

COUNT = 20

history = []
by_name = {}
by_number = {}
seen = set()
recent = collections.deque()
callbacks = []
handlers = {}
errors = []
local = threading.local()
current = contextvars.ContextVar("current")


def module_list():
    for number in range(COUNT):
        history.append(Session(number))


def dict_by_name():
    for number in range(COUNT):
        by_name[f"client {number}"] = Session(number)


def dict_by_number():
    for number in range(COUNT):
        by_number[number] = {"session": Session(number), "state": "closed"}


def dict_key():
    for number in range(COUNT):
        seen.add(Session(number))


def bounded_deque():
    for number in range(COUNT):
        recent.append((number, Session(number)))


class Page:
    def __init__(self):
        self.session = Session()

    @functools.cache  # noqa: B019  this is the leak
    def render(self):
        return "page"


def lru_cache_on_method():
    for _ in range(COUNT):
        Page().render()


class Subject:
    def __init__(self):
        self.observers = []


class Observer:
    def __init__(self, subject):
        self.session = Session()
        subject.observers.append(self.notify)

    def notify(self):
        return self.session


subject = Subject()


def observers():
    for _ in range(COUNT):
        Observer(subject)


def closure_cell():
    def make(session):
        def callback():
            return session

        return callback

    for number in range(COUNT):
        callbacks.append(make(Session(number)))


def bound_method():
    for number in range(COUNT):
        handlers[f"event {number}"] = Session(number).on_event


def serve(number):
    session = Session(number)
    raise ConnectionError(session.number)


def traceback_kept():
    for number in range(COUNT):
        try:
            serve(number)
        except ConnectionError as error:
            errors.append(error)


class Registry:
    known = []


def class_attribute():
    for number in range(COUNT):
        Registry.known.append(Session(number))


def thread_local():
    local.sessions = [Session(number) for number in range(COUNT)]


class Slotted:
    __slots__ = ("name", "session")

    def __init__(self, number):
        self.session = Session(number)


slotted = []


def slots():
    for number in range(COUNT):
        slotted.append(Slotted(number))


class Linked:
    head = None

    def __init__(self, then):
        self.then = then
        self.session = Session()


def linked_list():
    for _ in range(COUNT):
        Linked.head = Linked(Linked.head)


def suspended(number):
    unbound = None
    del unbound
    session = Session(number)
    yield
    print(session)


generators = []


def generator():
    for number in range(COUNT):
        generators.append(suspended(number))
        next(generators[-1])


def in_a_thread():
    ready, end = threading.Event(), threading.Event()

    def work():
        mine = [Session(number) for number in range(COUNT)]
        ready.set()
        end.wait()
        return mine

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()

    def finish():
        end.set()
        thread.join()

    return finish


async def forever():
    await asyncio.get_running_loop().create_future()


async def client(number):
    session = Session(number)
    await forever()
    print(session)


async def tasks(tell):
    """A task that waits for what never comes."""
    kept = [asyncio.create_task(client(number)) for number in range(COUNT)]
    await asyncio.sleep(0)
    tell()
    for task in kept:
        task.cancel()
    await asyncio.gather(*kept, return_exceptions=True)


async def handle():
    session = Session()
    await asyncio.sleep(3600)
    print(session)


async def connection():
    await handle()


async def awaiting(tell):
    """A coroutine that awaits another one, which holds it."""
    kept = [asyncio.create_task(connection()) for _ in range(COUNT)]
    await asyncio.sleep(0)
    tell()
    for task in kept:
        task.cancel()
    await asyncio.gather(*kept, return_exceptions=True)


async def queue(tell):
    """A queue that nobody reads."""
    waiting = asyncio.Queue()
    for number in range(COUNT):
        waiting.put_nowait(Session(number))
    tell()


WAYS = [
    module_list, dict_by_name, dict_by_number, dict_key, bounded_deque, lru_cache_on_method,
    observers, closure_cell, bound_method, traceback_kept, class_attribute, thread_local, slots,
    linked_list, generator, in_a_thread,
]  # fmt: skip
ASYNC_WAYS = [tasks, awaiting, queue]
