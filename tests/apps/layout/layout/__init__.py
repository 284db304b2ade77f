"""The package whose layout is looked at."""

LOADED = []
VERSION = "1.2.3"
