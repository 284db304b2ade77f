"""The telnet server: its socket, its sessions, its end."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import signal
import socket
import time
from contextlib import suppress
from types import TracebackType

from prompt_toolkit.contrib.telnet import TelnetServer
from prompt_toolkit.contrib.telnet import protocol as telnet
from prompt_toolkit.contrib.telnet.server import TelnetConnection

from . import commands, runtime
from .device import Device
from .session import Session

log = logging.getLogger("device_console")

HEARTBEAT_INTERVAL = 5.0  # seconds
START_TIMEOUT = 5.0  # seconds
SHUTDOWN_TIMEOUT = 5.0  # seconds, for all sessions together

FIRST_PASSED = 3  # the descriptor of the first socket that is passed


# What a client says when it is asked for the type of its terminal.
_TERMINAL_IS_DUMB = b"".join(
    [telnet.IAC, telnet.SB, telnet.TTYPE, telnet.IS, b"dumb", telnet.IAC, telnet.SE]
)


class CannotListen(Exception):
    """The address cannot be listened on; the message says which and why."""


async def serve(host: str, port: int, *, leak: bool = False) -> None:
    """Serve until SIGTERM or SIGINT. `leak`: see `Session`."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log_exception)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    async with Console(host, port, passed_socket(), leak=leak) as console:
        runtime.on_pressure(console.relieve)
        log.info("listening on %s port %d", console.host, console.port)
        runtime.ready(f"listening on {console.host} port {console.port}")
        while not stop.is_set():
            runtime.heartbeat()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), HEARTBEAT_INTERVAL)
        runtime.stopping()
        log.info("shutting down with %d sessions", len(console.sessions))


class Console:
    """The console behind one socket, started and ended by `async with`. Port 0 is any free one.
    A `listener` that is there already takes the place of host and port."""

    def __init__(
        self, host: str, port: int, listener: socket.socket | None = None, *, leak: bool = False
    ) -> None:
        self.leak = leak
        self.device = Device.load()
        self.started = time.monotonic()
        self.sessions: dict[int, Session] = {}
        self._numbers = itertools.count(1)
        self._closing = False
        self._socket = listener or _listen(host, port)
        self.host: str
        self.port: int
        self.host, self.port, *_ = self._socket.getsockname()
        self._server = _Server(self._socket, interact=self._interact, enable_cpr=False)

    async def __aenter__(self) -> Console:
        listening = asyncio.Event()
        self._task = asyncio.create_task(self._server.run(listening.set))
        await asyncio.wait_for(listening.wait(), START_TIMEOUT)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing = True
        ending = [task for session in self.sessions.values() if (task := session.close())]
        for connection in list(self._server.connections):
            # One that has not named its terminal yet waits for that, and for nothing else.
            if connection.vt100_output is None:
                connection.feed(_TERMINAL_IS_DUMB)
        await asyncio.sleep(0)  # they end in their next step
        if ending:
            await asyncio.wait(ending, timeout=SHUTDOWN_TIMEOUT)
        self._task.cancel()
        await asyncio.wait([self._task], timeout=SHUTDOWN_TIMEOUT)

    def relieve(self, level: int) -> None:
        """Memory is short, at whatever level: the histories are what can be given up."""
        for session in list(self.sessions.values()):
            session.history.clear()

    async def _interact(self, connection: TelnetConnection) -> None:
        if self._closing:
            return
        number, prompt = next(self._numbers), self.device.prompt
        session = Session(number, connection, prompt, self._run, leak=self.leak)
        self.sessions[session.number] = session
        log.info("session %d: %s connected", session.number, session.peer)
        try:
            await session.talk(self.device.banner())
        except Exception:
            log.exception("session %d failed", session.number)
        finally:
            del self.sessions[session.number]
            log.info("session %d: %s left", session.number, session.peer)
            runtime.expect_dead(session, "its client has left")
            runtime.expect_dead(session.prompt, "its client has left")

    def _run(self, session: Session, line: str) -> str:
        everyone = self.sessions.values()
        return commands.run(line, commands.Context(self.device, self.started, everyone, session))


class _Server(TelnetServer):
    """A telnet server on a socket that is bound already: what is wrong with the address is known
    before anything is started, and so is the port."""

    def __init__(self, listener: socket.socket, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self._listener = listener

    def _create_socket(self, host: str, port: int) -> socket.socket:  # type: ignore[override]
        return self._listener


def passed_socket() -> socket.socket | None:
    """The socket that was passed to this process, by the service manager or by the launcher, which
    holds it over a restart: the first one, as `sd_listen_fds` has it. None: there is none."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or not os.environ.get("LISTEN_FDS"):
        return None
    listener = socket.socket(fileno=FIRST_PASSED)
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        raise CannotListen(f"cannot listen on the socket that was passed: {listener.family.name}")
    listener.setblocking(False)
    return listener


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
        listener.setblocking(False)  # a client that is gone again must not block `accept`
    except OSError as error:
        listener.close()
        raise CannotListen(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return listener


def log_exception(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """A connection that breaks is daily business; everything else is a bug and gets a traceback."""
    error = context.get("exception")
    if isinstance(error, ConnectionError):
        log.info("a connection broke: %s", error)
    else:
        loop.default_exception_handler(context)
