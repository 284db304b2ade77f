"""Errors that nest, chain and carry notes, for the traceback on stderr."""

import builtins


class SensorError(Exception):
    """Raised with more than one argument, so that str() is a tuple's."""


class Registers:
    def read(self, address):
        table = {1: "one"}
        return table[address]


def read_sensor(address):
    try:
        return Registers().read(address)
    except KeyError as error:
        raise SensorError("no such register", address) from error


def poll():
    try:
        return [read_sensor(address) for address in (1, 2)]
    except SensorError:
        # Not chained with `from`: "During handling of the above exception" is wanted.
        return {}["fallback"]


def suppressed():
    try:
        read_sensor(3)
    except SensorError:
        raise ValueError("the cause is hidden\nand the message has two lines") from None


def group():
    # Looked up by name, because Python 3.10 has no such builtin.
    exception_group = getattr(builtins, "ExceptionGroup")  # noqa: B009 (absent in the oldest target)
    errors = []
    for attempt in (poll, suppressed):
        try:
            attempt()
        except Exception as error:
            error.add_note(f"while trying {attempt.__name__}")
            errors.append(error)
    raise exception_group("two of two failed", errors)
