"""What is counted in pieces: files, sockets, threads, tasks."""

import asyncio
import os
import socket
import threading

from .work import Session, steps, steps_of_loop

opened = []
connections = []


def open_files():
    """A file is opened for each session and never closed."""
    for _ in steps():
        opened.append(open(os.devnull, "rb"))


def open_sockets():
    """Connections whose other end has gone, and nobody reads to find out."""
    for _ in steps():
        ours, theirs = socket.socketpair()
        connections.append(ours)
        theirs.close()


def descriptors():
    """Bare numbers: no object of Python's holds them."""
    for _ in steps():
        os.dup(0)


def threads_never_joined():
    """A thread for each connection, which waits for what will not come."""
    never = threading.Event()
    for step in steps():
        if step % 5 == 0:
            threading.Thread(target=never.wait, daemon=True).start()


async def forever(session):
    await asyncio.get_running_loop().create_future()
    print(session)


async def park():
    parked = set()
    async for step in steps_of_loop():
        parked.add(asyncio.create_task(forever(Session(step))))


def parked_tasks():
    """Tasks that wait for a client that has left."""
    asyncio.run(park())


PROGRAMS = [open_files, open_sockets, descriptors, threads_never_joined, parked_tasks]
