"""A module that cannot be imported: the frame of its body is part of the traceback."""


def prepare():
    raise RuntimeError("broken.py does not import")


prepare()
