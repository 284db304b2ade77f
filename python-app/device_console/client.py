"""A telnet client, as small as the self-test and the tests need it."""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import Coroutine
from types import TracebackType
from typing import Any

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
ECHO, SUPPRESS_GO_AHEAD, TTYPE, NAWS = 1, 3, 24, 31
IS, SEND = 0, 1

_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|[=>78])")


class Disconnected(Exception):
    """The server closed the connection while an answer was awaited."""


class Client:
    """A terminal of 100 columns. Used with `async with`; no wait takes longer than `timeout`."""

    def __init__(self, host: str, port: int, *, timeout: float = 30.0) -> None:
        self._address = host, port
        self._timeout = timeout
        self._text = ""
        self._pending = b""

    async def __aenter__(self) -> Client:
        opening = asyncio.open_connection(*self._address)
        self._reader, self._writer = await asyncio.wait_for(opening, self._timeout)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.close()

    def send(self, keys: str) -> None:
        """Press keys. Enter is "\\r"."""
        # RFC 854: a carriage return alone is sent as CR NUL.
        data = keys.encode().replace(b"\xff", b"\xff\xff").replace(b"\r", b"\r\0")
        self._writer.write(data)

    async def read_until(self, ending: str) -> str:
        """Return what the server shows up to and including `ending`, without escape sequences."""

        async def read() -> str:
            while ending not in self._text:
                if not await self._receive():
                    raise Disconnected(f"no {ending!r} in {self._text!r}")
            before, _, self._text = self._text.partition(ending)
            return before + ending

        return await self._bounded(read(), repr(ending))

    async def read_to_end(self) -> str:
        """Return what the server shows until it closes the connection."""

        async def read() -> str:
            while await self._receive():
                pass
            text, self._text = self._text, ""
            return text

        return await self._bounded(read(), "end")

    async def _bounded(self, reading: Coroutine[Any, Any, str], what: str) -> str:
        try:
            return await asyncio.wait_for(reading, self._timeout)
        except asyncio.TimeoutError:
            message = f"no {what} within {self._timeout:g} s in {self._text!r}"
            raise TimeoutError(message) from None

    async def _receive(self) -> bool:
        data = await self._reader.read(4096)
        self._show(data)
        return bool(data)

    def _show(self, data: bytes) -> None:
        """Add what came to the text. A character or an escape sequence that is cut off stays as it
        is, and is whole when the rest comes."""
        shown = self._text.encode(errors="surrogateescape") + self._without_commands(data)
        text = shown.decode(errors="surrogateescape").replace("\r", "")
        self._text = _ESCAPES.sub("", text)

    def _without_commands(self, data: bytes) -> bytes:
        """Answer the telnet commands in `data` and return the rest; one that is cut off waits."""
        data, self._pending = self._pending + data, b""
        text = bytearray()
        at = 0
        while at < len(data):
            if data[at] != IAC:
                text.append(data[at])
                at += 1
                continue
            end = _end_of_command(data, at)
            if end is None:
                self._pending = data[at:]
                break
            self._negotiate(data[at + 1 : end])
            at = end
        return bytes(text)

    def _negotiate(self, command: bytes) -> None:
        if command[0] == SB:
            if command[1:3] == bytes([TTYPE, SEND]):
                self._reply(SB, TTYPE, IS, *b"xterm", IAC, SE)
        elif command[0] == DO:
            known = command[1] in (NAWS, TTYPE)
            self._reply(WILL if known else WONT, command[1])
            if command[1] == NAWS:
                self._reply(SB, NAWS, *struct.pack("!HH", 100, 30), IAC, SE)
        elif command[0] == WILL:
            known = command[1] in (ECHO, SUPPRESS_GO_AHEAD)
            self._reply(DO if known else DONT, command[1])

    def _reply(self, *command: int) -> None:
        self._writer.write(bytes([IAC, *command]))


def _end_of_command(data: bytes, at: int) -> int | None:
    """Where the command that starts with the IAC at `at` ends; None if it is not complete."""
    if data[at + 1 : at + 2] == bytes([SB]):
        end = data.find(bytes([IAC, SE]), at) + 2
        return end if end >= 2 else None
    length = 3 if data[at + 1 : at + 2] and data[at + 1] in (DO, DONT, WILL, WONT) else 2
    return at + length if at + length <= len(data) else None
