from lazy.target import *  # noqa: F403

ALSO = "also"


def reads():
    return CONSTANT, function(1)  # noqa: F405
