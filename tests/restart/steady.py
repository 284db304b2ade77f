"""Says who it is, then does what its first argument says."""

import atexit
import gzip
import os
import signal
import socket
import sys
import threading
import time

import pyrmware


def private():
    with open("/proc/self/smaps_rollup") as rollup:
        return sum(int(line.split()[1]) for line in rollup if line.startswith("Private_"))


def serve():
    listener = socket.socket(fileno=3)
    while True:
        client, _ = listener.accept()
        client.sendall(b"served by %d" % os.getpid())
        client.close()


HELD = []


def hold(path):
    """Has files open that nobody closes, and work for the end."""

    def wait():
        threading.main_thread().join()
        with open(path("thread"), "w") as file:
            file.write("was waited for")

    def at_exit():
        with open(path("atexit"), "w") as file:
            file.write("was called")

    threading.Thread(target=wait).start()
    atexit.register(at_exit)
    for name, opened, what in (
        ("text", open, "was written"),
        ("packed", gzip.open, "was written"),
        ("bytes", open, b"were written"),
    ):
        HELD.append(opened(path(name), "wt" if isinstance(what, str) else "wb"))
        HELD[-1].write(what)


def main():
    at = time.monotonic_ns()
    mode = sys.argv[1] if len(sys.argv) > 1 else "wait"
    last = pyrmware.last_exit()
    signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b"still %d\n" % os.getpid()))
    if mode == "handle":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
    print("main", os.getpid(), os.getppid(), at, private(), repr(last), flush=True)
    if mode == "exit":
        return int(sys.argv[2])
    if mode == "raise":
        raise ValueError("a fault")
    if mode == "listen":
        env = os.environ
        print(
            env["LISTEN_FDS"],
            env["LISTEN_FDNAMES"],
            env["LISTEN_PID"] == str(os.getpid()),
            flush=True,
        )
        serve()
    if mode == "hold":
        if last:
            for name in sorted(os.listdir(sys.argv[2])):
                with (gzip.open if name == "packed" else open)(
                    os.path.join(sys.argv[2], name), "rt"
                ) as file:
                    print(name, file.read(), flush=True)
            return 0
        hold(lambda name: os.path.join(sys.argv[2], name))
        # What it has after five looks counts as what it starts with.
        until = time.monotonic() + 3
        while time.monotonic() < until:
            pyrmware.heartbeat()
            time.sleep(0.1)
    if mode in ("hoard", "oom", "hold"):
        if last:
            return 0
        hoard = []
        while True:
            hoard.append(b"x" * 1_000_000)
            time.sleep(0 if mode == "oom" else 0.01)
    if mode == "beat":
        while last is None or len(sys.argv) > 2:
            pyrmware.heartbeat()
            time.sleep(0.05)
        return 0
    if mode == "random":
        import random

        print("random", random.random(), flush=True)
    while True:
        pyrmware.heartbeat()
        time.sleep(0.2)
