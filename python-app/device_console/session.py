"""One client: its prompt, its history, its end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import NestedCompleter
from prompt_toolkit.contrib.telnet.server import TelnetConnection
from prompt_toolkit.filters import Condition, has_selection
from prompt_toolkit.history import History
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.shortcuts import CompleteStyle

from . import commands

log = logging.getLogger("device_console")

HISTORY_LINES = 100

Run = Callable[["Session", str], str]


class Session:
    """A client that is connected. `run` runs one line for it. `leak`: it stays in memory for ever,
    and all that belongs to it."""

    def __init__(
        self,
        number: int,
        connection: TelnetConnection,
        prompt: str,
        run: Run,
        *,
        leak: bool = False,
    ) -> None:
        self.number = number
        self.peer = f"{connection.addr[0]} port {connection.addr[1]}"
        self.started = time.monotonic()
        self.history = BoundedHistory(HISTORY_LINES)
        self._connection = connection
        self._run = run
        self._task = asyncio.current_task()
        # A client that takes no data loses it rather than stop the others; one that is gone
        # without a word is noticed.
        connection.conn.setblocking(False)
        connection.conn.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # The output is named, since $TERM of this process says nothing about the client's terminal.
        self.prompt: PromptSession[str] = PromptSession(
            prompt,
            history=self.history,
            completer=_completer(),
            complete_style=CompleteStyle.READLINE_LIKE,
            complete_while_typing=False,
            key_bindings=self._leaking_bindings() if leak else None,
            input=connection.vt100_input,
            output=connection.vt100_output,
        )
        self.prompt.app.terminal_size_polling_interval = None  # the client tells

    def _leaking_bindings(self) -> KeyBindings:
        # `has_selection` lives as long as the process and remembers what it was combined with: this
        # condition, which holds a method, which holds the session. The other way round it does not.
        bindings = KeyBindings()
        copies = has_selection & Condition(self._may_copy)
        bindings.add("c-t", filter=copies)(lambda event: None)
        return bindings

    def _may_copy(self) -> bool:
        return bool(self.prompt.default_buffer.text)

    async def talk(self, banner: str) -> None:
        """Serve the client until it leaves or `close` is called."""
        self._connection.send(banner)
        try:
            while True:
                await self._answer()
        except (commands.Leave, EOFError):
            self._connection.send("Goodbye.\n")
        except asyncio.CancelledError:
            self._connection.send("The console is shutting down.\n")

    def close(self) -> asyncio.Task[None] | None:
        """Have `talk` end; returns the task to wait for."""
        if self._task is not None:
            self._task.cancel()
        return self._task

    async def _answer(self) -> None:
        # prompt_toolkit puts back the SIGWINCH handler that it found. With sessions that overlap
        # this could be that of a session that has ended, and would keep it alive.
        asyncio.get_running_loop().remove_signal_handler(signal.SIGWINCH)
        try:
            line = await self.prompt.prompt_async(set_exception_handler=False, handle_sigint=False)
        except KeyboardInterrupt:  # Ctrl-C of the client drops the line
            return
        try:
            text = self._run(self, line)
        except commands.Leave:
            raise
        except commands.CommandError as error:
            text = str(error)
        except Exception:
            log.exception("session %d: %r failed", self.number, line)
            text = "the command failed; the log of the console says why"
        if text:
            self._connection.send(f"{text}\n")


class BoundedHistory(History):
    """The latest lines of one session, in memory."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._lines: deque[str] = deque(maxlen=limit)

    def clear(self) -> None:
        self._lines.clear()

    async def load(self) -> AsyncGenerator[str, None]:
        for line in self.load_history_strings():
            yield line

    def load_history_strings(self) -> Iterable[str]:
        return list(reversed(self._lines))

    def get_strings(self) -> list[str]:
        return list(self._lines)

    def append_string(self, string: str) -> None:
        self.store_string(string)

    def store_string(self, string: str) -> None:
        self._lines.append(string)


def _completer() -> NestedCompleter:
    names = dict.fromkeys(commands.COMMANDS)
    return NestedCompleter.from_nested_dict({**names, "help": names})
