"""Does what its first argument says: holds processes, attacks those of another launcher, works."""

import ctypes
import faulthandler
import json
import multiprocessing
import os
import re
import resource
import signal
import subprocess
import sys
import time

PTRACE_ATTACH, PTRACE_DETACH = 16, 17


def square(number):
    return number * number


def pools():
    for method in ("spawn", "forkserver", "fork"):
        yield method, multiprocessing.get_context(method).Pool(1)


def wait():
    """Has helpers of every kind, until its input ends."""
    held = [(pool, pool.apply(square, (3,))) for _, pool in pools()]
    print("ready", flush=True)
    sys.stdin.read()
    for pool, _ in held:
        pool.terminate()


def attack(launcher):
    victim = subprocess.Popen(
        [launcher, "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    if victim.stdout.readline() != "ready\n":
        sys.exit("the victim does not run")
    found = [{"comm": comm(pid), "ways": dict(ways(pid))} for pid in family(victim.pid)]
    victim.stdin.close()
    victim.wait()
    print(json.dumps(found))


def family(first):
    """A process and those below it."""
    parents = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as stat:
                parents[int(entry)] = int(stat.read().rpartition(")")[2].split()[1])
        except OSError:
            pass
    found = [first]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def comm(pid):
    with open(f"/proc/{pid}/comm") as file:
        return file.read().strip()


def ways(pid):
    """Each way into a process, and whether it is open."""
    for name, size in (("mem", 0), ("environ", 1), ("maps", 1)):
        yield name, can_read(f"/proc/{pid}/{name}", size)
    try:
        yield "exe", bool(os.readlink(f"/proc/{pid}/exe"))
    except PermissionError:
        yield "exe", False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    attached = libc.ptrace(PTRACE_ATTACH, pid, None, None) == 0
    if attached:
        os.waitpid(pid, 0x40000000)  # __WALL: it is no child
        libc.ptrace(PTRACE_DETACH, pid, None, None)
    yield "attach", attached


def can_read(path, size):
    try:
        with open(path, "rb", buffering=0) as file:
            file.read(size)
    except PermissionError:
        return False
    return True


def abort(launcher):
    """The signal that ends another launcher, and whether there is a dump."""
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))
    pid = os.spawnv(os.P_NOWAIT, launcher, [launcher, "die"])
    status = os.waitpid(pid, 0)[1]
    print(os.WTERMSIG(status), "forbidden" if most == 0 else os.WCOREDUMP(status))


def work():
    for method, pool in pools():
        with pool:
            print(method, pool.apply(square, (3,)), flush=True)
    done = subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, check=False)
    print("refused", done.returncode != 0 and not done.stdout, flush=True)


def hoard():
    """Takes more than it may; the next one looks what was written of it."""
    import pyrmware

    if not pyrmware.last_exit():
        os.makedirs("reports", exist_ok=True)
        kept = []
        while True:
            kept.append(b"x" * 1_000_000)
            time.sleep(0.005)
    reports = []
    for name in os.listdir("reports"):
        with open(os.path.join("reports", name)) as file:
            reports.append(file.read())
    text = "".join(reports)
    told = [re.search(rf'"{name}": ?[1-9]', text) is not None for name in ("fds", "rss")]
    print("reports {}, open files {}, resident {}".format(bool(reports), *told))


def echo():
    flags = sys.flags
    print(sys.argv[1:], flags.inspect, flags.optimize, faulthandler.is_enabled())


def die():
    signal.signal(signal.SIGABRT, signal.SIG_DFL)
    os.abort()


if __name__ == "__main__":
    name, *words = sys.argv[1:]
    acts = {"wait": wait, "attack": attack, "abort": abort, "family": work, "hoard": hoard}
    acts |= {"echo": lambda *_: echo(), "die": die}
    acts[name](*words)
