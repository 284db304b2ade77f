"""Classes: what is told of their creation, and what finds them."""

from __future__ import annotations

import abc
import dataclasses
import enum
import functools
import typing
from dataclasses import InitVar, dataclass
from typing import ClassVar


class Color(enum.Enum):
    RED = 1
    BLUE = enum.auto()


class Flag(enum.IntFlag):
    A = 1
    B = 2


@dataclass(order=True)
class Point:
    x: int
    y: int = 0
    known: ClassVar[dict] = {}
    scale: InitVar[int] = 1
    names: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self, scale):
        self.x *= scale


@dataclass(frozen=True)
class Fixed:
    color: Color = Color.RED
    typed: typing.ClassVar[int] = 2


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...


class Square(Shape):
    def area(self):
        return 4


class Noted:
    subclasses = []

    def __init_subclass__(cls, **options):
        Noted.subclasses.append((cls.__name__, options))


class One(Noted, size=1):
    pass


class Two(Noted):
    pass


class Meta(type):
    made = []

    def __new__(mcs, name, bases, namespace):
        Meta.made.append(name)
        return super().__new__(mcs, name, bases, namespace)


class Made(metaclass=Meta):
    pass


class Attribute:
    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner):
        return self.name


class Holder:
    attribute = Attribute()


class Base:
    pass


class Below(Base):
    pass


class Failure(Exception):
    pass


@functools.singledispatch
def show(value):
    return "object"


@show.register
def _(value: int):
    return "int"


@show.register(Point)
def _point(value):
    return "point"


@functools.cache
def cached(value):
    return [value]


def raises():
    raise Failure("as it should")


def run():
    yield "enum", list(Color), Color["BLUE"], Flag.A | Flag.B, Color.RED in Color
    yield (
        "dataclass",
        Point(1, scale=3),
        Point(1) < Point(2),
        [f.name for f in dataclasses.fields(Point)],
    )
    yield "dataclass", Fixed(), dataclasses.asdict(Fixed())
    yield "abc", Square().area(), issubclass(Square, Shape)
    yield "noted", Noted.subclasses
    yield "made", Meta.made
    yield "set_name", Holder.attribute
    yield "subclasses", [kind.__name__ for kind in Base.__subclasses__()]
    yield "dispatch", show(1), show(Point(1)), show("a")
    yield "cached", cached(1) is cached(1)
    try:
        raises()
    except Failure as error:
        yield "except", error
