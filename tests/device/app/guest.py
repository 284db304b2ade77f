"""What the device runs. It does what its argument says, and tells of it in lines of JSON."""

import json
import os
import signal
import socket
import sys
import time

import pyrmware

REPORTS = "/data/reports"
SOCKET = "/run/guest.sock"


def tell(event: str, **facts: object) -> None:
    # One write: the console is the kernel's and the launcher's, too.
    os.write(1, (json.dumps({"event": event, **facts}) + "\n").encode())


def read(path: str) -> "str | None":
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return None


# Of version 2: "0::/guest".
GROUP = "/sys/fs/cgroup" + (read("/proc/self/cgroup") or "").rpartition("0::")[2]


def grow() -> None:
    """Gives back what it has when first asked to, grows to the hard limit and stays there."""
    if pyrmware.last_exit() == "memory":
        return
    hoard = []
    asked = []

    @pyrmware.on_pressure
    def give_back(level: int) -> None:
        if not asked:
            hoard.clear()
        asked.append(level)
        tell("asked", level=level, times=len(asked))

    while True:
        pyrmware.heartbeat()
        # It would be at the end of its control group before the launcher has looked who holds it.
        if asked.count(pyrmware.HARD) < 2:
            hoard.append(b"x" * 1_000_000)
        time.sleep(0.1)


def squeeze() -> None:
    """Leaves no room for what it reads again and again, until tasks have to wait for it."""
    hoard = [b"x" * 1_000_000 for _ in range(8)]
    asked = []

    @pyrmware.on_pressure
    def give_back(level: int) -> None:
        hoard.clear()
        asked.append(level)
        tell("asked", level=level)

    while not asked:
        with open("/proc/self/exe", "rb", buffering=0) as file:
            while file.read(1 << 16):
                pass
    # The launcher tells of it at its next look.
    time.sleep(1)


def overrun() -> None:
    """Takes more than there is, faster than anybody looks."""
    if oom_kills() == 0:
        tell("overrun", bytes=len(b"x" * 40_000_000))


def names(kind: str) -> "set[str]":
    return {name for name in os.listdir(REPORTS) if name.startswith(kind)}


def reports() -> None:
    """Has a few reports written, as if those before were years old, and tells while they are."""
    for name in names("memory-"):
        os.utime(f"{REPORTS}/{name}", (0, 0))
    for _ in range(4):
        before = names("memory-")
        # What a power cut has left is not being written.
        left = names(".memory-")
        tell("asks")
        os.kill(os.getpid(), signal.SIGUSR1)
        told = False
        while names("memory-") <= before:
            if not told and names(".memory-") - left:
                told = True
                tell("writes")
    # The last one is taken away after a new one is there.
    while len(names("memory-")) > 10:
        pass


def full() -> None:
    """Has no room for reports, time and again."""
    for _ in range(4):
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(1)


def nothing() -> None:
    """Ends."""


def serve() -> None:
    """Is killed while a client waits, who is served by what comes after it."""
    with socket.socket(fileno=3) as listener:
        is_first = pyrmware.last_exit() != "signal 9"
        if is_first and os.fork() == 0:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(SOCKET)
                os.kill(os.getppid(), signal.SIGKILL)
                tell("served", by=int(client.recv(100)))
            os._exit(0)
        if is_first:
            signal.pause()
        connection, _ = listener.accept()
        with connection:
            connection.sendall(str(os.getpid()).encode())


def hang() -> None:
    """Makes progress for a while, and then none, unless the one before has hung."""
    for _ in range(20):
        pyrmware.heartbeat()
        time.sleep(0.1)
    if pyrmware.last_exit() == "hang":
        return
    tell("hangs")
    while True:
        time.sleep(1)


def oom_kills() -> int:
    events = dict(line.split() for line in (read(f"{GROUP}/memory.events") or "").splitlines())
    return int(events.get("oom_kill", 0))


tell(
    "start",
    act=sys.argv[1],
    process=os.getpid(),
    last_exit=pyrmware.last_exit(),
    limit=read(f"{GROUP}/memory.max"),
    available=(read("/proc/meminfo") or "").partition("MemAvailable:")[2].split()[:1],
    oom_kills=oom_kills(),
    pressure=read(f"{GROUP}/memory.pressure"),
)
pyrmware.ready("ready for " + sys.argv[1])
ACTS = {
    "full": full,
    "grow": grow,
    "hang": hang,
    "overrun": overrun,
    "pass": nothing,
    "reports": reports,
    "serve": serve,
    "squeeze": squeeze,
}
ACTS[sys.argv[1]]()
tell("end", act=sys.argv[1])
