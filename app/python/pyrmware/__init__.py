"""What a Python application and the launcher around it say to each other.

    import pyrmware

    pyrmware.ready("listening on port 2323")    # start-up is over
    pyrmware.heartbeat()                        # the application makes progress
    pyrmware.expect_dead(session, "its client has left")

    @pyrmware.on_pressure
    def relieve(level: int) -> None:            # memory is short: give some back
        cache.clear()

    pyrmware.memory().rss                       # bytes

On a device the launcher acts on these calls. Anywhere else (stock Python 3.10 or later, any
operating system) they check their arguments and do nothing: an application needs no second path.

Importing this package imports no other module: it is part of every start.
"""

from _weakref import ref as _ref

try:
    import _pyrmware as _launcher  # type: ignore[import-not-found]  # built into the launcher
except ModuleNotFoundError:
    _launcher = None

TYPE_CHECKING = False  # type checkers take it as true; `typing` would cost more than this package
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from os import PathLike
    from typing import Final, TypeVar
    from weakref import ref

    Hook = TypeVar("Hook", bound=Callable[[int], object])

__all__ = [
    "HARD",
    "SOFT",
    "Memory",
    "build",
    "expect_dead",
    "heartbeat",
    "last_exit",
    "memory",
    "on_pressure",
    "ready",
    "reloading",
    "snapshot",
    "stopping",
    "update",
]

SOFT: "Final[int]" = 10
"""Pressure: the soft limit is passed. Give up what can be had again: caches, histories, idle
connections."""

HARD: "Final[int]" = 20
"""Pressure: the hard limit is near. Give up all that the application can live without: what the
configuration says under `on-hard` comes next."""


class Memory:
    """What was known about the application's memory at one moment. Sizes are in bytes; a value that
    is not known here is None. Later versions add fields and keep these.

    rss   resident in RAM, shared pages included
    soft  the soft limit; None where there is none
    hard  the hard limit; None where there is none
    """

    __slots__ = ("hard", "rss", "soft")

    rss: "Final[int | None]"
    soft: "Final[int | None]"
    hard: "Final[int | None]"

    def __init__(
        self, *, rss: "int | None" = None, soft: "int | None" = None, hard: "int | None" = None
    ) -> None:
        self.rss = rss
        self.soft = soft
        self.hard = hard

    def __repr__(self) -> str:
        return f"Memory(rss={self.rss}, soft={self.soft}, hard={self.hard})"


def build() -> "str | None":
    """Return the launcher's build id; None off the device.

    Log it when the application starts, as in `logging.info("build %s", pyrmware.build())`: by it
    `cargo xtask symbolicate` finds the sources to the tracebacks that follow.
    """
    return _build


def ready(status: "str | None" = None) -> None:
    """Say that start-up is over and the application serves: what supervises it may go on.

    `status` is one line for people ("listening on port 2323"). A later call replaces the status.
    Call it from any thread. Raises TypeError where `status` is neither None nor a string.
    """
    _check_status("ready", status)
    _ready(status)


def reloading(status: "str | None" = None) -> None:
    """Say that the application takes up a new configuration, for SIGHUP or the like; `ready()` says
    that it has. `status` as for `ready()`, and the same error.
    """
    _check_status("reloading", status)
    _reloading(status)


def stopping(status: "str | None" = None) -> None:
    """Say that the application ends: who supervises it waits as long as it is configured to.
    `status` as for `ready()`, and the same error.
    """
    _check_status("stopping", status)
    _stopping(status)


def heartbeat() -> None:
    """Say that the application makes progress; where a watchdog runs, it waits for the next call.

    Call it from where the work is done, such as a task of the event loop, never from a thread of
    its own: that one would go on while the application hangs. Costs next to nothing; call it often.
    """
    _heartbeat()


def on_pressure(hook: "Hook", /) -> "Hook":
    """Have `hook(level)` called when memory is short. Returns the hook: usable as a decorator.

    `level` is `SOFT`, `HARD` or a value that a later version puts between or beyond them, growing
    with the need: compare with `>=`. Hooks are called in the order of registration, in the main
    thread, between two bytecode instructions as a signal handler is: be short, take no lock. An
    exception is reported and the next hook is called. What a hook returns is ignored; what it gave
    back is measured. Registering a hook again changes nothing; a hook is kept for as long as the
    process runs, and so is the object of a bound method.

    Raises TypeError where `hook` is not callable.
    """
    if not callable(hook):
        raise TypeError(f"on_pressure() wants a callable, not {_kind(hook)}")
    _on_pressure(hook)
    return hook


def expect_dead(obj: object, why: str) -> None:
    """Say that nothing should hold `obj` any more: "its client has left".

    The launcher keeps a weak reference. When the time that the configuration gives under
    `dead-after` is over, and a full collection, it tells in one line what still holds an object
    that is alive, with `why`. The caller's own reference may last until then. What is held in one
    way is told once, and again when there is twice as much of it.

    Raises TypeError where `obj` cannot be weakly referenced (an int, a str, a tuple, an instance of
    a class whose `__slots__` lack "__weakref__") or `why` is not a string.
    """
    if not isinstance(why, str):
        raise TypeError(f"expect_dead() wants a string as reason, not {_kind(why)}")
    try:
        _ref(obj)
    except TypeError:
        raise TypeError(
            f"expect_dead() wants an object that can be weakly referenced, not {_kind(obj)}"
        ) from None
    _expect_dead(obj, why)


def memory() -> Memory:
    """Take a snapshot of the application's memory: see `Memory`. Costs microseconds."""
    return Memory(**_memory())


def last_exit() -> "str | None":
    """Say why the launcher started the application again: "memory", for its hard limit; "hang", for
    a heartbeat that did not come; "signal 11" and the like, for a crash; "oom", where the kernel
    had no memory for it. None at the first start, and after an end that was the application's own.
    """
    return _last_exit()


def snapshot(types: "Iterable[str]" = (), objects: "Iterable[ref[object]]" = ()) -> "str | None":
    """Look through all objects: a JSON text of what there is and who holds it; None off the device.

    `types` are full names of classes, "package.module.Class", whose instances are looked for;
    `objects` are weak references to single ones. With neither, it is the classes that had grown
    most between the two snapshots before. The application stands still for as long as a fork takes;
    the caller waits for the answer, other threads go on. The text is an object with these keys:

    holders     how the objects that were looked for are held: "type", "signature" (the shortest
                path from a module, frame or task, without what differs between objects that are
                held alike), "example" (one path whole), "count", "of" (how many there are of the
                type: of more than 10,000 the others are not looked at), "bytes", and "per_hour"
                where the snapshot before has looked for the type, too
    types       all objects by type: "type", "count", "bytes"; the first 100 by bytes
    containers  the longest lists, dicts, sets, tuples and deques: "type", "length", "path", and
                "grown" where the snapshot before knew what was at the path
    grown       of which types there are more than in the snapshot before, "since_seconds" ago
    unreached   how many of `objects` live and are reached from nowhere: cyclic garbage, or held by
                C code
    complete    False: there was too much to look at all; what is missing is far from the roots
    paths       False: this Python's objects are not as they are known; types are counted only

    Bytes are a lower bound: what only a type's `__sizeof__` knows is left out. Raises RuntimeError
    where memory could not be looked through.
    """
    return _snapshot(types, objects)


def update(path: "str | PathLike[str]") -> "str | None":
    """Take an update of the application, a file that `cargo xtask dist` has written: it is looked
    through and copied to where the launcher's next start finds it. Returns its version; None off
    the device, and where the launcher takes no updates.

    Then end: whoever starts the application again starts the update. It stays once it calls
    `ready()`; what is never ready is given up, and what ran before runs again.

    Raises RuntimeError where the file is no update for this launcher, not newer than what runs,
    or was given up before; OSError where it cannot be read or copied.
    """
    import os

    path = os.fspath(path)
    if not isinstance(path, str):
        raise TypeError(f"update() wants a path as string, not {_kind(path)}")
    return _update(path)


def _check_status(call: str, status: object) -> None:
    if status is not None and not isinstance(status, str):
        raise TypeError(f"{call}() wants a string as status, not {_kind(status)}")


def _kind(value: object) -> str:
    return repr(type(value).__name__)


def _nothing(*_args: object) -> None:
    pass


def _statm() -> "dict[str, int | None]":
    import os

    try:
        with open("/proc/self/statm", "rb") as statm:
            return {"rss": int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")}
    except OSError:
        return {}


# The seam: the launcher's module offers these names and gets arguments that were checked above. Its
# `memory()` returns the fields of `Memory` as a dict.
_build: "str | None" = getattr(_launcher, "build", None)
_ready: "Callable[[str | None], None]" = getattr(_launcher, "ready", _nothing)
_update: "Callable[[str], str | None]" = getattr(_launcher, "update", _nothing)
_reloading: "Callable[[str | None], None]" = getattr(_launcher, "reloading", _nothing)
_stopping: "Callable[[str | None], None]" = getattr(_launcher, "stopping", _nothing)
_heartbeat: "Callable[[], None]" = getattr(_launcher, "heartbeat", _nothing)
_on_pressure: "Callable[[Callable[[int], object]], None]" = getattr(
    _launcher, "on_pressure", _nothing
)
_expect_dead: "Callable[[object, str], None]" = getattr(_launcher, "expect_dead", _nothing)
_last_exit: "Callable[[], str | None]" = getattr(_launcher, "last_exit", _nothing)
_snapshot: "Callable[[Iterable[str], Iterable[ref[object]]], str | None]" = getattr(
    _launcher, "snapshot", _nothing
)
_memory: "Callable[[], dict[str, int | None]]" = getattr(_launcher, "memory", _statm)
