"""The console: its commands, its sessions over telnet, and the process as a whole.

Run in `python-app`: python -m unittest discover -s tests
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import weakref
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from device_console import commands, selftest
from device_console.client import Client, Disconnected
from device_console.device import Device, version
from device_console.server import CannotListen, Console, log_exception
from device_console.session import BoundedHistory

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
TIMEOUT = 30
UP, CTRL_C, CTRL_D = "\x1b[A", "\x03", "\x04"
PROMPT = Device.load().prompt.rstrip()


def setUpModule():
    logging.getLogger("prompt_toolkit").setLevel(logging.ERROR)


class Commands(unittest.TestCase):
    def setUp(self):
        one, two = (
            SimpleNamespace(number=number, peer=f"peer {number}", started=time.monotonic())
            for number in (1, 2)
        )
        self.context = commands.Context(Device.load(), time.monotonic() - 3661, (one, two), two)

    def run_line(self, line):
        return commands.run(line, self.context)

    def test_every_command_has_an_answer_that_the_selftest_knows(self):
        self.assertEqual({*selftest.ANSWERS, "exit"}, set(commands.COMMANDS))

    def test_status_names_the_device(self):
        self.assertIn(self.context.device.model, self.run_line("status"))

    def test_memory_is_positive(self):
        sizes = [float(row.split()[1]) for row in self.run_line("memory").splitlines()]
        self.assertEqual(len(sizes), 3)
        self.assertGreater(min(sizes), 0)

    def test_sessions_marks_the_one_that_asks(self):
        first, second = self.run_line("sessions").splitlines()
        self.assertRegex(first, r"^   1  peer 1  for 00:00:0\d$")
        self.assertRegex(second, r"^  \*2  peer 2  for 00:00:0\d$")

    def test_uptime_counts_from_the_start(self):
        self.assertRegex(self.run_line("uptime"), r"console  01:01:0\d$")

    def test_days(self):
        self.assertEqual(commands._duration(2 * 86400 + 59.9), "2 d 00:00:59")
        self.assertEqual(commands._duration(-3), "00:00:00")  # the clock was set back

    def test_help(self):
        self.assertEqual(len(self.run_line("help").splitlines()), len(commands.COMMANDS))
        self.assertTrue(self.run_line(" help   help ").startswith("usage: help [COMMAND]\n"))

    def test_an_empty_line_is_nothing(self):
        self.assertEqual(self.run_line("  "), "")

    def test_what_cannot_be_run(self):
        for line, message in [
            ("nonsense", "unknown command 'nonsense'"),
            ("help nonsense", "unknown command 'nonsense'"),
            ("run", "unknown command 'run'"),
            ("status now", "usage: status$"),
            ("help status now", r"usage: help \[COMMAND\]$"),
        ]:
            with (
                self.subTest(line),
                self.assertRaisesRegex(commands.CommandError, message),
            ):
                self.run_line(line)

    def test_exit_leaves(self):
        with self.assertRaises(commands.Leave):
            self.run_line("exit")


class History(unittest.TestCase):
    def test_it_keeps_the_latest_lines(self):
        history = BoundedHistory(2)
        for line in "abc":
            history.append_string(line)
        self.assertEqual(history.get_strings(), ["b", "c"])
        self.assertEqual(list(history.load_history_strings()), ["c", "b"])
        history.clear()
        self.assertEqual(history.get_strings(), [])


class Terminal(unittest.TestCase):
    """The client's half of the protocol, whatever the pieces that data come in."""

    DATA = b"\xff\xfd\x1f\xff\xfd\x18\xff\xfa\x18\x01\xff\xf0\x1b[0;1mG\xc3\xbc\xff\xfb\x01te\r\r\n"

    def receive(self, *pieces):
        client = Client(HOST, 0)
        client._writer = mock.Mock()
        for piece in pieces:
            client._show(piece)
        return client._text, b"".join(call.args[0] for call in client._writer.write.mock_calls)

    def test_negotiation_and_text(self):
        text, replies = self.receive(self.DATA)
        self.assertEqual(text, "Güte\n")
        size = b"\xff\xfb\x1f\xff\xfa\x1f\x00\x64\x00\x1e\xff\xf0"
        kind = b"\xff\xfb\x18\xff\xfa\x18\x00xterm\xff\xf0"
        self.assertEqual(replies, size + kind + b"\xff\xfd\x01")

    def test_pieces(self):
        whole = self.receive(self.DATA)
        for at in range(len(self.DATA)):
            self.assertEqual(self.receive(self.DATA[:at], self.DATA[at:]), whole, at)
        self.assertEqual(self.receive(*(bytes([byte]) for byte in self.DATA)), whole)


class Sessions(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.stack = contextlib.AsyncExitStack()
        self.console = await self.stack.enter_async_context(Console(HOST, 0))
        self.addAsyncCleanup(self.stack.aclose)
        asyncio.get_running_loop().set_exception_handler(log_exception)

    async def connect(self):
        client = await self.stack.enter_async_context(Client(HOST, self.console.port))
        await client.read_until(PROMPT)
        return client

    async def ask(self, client, keys, answer):
        client.send(keys)
        await client.read_until(answer)
        await client.read_until(PROMPT)

    async def until(self, condition):
        """Nothing can be awaited for what the other end of a socket brings about."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            await asyncio.sleep(0.01)

    async def test_sessions_see_each_other(self):
        one, two = await self.connect(), await self.connect()
        await self.ask(two, "sessions\r", "*2")
        await self.ask(one, "sessions\r", " 2")
        two.send("exit\r")
        await two.read_to_end()
        self.assertEqual(list(self.console.sessions), [1])

    async def test_history_belongs_to_a_session(self):
        one, two = await self.connect(), await self.connect()
        await self.ask(one, "uptime\r", "console")
        await self.ask(two, f"{UP}help exit\r", "usage: exit")
        await self.ask(one, f"{UP}\r", "console")

    async def test_pressure_drops_histories(self):
        client = await self.connect()
        await self.ask(client, "uptime\r", "console")
        self.console.relieve(10)
        self.assertEqual(self.console.sessions[1].history.get_strings(), [])
        await self.ask(client, "help exit\r", "usage: exit")

    async def test_tab_completes_what_is_unique_and_lists_what_is_not(self):
        client = await self.connect()
        await self.ask(client, "s\t", "sessions")  # and status, in either order
        await self.ask(client, f"{CTRL_C}he\t up\t\r", "usage: uptime")

    async def test_ctrl_c_drops_the_line_and_ctrl_d_leaves(self):
        client = await self.connect()
        client.send(f"exit{CTRL_C}")
        await client.read_until(PROMPT)
        await self.ask(client, "help exit\r", "usage: exit")
        client.send(CTRL_D)
        await client.read_until("Goodbye.\n")

    async def test_a_command_that_fails_does_not_end_the_session(self):
        def broken(context):
            raise OSError("no such sensor")

        client = await self.connect()
        command = commands.Command(broken, "", "broken")
        with mock.patch.dict(commands.COMMANDS, broken=command), self.assertLogs() as logs:
            await self.ask(client, "broken\r", "the command failed")
        self.assertIn("no such sensor", logs.output[0])
        await self.ask(client, "help exit\r", "usage: exit")

    async def test_nothing_keeps_a_session_that_has_ended(self):
        stays = await self.connect()
        leaves, stays_too = await self.connect(), await self.connect()
        await self.ask(leaves, "status\r", "Python")
        await self.ask(stays_too, "status\r", "Python")
        session = self.console.sessions[2]
        dead = weakref.ref(session), weakref.ref(session.prompt)
        del session
        leaves.send("exit\r")
        await leaves.read_to_end()
        # Handles in the event loop hold it for another moment.
        await self.until(lambda: gc.collect() >= 0 and not any(ref() for ref in dead))
        await self.ask(stays, "sessions\r", "3")

    async def test_a_session_is_kept_where_that_is_asked_for(self):
        leaking = await self.stack.enter_async_context(Console(HOST, 0, leak=True))
        client = await self.stack.enter_async_context(Client(HOST, leaking.port))
        await client.read_until(PROMPT)
        other = await self.connect()
        kept, gone = (weakref.ref(console.sessions[1]) for console in (leaking, self.console))
        for one in client, other:
            one.send("exit\r")
            await one.read_to_end()
        await self.until(lambda: gc.collect() >= 0 and not gone())
        self.assertIsNotNone(kept())

    async def test_a_client_that_hangs_up(self):
        client = await self.connect()
        client._writer.close()
        await self.until(lambda: not self.console.sessions)

    async def test_a_client_that_breaks_the_connection(self):
        client = await self.connect()
        linger = struct.pack("ii", 1, 0)  # close() resets
        client._writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, linger
        )
        with self.assertLogs("device_console") as logs:
            client._writer.transport.abort()
            await self.until(lambda: not self.console.sessions)
        self.assertIn("a connection broke: [Errno 104]", logs.output[0])

    async def test_a_client_that_takes_no_data_does_not_stop_the_others(self):
        with socket.socket() as deaf, self.assertLogs("prompt_toolkit"), self.assertLogs():
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect((HOST, self.console.port))
            deaf.setblocking(False)
            deaf.send(b"\xff\xfa\x18\x00xterm\xff\xf0")
            await self.until(lambda: self.console.sessions)
            session = self.console.sessions[1]
            session._connection.send("x" * (1 << 24))
            session._connection.send("more")
            client = await self.connect()
            await self.ask(client, "help exit\r", "usage: exit")

    async def test_the_end_closes_every_session(self):
        client = await self.connect()
        _, silent = await asyncio.open_connection(HOST, self.console.port)
        self.addCleanup(silent.close)
        server = self.console._server
        await self.until(lambda: len(server.connections) == 2)
        with contextlib.redirect_stdout(mock.Mock()) as stdout:
            await self.console.__aexit__(None, None, None)
        await client.read_until("The console is shutting down.\n")
        await client.read_to_end()
        self.assertFalse(server.connections)
        self.assertFalse(self.console.sessions)
        stdout.write.assert_not_called()  # contrib.telnet prints what it did not expect

    async def test_an_answer_that_does_not_come(self):
        client = await self.connect()
        late = self.assertRaisesRegex(TimeoutError, "no 'never' within 0.2 s")
        with mock.patch.object(client, "_timeout", 0.2), late:
            await client.read_until("never")
        client.send("exit\r")
        with self.assertRaises(Disconnected):
            await client.read_until("never")

    async def test_a_port_that_is_taken(self):
        with self.assertRaisesRegex(CannotListen, f"port {self.console.port}: Address already"):
            Console(HOST, self.console.port)


class Process(unittest.TestCase):
    """python -m device_console, as a supervisor sees it."""

    def run_to_end(self, *arguments, **environment):
        return subprocess.run(
            [sys.executable, "-m", "device_console", *arguments],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            check=False,
            capture_output=True,
            text=True,
            timeout=2 * TIMEOUT,
        )

    def start(self, *, command=(), pass_fds=(), **environment):
        """Start a console on a free port; returns the process, the port and its later log lines."""
        process = subprocess.Popen(
            [*command, sys.executable, "-m", "device_console", "--port", "0"],
            cwd=ROOT,
            env={**os.environ, **environment},
            pass_fds=pass_fds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        lines = queue.Queue()
        reader = threading.Thread(target=lambda: [lines.put(line) for line in process.stderr])
        reader.start()

        def end():
            process.kill()
            process.wait()
            reader.join()
            process.stdout.close()
            process.stderr.close()

        self.addCleanup(end)
        line = ""
        while f"INFO listening on {HOST} port " not in line:
            line = lines.get(timeout=TIMEOUT)
        return process, int(line.split()[-1]), lines

    def check_end(self, number, **environment):
        process, port, _ = self.start(**environment)

        async def talk():
            async with Client(HOST, port) as client:
                await client.read_until(PROMPT)
                client.send("help exit\r")
                await client.read_until("usage: exit")
                await client.read_until(PROMPT)
                process.send_signal(number)
                await client.read_until("The console is shutting down.\n")
                await client.read_to_end()

        asyncio.run(talk())
        self.assertEqual(process.wait(TIMEOUT), 0)
        self.assertEqual(process.stdout.read(), "")

    def test_sigterm_ends_it_cleanly(self):
        self.check_end(signal.SIGTERM)

    def test_sigint_ends_it_cleanly(self):
        self.check_end(signal.SIGINT)

    def test_its_own_terminal_does_not_matter(self):
        self.check_end(signal.SIGTERM, TERM="dumb")

    def test_the_log_of_a_session(self):
        process, port, lines = self.start()
        with socket.create_connection((HOST, port)):  # says nothing, and is no session
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(TIMEOUT), 0)
        self.assertIn("INFO shutting down with 0 sessions", lines.get(timeout=TIMEOUT))
        self.assertTrue(lines.empty())

    def test_a_socket_that_was_passed_is_used(self):
        with socket.create_server((HOST, 0)) as listener:
            number = listener.fileno()
            passing = f'export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@" 3<&{number}'
            command = ["/bin/sh", "-c", passing, "sh"]
            process, port, _ = self.start(command=command, pass_fds=[number])
            self.assertEqual(port, listener.getsockname()[1])
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(TIMEOUT), 0)
            # It is another one's, who passes it on to the next process.
            socket.create_connection((HOST, port)).close()

    def test_the_firmware_is_told(self):
        code = """
            import sys
            def tell(*what): print("TOLD", *what, file=sys.stderr)
            def ready(status=None): tell("ready", status)
            def stopping(status=None): tell("stopping")
            def heartbeat(): tell("heartbeat")
            def on_pressure(hook): hook(20)
            def expect_dead(obj, why): tell("expect_dead", type(obj).__name__, why)
        """
        with tempfile.TemporaryDirectory() as folder:
            lines = [line.strip() for line in code.splitlines()]
            Path(folder, "pyrmware.py").write_text("\n".join(lines), encoding="utf-8")
            path = [folder, *filter(None, [os.environ.get("PYTHONPATH")])]
            process, port, log = self.start(PYTHONPATH=os.pathsep.join(path))

            async def talk():
                async with Client(HOST, port) as client:
                    client.send("exit\r")
                    await client.read_to_end()

            asyncio.run(talk())
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(TIMEOUT), 0)
        told = []
        while not told or "shutting down" not in told[-1]:
            told.append(log.get(timeout=TIMEOUT).strip())
        self.assertEqual(
            [line[5:] for line in told if line.startswith("TOLD")],
            [
                f"ready listening on {HOST} port {port}",
                "heartbeat",
                "expect_dead Session its client has left",
                "expect_dead PromptSession its client has left",
                "stopping",
            ],
        )

    def test_selftest_prints_one_line_of_json(self):
        done = self.run_to_end("--selftest")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        (line,) = done.stdout.splitlines()
        report = json.loads(line)
        self.assertTrue(report["ok"])
        self.assertEqual(report["commands"], sorted(commands.COMMANDS))
        self.assertEqual(report["python"], ".".join(map(str, sys.version_info[:3])))

    def test_version(self):
        done = self.run_to_end("--version")
        self.assertEqual((done.returncode, done.stdout), (0, f"device-console {version()}\n"))

    def test_usage_errors(self):
        for arguments, message in [
            (["--port", "99999"], "argument --port: a number from 0 to 65535"),
            (["--port", "-1"], "argument --port: a number from 0 to 65535"),
            (["--port", "telnet"], "is needed, not 'telnet'"),
            (["--host", ""], "argument --host: an address is needed"),
            (["now"], "unrecognized arguments: now"),
        ]:
            with self.subTest(arguments):
                done = self.run_to_end(*arguments)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn(message, done.stderr)

    def test_a_port_that_is_taken(self):
        with socket.create_server((HOST, 0)) as taken:
            port = taken.getsockname()[1]
            done = self.run_to_end("--port", str(port))
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        message = f"device-console: cannot listen on {HOST} port {port}: Address already in use\n"
        self.assertEqual(done.stderr, message)


if __name__ == "__main__":
    unittest.main()
