from lazy import broken

try:
    EARLY = defined_below  # noqa: F821
except NameError:
    EARLY = "not yet"


def defined_below():
    return "now"


def len(value):  # noqa: A001
    return "shadowed"


def shadowed(value):
    return len(value)


def undefined():
    return no_such_global  # noqa: F821


def divides():
    return broken.half()
