"""Functions that call functions of this and of other modules: every name is a global one."""

import functools
import operator
from collections import namedtuple

from loops.words import is_long

Point = namedtuple("Point", "x y")
LIMIT = 1_000


def fibonacci(number):
    return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)


@functools.lru_cache(maxsize=64)
def remembered(number):
    return number % 7


def clipped(number):
    return min(max(number, -LIMIT), LIMIT)


def moved(point):
    return Point(operator.add(point.x, 1), point.y - 1)


def run(times=8_000):
    total, point = fibonacci(17), Point(0, 0)
    for number in range(times):
        total += clipped(number) + remembered(number % 50)
        point = moved(point)
        if is_long("long enough"):
            total -= 1
    return total + point.x + point.y
