"""The commands. Each takes the context and its arguments, and returns the text to show.

A command is short and awaits nothing: the console serves every client in one thread.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from .device import Device, version

if TYPE_CHECKING:
    from .session import Session


Run = Callable[..., str]


class CommandError(Exception):
    """The line cannot be run; the message says why, and the session goes on."""


class Leave(Exception):
    """The client asked to leave."""


@dataclass(frozen=True)
class Context:
    """What a command can see: the device, every session, and the one that asks."""

    device: Device
    started: float  # time.monotonic()
    sessions: Collection[Session]
    session: Session


@dataclass(frozen=True)
class Command:
    run: Run
    summary: str
    usage: str


COMMANDS: dict[str, Command] = {}


def command(summary: str, arguments: str = "") -> Callable[[Run], Run]:
    """Register a function under its own name."""

    def register(run: Run) -> Run:
        name = run.__name__.rstrip("_")
        COMMANDS[name] = Command(run, summary, f"{name} {arguments}".rstrip())
        return run

    return register


def run(line: str, context: Context) -> str:
    """Run one line that a client typed. Raises CommandError or Leave."""
    name, *arguments = line.split() or [""]
    if not name:
        return ""
    if name not in COMMANDS:
        raise CommandError(f"unknown command {name!r}; 'help' lists the commands")
    found = COMMANDS[name]
    if len(arguments) > found.usage.count("["):
        raise CommandError(f"usage: {found.usage}")
    return found.run(context, *arguments)


@command("what this device is and how it is doing")
def status(context: Context) -> str:
    device = context.device
    load = " ".join(f"{average:.2f}" for average in psutil.getloadavg())
    return _table(
        ("device", f"{device.name} ({device.model}, {device.hardware})"),
        ("console", f"{version()} on Python {platform.python_version()}"),
        ("system", f"{platform.system()} {platform.release()} {platform.machine()}"),
        ("load", f"{load} on {os.cpu_count()} CPUs"),
    )


@command("the memory of the device and of this console")
def memory(context: Context) -> str:
    system = psutil.virtual_memory()
    own = psutil.Process().memory_info()
    return _table(
        ("total", _mebibytes(system.total)),
        ("available", _mebibytes(system.available)),
        ("console", _mebibytes(own.rss)),
    )


@command("who is connected; * is you")
def sessions(context: Context) -> str:
    return _table(
        *(
            (
                f"{'*' if session is context.session else ' '}{session.number}",
                f"{session.peer}  for {_duration(time.monotonic() - session.started)}",
            )
            for session in context.sessions
        )
    )


@command("how long the device and this console are up")
def uptime(context: Context) -> str:
    return _table(
        ("device", _duration(time.time() - psutil.boot_time())),
        ("console", _duration(time.monotonic() - context.started)),
    )


@command("the commands, or how to use one", "[COMMAND]")
def help_(context: Context, name: str | None = None) -> str:
    if name is None:
        return _table(*((name, found.summary) for name, found in COMMANDS.items()))
    if name not in COMMANDS:
        raise CommandError(f"unknown command {name!r}; 'help' lists the commands")
    return f"usage: {COMMANDS[name].usage}\n{COMMANDS[name].summary}"


@command("close this session (so does Ctrl-D)")
def exit_(context: Context) -> str:
    raise Leave


def _table(*rows: tuple[str, str]) -> str:
    width = max(len(key) for key, _ in rows)
    return "\n".join(f"  {key:<{width}}  {value}" for key, value in rows)


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return (f"{days} d " if days else "") + f"{hours:02}:{minutes:02}:{seconds:02}"
