"""A valve with a command line."""

__version__ = "0.3.1"
