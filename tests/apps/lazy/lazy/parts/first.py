"""Imports its sibling, on which others count."""

import lazy.parts.second


def size():
    return lazy.parts.second.SIZE
