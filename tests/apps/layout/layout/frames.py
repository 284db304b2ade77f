"""Who called, from where: inspect, traceback, warnings, logging, tracing."""

import inspect
import io
import logging
import os
import sys
import traceback
import warnings

from layout.checks import check
from layout.plugins import shout


class Machine:
    def start(self):
        return [self.step(number) for number in (1, 0)]

    def step(self, number):
        return 1 / number


def own(frames):
    return [frame for frame in frames if os.path.basename(frame.filename) == "frames.py"]


@check
def tracebacks():
    try:
        Machine().start()
    except ZeroDivisionError as error:
        first = tracebacks.__code__.co_firstlineno
        for frame in own(traceback.extract_tb(error.__traceback__)):
            yield frame.name, frame.lineno - first, os.path.basename(frame.filename)
        yield traceback.format_exception_only(type(error), error)
        frame = error.__traceback__.tb_frame
        yield frame.f_globals["__name__"], frame.f_code.co_name, sorted(frame.f_locals) != []
        text = io.StringIO()
        traceback.print_exc(file=text)
        yield [line for line in text.getvalue().splitlines() if line[:1] != " "]


@check
def stack():
    """The documentation of the application is kept."""
    frames = inspect.stack()
    yield [frame.function for frame in frames][:2], os.path.basename(frames[0].filename)
    yield frames[0].lineno - stack.__code__.co_firstlineno, frames[1].frame.f_globals["__name__"]
    yield inspect.getmodule(frames[0].frame).__name__, inspect.getmodule(Machine.step).__name__
    yield os.path.basename(inspect.getfile(Machine)), os.path.basename(inspect.getfile(shout))
    yield inspect.getmodulename(inspect.getfile(shout)), inspect.getdoc(stack)
    yield inspect.currentframe().f_back.f_code.co_name, inspect.ismodule(sys.modules[__name__])
    yield [name for name, _ in inspect.getmembers(Machine, inspect.isfunction)]


def deprecated():
    warnings.warn("deprecated is", DeprecationWarning, stacklevel=2)


@check
def warned():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            deprecated()
        warnings.warn("here", stacklevel=1)
    first = warned.__code__.co_firstlineno
    for entry in caught:
        where = os.path.basename(entry.filename), entry.lineno - first
        yield entry.category.__name__, str(entry.message), where
    with warnings.catch_warnings():
        warnings.filterwarnings("error", module=r"layout\.frames$")
        try:
            deprecated()
        except DeprecationWarning as error:
            yield "by module", str(error)
    if sys.version_info >= (3, 12):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.warn("outside", skip_file_prefixes=(os.path.dirname(__file__),))  # noqa: B028 (instead of stacklevel)
        yield len(caught), os.path.basename(caught[0].filename) != "frames.py"


def log_for_caller(logger):
    logger.warning("for the caller", stacklevel=2)


@check
def logged():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        logging.Formatter("%(name)s %(module)s %(filename)s %(funcName)s %(message)s")
    )
    logger = logging.getLogger(__name__)
    logger.propagate = False
    logger.addHandler(handler)
    records = []
    logger.addFilter(lambda record: records.append(record) or True)
    logger.warning("plain")
    log_for_caller(logger)
    first = logged.__code__.co_firstlineno
    yield stream.getvalue().splitlines(), [record.lineno - first for record in records]
    yield os.path.basename(records[0].pathname), records[0].processName, records[0].threadName
    logger.removeHandler(handler)


@check
def traced():
    """The line table of every function is whole."""
    seen = []

    def tracer(frame, event, arg):
        if frame.f_code is Machine.step.__code__:
            seen.append((event, frame.f_lineno - frame.f_code.co_firstlineno))
        return tracer

    previous = sys.gettrace()
    sys.settrace(tracer)
    Machine().step(1)
    sys.settrace(previous)
    yield seen, [line for *_, line in Machine.step.__code__.co_lines()][-1] is not None
    yield Machine.step.__code__.co_varnames, Machine.step.__qualname__, Machine.step.__module__
