"""Sessions that somebody holds on to."""

import atexit
import collections
import contextvars
import functools
import logging
import threading
import weakref

from .work import Session, numbers, steps

history = []
by_id = {}
seen = set()
callbacks = []
errors = []
waiting = collections.deque()
contexts = []
current = contextvars.ContextVar("current")
local = threading.local()
log = logging.getLogger("corpus.sessions")


def module_list():
    """A module keeps a history for diagnosis, and nothing ever takes from it."""
    for number in numbers():
        history.append(Session(number))


def keyed_by_id():
    """Sessions are registered by identity, and the end of one does not remove it."""
    for number in numbers():
        session = Session(number)
        by_id[id(session)] = session


def global_set():
    """All that were seen, to count them."""
    for number in numbers():
        seen.add(Session(number))


class Page:
    def __init__(self, number):
        self.session = Session(number)

    @functools.cache  # noqa: B019  this is the leak
    def render(self):
        return "page"


def cache_on_method():
    """The cache is the class's, its keys are the instances."""
    for number in numbers():
        Page(number).render()


class Subject:
    def __init__(self):
        self.observers = []


subject = Subject()


class Observer:
    def __init__(self, number):
        self.session = Session(number)
        subject.observers.append(self.notify)

    def notify(self):
        return self.session


def observers():
    """Whoever observes something that lives longer lives as long, unless he says goodbye."""
    for number in numbers():
        Observer(number)


def closures():
    """A callback that is kept keeps what it uses."""

    def make(session):
        def callback():
            return session

        return callback

    for number in numbers():
        callbacks.append(make(Session(number)))


def serve(number):
    session = Session(number)
    raise ConnectionError(session.number)


def tracebacks():
    """An error that is kept keeps its traceback, and so the variables of all functions in it."""
    for number in numbers():
        try:
            serve(number)
        except ConnectionError as error:
            errors.append(error)


def thread_local():
    """What is thread-local lives as long as its thread, and this one serves for ever."""

    def worker():
        local.sessions = []
        for number in numbers():
            local.sessions.append(Session(number))

    threading.Thread(target=worker, daemon=True).start()
    for _ in steps():
        pass


def context_variables():
    """Contexts that are kept for later calls keep the values of their variables."""
    for number in numbers():
        context = contextvars.copy_context()
        context.run(current.set, Session(number))
        contexts.append(context)


class Device:
    """It lives as long as the program."""


device = Device()


def finalizers():
    """`weakref.finalize` holds what is to be called until the object dies: here, never."""
    for number in numbers():
        weakref.finalize(device, Session(number).close)


class SessionHandler(logging.Handler):
    def __init__(self, number):
        super().__init__()
        self.session = Session(number)


def logging_handlers():
    """Each session adds a handler to a logger and leaves it there."""
    for number in numbers():
        log.addHandler(SessionHandler(number))


def at_exit():
    """What is to be done at the end is remembered until then."""
    for number in numbers():
        atexit.register(Session(number).close)


def unread_queue():
    """A queue without a bound that is filled faster than it is read."""
    for number in numbers():
        waiting.append((number, Session(number)))


class Model:
    known = {}

    def __init_subclass__(cls):
        Model.known[cls.__name__] = cls


def class_registry():
    """A class for each shape of message, made when it comes, and kept by its base."""
    for step in steps():
        for shape in range(3):
            fields = {f"field_{field}": Session(step) for field in range(3)}
            type(f"Message{step}x{shape}", (Model,), fields)


class Node:
    last = None

    def __init__(self, number, before):
        self.session, self.before = Session(number), before


def linked_list():
    """Each keeps the one before."""
    for number in numbers():
        Node.last = Node(number, Node.last)


def suspended(number):
    session = Session(number)
    yield
    print(session)


generators = []


def suspended_generators():
    """A generator that is not run to its end keeps its variables."""
    for number in numbers():
        generators.append(suspended(number))
        next(generators[-1])


PROGRAMS = [
    module_list, keyed_by_id, global_set, cache_on_method, observers, closures, tracebacks,
    thread_local, context_variables, finalizers, logging_handlers, at_exit, unread_queue,
    class_registry, linked_list, suspended_generators,
]  # fmt: skip
