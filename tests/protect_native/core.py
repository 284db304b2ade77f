"""The docstring of the core is a secret."""

import asyncio
import contextlib
import dataclasses
import enum
import functools
import importlib.metadata
import importlib.resources
import inspect
import pathlib
import typing

LAUNCH_CODE = "4711 is the launch code"


class State(enum.Enum):
    COLD = "cold"
    HOT = "hot"


@dataclasses.dataclass(order=True)
class Rod:
    """A rod has a docstring."""

    depth: float
    name: str = "rod"
    marks: list[int] = dataclasses.field(default_factory=list)

    @property
    def deep(self) -> bool:
        return self.depth > 1  # a comment that must not ship


class Reactor:
    """Has a method that fails."""

    rods = 3

    def start_the_reactor(self, heat):
        return heat / (self.rods - 3)

    async def readings(self, count):
        for number in range(count):
            await asyncio.sleep(0)
            yield number

    @contextlib.asynccontextmanager
    async def opened(self):
        yield self


def fail():
    try:
        [Reactor().start_the_reactor(heat) for heat in (1, 2)]
    except ZeroDivisionError as error:
        raise LookupError("no rod") from error


def counted(function):
    @functools.wraps(function)
    def inner(*args, unit: str = "mm", **more):
        inner.count += 1
        return function(*args, **more), unit

    inner.count = 0
    return inner


@counted
def described(value: float, *rest: int) -> str:
    """Is described."""
    match value, rest:
        case (float(number), ()):
            return f"alone {number!r:>6}"
        case (number, (first, *others)):
            return f"{number} {first} {len(others)}"
    return "other"


def generator(start):
    total = start
    while total < 20:
        got = yield total
        total += got or 1
    return "done"


async def gather():
    async with Reactor().opened() as reactor:
        found = [number async for number in reactor.readings(4) if number % 2]
    results = await asyncio.gather(*(asyncio.sleep(0, number) for number in found))
    known = inspect.iscoroutinefunction(gather) or asyncio.iscoroutinefunction(gather)
    return found, results, known


def language():
    rod = Rod(2, marks=[1])
    print(rod, rod.deep, sorted([rod, Rod(1.5)])[0], State("hot"), list(State))
    print(typing.get_type_hints(Rod), dataclasses.asdict(rod))
    print(described(1.0), described(1, 2, 3, unit="cm"), described.count, described.__name__)
    lines = generator(10)
    print(next(lines), lines.send(5), list(lines))
    print(asyncio.run(gather()))
    print(float(3), 7 // -2, 2**70, "ä".encode(), isinstance(rod.depth, int))
    print(Reactor.__qualname__, fail.__module__, __name__, __package__)
    try:
        print(importlib.metadata.version("nuitka"))
    except importlib.metadata.PackageNotFoundError as error:
        print(error)
    try:
        print(of_another_system)
    except NameError as error:
        print(error)
    scale = 3
    print([scaled(2) for scaled in [lambda x, by=by: x * by * scale for by in range(3)]])


def data():
    beside = pathlib.Path(__file__).parent / "data" / "words.txt"
    inside = importlib.resources.files("vault").joinpath("data/words.txt")
    print(beside.read_text() == inside.read_text(), beside.read_text().split())
    print(sorted(entry.name for entry in beside.parent.iterdir()))
    print(importlib.resources.files("vault.data").joinpath("words.txt").read_text().split())


def run(queue):
    queue.put(LAUNCH_CODE)
