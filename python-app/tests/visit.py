"""What `cargo xtask leakcheck` repeats: a client connects, asks for something, and leaves.

Run in `python-app`: PYRMWARE_STATUS="… port 2323" python3 -m tests.visit
"""

from __future__ import annotations

import asyncio
import os

from device_console.client import Client


async def visit(port: int) -> None:
    async with Client("127.0.0.1", port) as client:
        client.send("status\r")
        await client.read_until("on Python")
        client.send("exit\r")
        await client.read_until("Goodbye.\n")
        await client.read_to_end()


asyncio.run(visit(int(os.environ["PYRMWARE_STATUS"].split()[-1])))
