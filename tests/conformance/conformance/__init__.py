"""Runs tests of CPython in this very interpreter, and says how each of them ended."""
