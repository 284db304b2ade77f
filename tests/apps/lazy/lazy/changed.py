import collections

try:
    import json as optional
except ImportError:
    optional = None
try:
    import no_such_module as missing
except ImportError:
    missing = None

_seen = collections.OrderedDict()


def helper():
    return "helper"


def first():
    return "first"


def second():
    return "second"


def third():
    return "third"


def uses():
    return helper()


def uses_first():
    return first()


def uses_second():
    return second()


def remember(name):
    _seen[name] = len(_seen)
    return list(_seen.items())
