"""Memory that no list of objects shows, or that nobody holds."""

import ctypes
import gc

from .work import STEPS, Session, numbers, steps

MEGABYTE = 1 << 20

names = {}
buffer = bytearray()


def malloc():
    """C code that forgets to free."""
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
    size = 4096
    for _ in steps():
        for _ in range(MEGABYTE // STEPS // size):
            ctypes.memset(library.malloc(size), 1, size)


def strings():
    """A cache of strings: the collector does not know them, no count of objects grows."""
    for number in numbers():
        for line in range(20):
            names[f"{number}/{line}"] = f"the name of line {line}"


def growing_buffer():
    """What is received is appended, and what was handled is not taken away."""
    for _ in steps():
        buffer.extend(bytes(MEGABYTE // STEPS))


class Node:
    def __init__(self, number):
        self.session, self.me = Session(number), self


def garbage():
    """Cycles, and somebody has switched the collector off for speed."""
    gc.disable()
    for number in numbers():
        Node(number)


PROGRAMS = [malloc, strings, growing_buffer, garbage]
