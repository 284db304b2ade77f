"""`--selftest`: a real server, a real client, every command. One line of JSON says how it went."""

from __future__ import annotations

import asyncio
import json
import platform
import sys

from .client import Client
from .device import Device, version
from .server import Console

HOST = "127.0.0.1"
UP = "\x1b[A"

ANSWERS = {
    "status": "on Python",
    "memory": "MiB",
    "sessions": "*1",
    "uptime": "console  0",
    "help": "close this session",
}


def run() -> int:
    """Run the test, print the report, return the exit code."""
    report: dict[str, object] = {
        "app": "device-console",
        "version": version(),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    try:
        report["commands"] = asyncio.run(_talk())
    except Exception as error:
        report["error"] = f"{type(error).__name__}: {error}"
        print(f"device-console: the self-test failed: {report['error']}", file=sys.stderr)
    report["ok"] = "error" not in report
    print(json.dumps(report, sort_keys=True))
    return 0 if report["ok"] else 1


async def _talk() -> list[str]:
    """Talk to a console of our own; returns the commands that it answered."""
    device = Device.load()
    prompt = device.prompt.rstrip()  # over a blank at the end the cursor is only moved
    async with Console(HOST, 0) as console, Client(HOST, console.port) as client:

        async def ask(keys: str, answer: str) -> None:
            client.send(keys)
            await client.read_until(answer)
            await client.read_until(prompt)

        await client.read_until(device.name)
        await client.read_until(prompt)
        for name, answer in ANSWERS.items():
            await ask(f"{name}\r", answer)
        await ask("help exit\r", "usage: exit\n")
        await ask("nonsense\r", "unknown command 'nonsense'")
        await ask("upt\t\r", ANSWERS["uptime"])  # completion
        await ask(f"{UP}{UP}\r", "unknown command 'nonsense'")  # history

        client.send("exit\r")
        await client.read_until("Goodbye.\n")
        await client.read_to_end()
        if console.sessions:
            raise AssertionError(f"sessions left after exit: {sorted(console.sessions)}")
    return sorted({*ANSWERS, "exit"})
