"""Runs one test module; writes a line of JSON for every test as it starts and as it ends.

The same file is a script for stock Python: `python3 -I -S -B -X utf8 __main__.py RESULTS MODULE`.
"""

import argparse
import contextlib
import faulthandler
import importlib
import json
import os
import pkgutil
import sys
import traceback
import unittest


class Results(unittest.TestResult):
    """Writes {"test": id, "outcome": …}: None at the start, then what `_WORST` lists."""

    # A test may say several things: a subtest fails, then its clean-up has an error.
    _WORST = ("ok", "skip", "expected failure", "unexpected success", "fail", "error")

    def __init__(self, file):
        super().__init__()
        self._file = file
        self._outcome = None
        self._detail = None

    def startTest(self, test):
        super().startTest(test)
        self._outcome = "ok"
        self._detail = None
        self.write(test.id(), None, None)

    def stopTest(self, test):
        super().stopTest(test)
        self.write(test.id(), self._outcome, self._detail)
        self._outcome = None

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            failed = issubclass(err[0], test.failureException)
            self._note(test, "fail" if failed else "error", err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._note(test, "skip", reason)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._note(test, "fail", err)

    def addError(self, test, err):
        super().addError(test, err)
        self._note(test, "error", err)

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self._note(test, "expected failure", err)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._note(test, "unexpected success", "")

    def _note(self, test, outcome, detail):
        if not isinstance(detail, str):
            detail = self._exc_info_to_string(detail, test)
        if self._outcome is None:
            # "setUpClass (test.test_ssl.ContextTests)", of which there is no start and no stop.
            what, _, where = test.id().partition(" ")
            self.write(f"{where[1:-1]}.{what}" if where else what, outcome, detail)
        elif self._WORST.index(outcome) > self._WORST.index(self._outcome):
            self._outcome = outcome
            self._detail = detail

    def write(self, test, outcome, detail):
        line = {"test": test, "outcome": outcome, "detail": detail}
        print(json.dumps(line), file=self._file, flush=True)


def tests_of(name):
    """The tests of a module, or of all modules below a package.

    A package's own `load_tests` would list a folder for files with sources.
    """
    load = unittest.defaultTestLoader.loadTestsFromModule
    module = importlib.import_module(name)
    if not hasattr(module, "__path__"):
        return load(module)
    vars(module).pop("load_tests", None)
    suite = unittest.TestSuite([load(module)])
    for _, below, package in pkgutil.iter_modules(module.__path__, f"{name}."):
        last = below.rpartition(".")[2]
        try:
            if last.startswith("test") or (package and last not in _DATA):
                suite.addTest(tests_of(below))
        except unittest.SkipTest as reason:
            suite.addTest(Skipped(below, str(reason)))
    return suite


# Packages below test packages that tests import themselves, or must not import.
_DATA = ("data", "data01", "data02", "data03", "zipdata01", "zipdata02")


class Skipped(unittest.TestCase):
    """A module that is skipped as it is imported."""

    def __init__(self, module, reason):
        super().__init__("skip")
        self._module = module
        self._reason = reason

    def id(self):
        return self._module

    def skip(self):
        self.skipTest(self._reason)


def main():
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("results", help="file to write to")
    parser.add_argument("module", help="test.test_json, …")
    parser.add_argument("without", nargs="*", help="no tests whose id contains one of these")
    parser.add_argument("--match", default="", help="only tests whose id contains this")
    parser.add_argument("--limit", type=float, default=300, help="seconds for the whole module")
    options = parser.parse_args()

    # Tests start programs and close descriptors as they like: ours is out of their way.
    results = os.open(options.results, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    if not __package__:
        # A script on stock Python: the modules beside it, here and in children.
        sys.path.append(os.path.dirname(os.path.dirname(__file__)))
    faulthandler.enable()
    faulthandler.dump_traceback_later(options.limit, exit=True)

    from test import support  # late: a broken one is one of the things to be told

    # Neither the network nor a sound card, and nothing that takes minutes.
    support.use_resources = []
    thaw_nothing()
    with os.fdopen(results, "w", encoding="utf-8") as file:
        report = Results(file)
        try:
            suite = tests_of(options.module)
        except unittest.SkipTest as reason:
            report.write(options.module, "skip", str(reason))
        except Exception as error:
            missing = isinstance(error, ModuleNotFoundError) and error.name == options.module
            outcome = "missing" if missing else "error"
            report.write(options.module, outcome, traceback.format_exc())
        else:
            pick(suite, options.match, options.without).run(report)


def thaw_nothing():
    """Lets `import_fresh_module` take what libpython has frozen: a launcher has no second copy."""
    from test.support import import_helper

    if hasattr(import_helper, "frozen_modules"):
        import_helper.frozen_modules = lambda enabled=True: contextlib.nullcontext()


def pick(suite, text, without):
    """A suite of the tests that are asked for; modules and classes are still set up."""
    chosen = unittest.TestSuite()
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            chosen.addTest(pick(test, text, without))
        elif text in test.id() and not any(word in test.id() for word in without):
            chosen.addTest(test)
    return chosen


if __name__ == "__main__":
    sys.exit(main())
