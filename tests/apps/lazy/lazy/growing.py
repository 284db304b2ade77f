import sys

__all__ = ["one"]


def one():
    pass


if sys.argv:
    __all__ += ["two"]

    def two():
        pass
