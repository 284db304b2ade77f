"""Defaults from a data folder that has no __init__.py."""

from importlib import resources

_LINES = resources.files(__package__).joinpath("rules", "defaults.txt").read_text("utf-8")
DEFAULTS = {key: int(value) for key, _, value in (x.split() for x in _LINES.splitlines())}
