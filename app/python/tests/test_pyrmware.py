"""The runtime API off the device, and with a stand-in for the launcher.

Run in `app/python`: python -m unittest discover -s tests
"""

import importlib
import os
import subprocess
import sys
import types
import unittest
import weakref
from pathlib import Path
from unittest import mock

import pyrmware

ROOT = Path(__file__).resolve().parent.parent


class OffTheDevice(unittest.TestCase):
    def test_the_calls_do_nothing(self):
        self.assertIsNone(pyrmware.ready())
        self.assertIsNone(pyrmware.ready(status="serving"))
        self.assertIsNone(pyrmware.heartbeat())
        self.assertIsNone(pyrmware.reloading("a new configuration"))
        self.assertIsNone(pyrmware.stopping())
        self.assertIsNone(pyrmware.expect_dead(self, "the test is over"))
        self.assertIsNone(pyrmware.snapshot())
        self.assertIsNone(pyrmware.snapshot(["app.Session"], objects=[weakref.ref(self)]))
        self.assertIsNone(pyrmware.update("app-2.0.update"))

    def test_on_pressure_is_a_function_and_a_decorator(self):
        def hook(level):
            self.fail(f"called with {level}")

        self.assertIs(pyrmware.on_pressure(hook), hook)

        @pyrmware.on_pressure
        def decorated(level):
            return level

        self.assertEqual(decorated(pyrmware.HARD), pyrmware.HARD)

    def test_levels_grow_with_the_need(self):
        self.assertLess(pyrmware.SOFT, pyrmware.HARD)

    def test_bad_arguments(self):
        class Slotted:
            __slots__ = ()

        for call, message in [
            (lambda: pyrmware.ready(7), "status, not 'int'"),
            (lambda: pyrmware.stopping(7), "stopping.. wants a string as status, not 'int'"),
            (lambda: pyrmware.on_pressure(None), "callable, not 'NoneType'"),
            (lambda: pyrmware.expect_dead(self, None), "reason, not 'NoneType'"),
            (lambda: pyrmware.expect_dead(7, "seven"), "weakly referenced, not 'int'"),
            (lambda: pyrmware.expect_dead(Slotted(), "slotted"), "referenced, not 'Slotted'"),
            (lambda: pyrmware.update(b"app.update"), "path as string, not 'bytes'"),
            (lambda: pyrmware.update(7), "not int"),
        ]:
            with self.subTest(message), self.assertRaisesRegex(TypeError, message):
                call()

    def test_expect_dead_holds_nothing(self):
        class Session:
            pass

        session = Session()
        before = sys.getrefcount(session)
        pyrmware.expect_dead(session, "its client has left")
        self.assertEqual(sys.getrefcount(session), before)

    @unittest.skipUnless(os.path.exists("/proc/self/statm"), "needs /proc")
    def test_memory_reads_statm(self):
        snapshot = pyrmware.memory()
        self.assertGreater(snapshot.rss, 1 << 20)
        self.assertIsNone(snapshot.soft)
        self.assertIsNone(snapshot.hard)
        self.assertRegex(repr(snapshot), r"^Memory\(rss=\d+, soft=None, hard=None\)$")

    def test_memory_without_proc(self):
        with mock.patch("builtins.open", side_effect=FileNotFoundError):
            self.assertIsNone(pyrmware.memory().rss)

    def test_importing_it_imports_nothing_else(self):
        code = (
            "import sys; before = set(sys.modules); sys.path.insert(0, sys.argv[1]);"
            "import pyrmware; print(*sorted(set(sys.modules) - before))"
        )
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", code, str(ROOT)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=60,
        )
        self.assertEqual(done.stdout.split(), ["pyrmware"])


class OnTheDevice(unittest.TestCase):
    """With a stand-in for the module that the launcher has built in."""

    def load(self, **functions):
        launcher = types.ModuleType("_pyrmware")
        vars(launcher).update(functions)
        self.addCleanup(importlib.reload, pyrmware)
        with mock.patch.dict(sys.modules, _pyrmware=launcher):
            return importlib.reload(pyrmware)

    def test_calls_are_handed_over(self):
        launcher = mock.Mock()
        launcher.memory.return_value = {"rss": 3, "soft": 2, "hard": 4}
        launcher.snapshot.return_value = "{}"
        launcher.update.return_value = "2.0"
        names = ["ready", "heartbeat", "on_pressure", "expect_dead", "memory", "snapshot", "update"]
        module = self.load(**{name: getattr(launcher, name) for name in names})
        module.ready()
        module.ready("serving")
        module.heartbeat()
        module.on_pressure(print)
        module.expect_dead(self, "over")
        self.assertEqual(module.memory().hard, 4)
        self.assertEqual(module.snapshot(["app.Session"]), "{}")
        self.assertEqual(module.update(Path("/tmp/app.update")), "2.0")
        self.assertEqual(
            launcher.mock_calls,
            [
                mock.call.ready(None),
                mock.call.ready("serving"),
                mock.call.heartbeat(),
                mock.call.on_pressure(print),
                mock.call.expect_dead(self, "over"),
                mock.call.memory(),
                mock.call.snapshot(["app.Session"], ()),
                mock.call.update("/tmp/app.update"),
            ],
        )

    def test_a_launcher_may_offer_less(self):
        beats = mock.Mock()
        module = self.load(heartbeat=beats)
        module.ready("serving")
        module.heartbeat()
        beats.assert_called_once_with()

    def test_arguments_are_checked_before(self):
        hooks = mock.Mock()
        module = self.load(on_pressure=hooks)
        with self.assertRaises(TypeError):
            module.on_pressure("no hook")
        hooks.assert_not_called()


if __name__ == "__main__":
    unittest.main()
