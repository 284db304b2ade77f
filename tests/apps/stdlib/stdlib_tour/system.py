"""The operating system: C library, processes, threads, logging, terminals."""

import cProfile
import ctypes
import ctypes.util
import errno
import fcntl
import getpass
import glob
import grp
import io
import itertools
import linecache
import logging
import logging.config
import logging.handlers
import mmap
import os
import pathlib
import platform
import pstats
import pty
import pwd
import queue
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import sysconfig
import termios
import threading
import time
import tracemalloc
from concurrent import futures

from stdlib_tour.checks import check


class Pair(ctypes.Structure):
    _fields_ = [("left", ctypes.c_int16), ("right", ctypes.c_double)]


@check
def c_library():
    libc = ctypes.CDLL(None, use_errno=True)
    yield libc.abs(-5), libc.getpid() == os.getpid()
    libc.strlen.restype = ctypes.c_size_t
    yield libc.strlen(b"four"), ctypes.sizeof(Pair), Pair(1, 2.5).right
    yield libc.close(-1), errno.errorcode[ctypes.get_errno()]
    kind = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.POINTER(ctypes.c_int)] * 2)
    values = (ctypes.c_int * 4)(3, 1, 4, 2)
    libc.qsort(values, 4, ctypes.sizeof(ctypes.c_int), kind(lambda a, b: a[0] - b[0]))
    yield list(values)
    yield ctypes.pythonapi.Py_IsInitialized(), ctypes.py_object is not None
    # The environment of C and that of os.environ are one.
    os.environ["DEMO_FROM_PYTHON"] = "yes"
    libc.getenv.restype = ctypes.c_char_p
    yield libc.getenv(b"DEMO_FROM_PYTHON")


@check
def memory():
    with mmap.mmap(-1, 4096) as area:
        area.write(b"mapped")
        yield area[:6], len(area)
    tracemalloc.start()
    block = bytearray(100_000)
    yield tracemalloc.get_traced_memory()[0] > 90_000, len(block)
    trace = tracemalloc.get_object_traceback(block)
    yield len(trace), os.path.basename(trace[0].filename)
    tracemalloc.stop()
    yield resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0


@check
def processes():
    done = subprocess.run(
        ["/bin/sh", "-c", "cat; echo error >&2; exit 4"], input=b"in", capture_output=True
    )
    yield done.returncode, done.stdout, done.stderr
    yield subprocess.run("kill -9 $$", shell=True).returncode
    try:
        subprocess.run(["/no/such/program"])
    except FileNotFoundError as error:
        yield error.errno, error.filename
    try:
        subprocess.check_output(["/bin/sh", "-c", "exit 2"])
    except subprocess.CalledProcessError as error:
        yield str(error)
    try:
        subprocess.run(["/bin/sleep", "10"], timeout=0.05)
    except subprocess.TimeoutExpired as error:
        yield type(error).__name__
    with subprocess.Popen(["/bin/cat"], stdin=-1, stdout=-1, text=True) as process:
        yield process.communicate("text ü")[0]
    yield os.waitstatus_to_exitcode(os.system("exit 6")), os.popen("echo popen").read()
    yield os.path.basename(shutil.which("sh")), shutil.which("no-such-program")


def square(number):
    return number * number


@check
def pools():
    with futures.ThreadPoolExecutor(3) as pool:
        yield list(pool.map(square, range(5)))
        failed = pool.submit(operator_error)
        yield type(failed.exception()).__name__
    with futures.ProcessPoolExecutor(2) as pool:
        yield list(pool.map(square, range(5), chunksize=2))
        error = pool.submit(operator_error).exception()
        yield str(error), type(error.__cause__).__name__


def operator_error():
    return 1 / 0


@check
def threads():
    items = queue.Queue()
    barrier = threading.Barrier(3)
    local = threading.local()

    def worker(number):
        local.number = number
        barrier.wait(10)
        items.put(local.number)

    group = [threading.Thread(target=worker, args=(number,)) for number in range(2)]
    for thread in group:
        thread.start()
    barrier.wait(10)
    for thread in group:
        thread.join()
    yield sorted([items.get(), items.get()]), threading.active_count(), hasattr(local, "number")
    timer = threading.Timer(0.01, items.put, ("timer",))
    timer.start()
    yield items.get(timeout=10)
    timer.join()


@check
def signals():
    seen = []
    previous = signal.signal(signal.SIGALRM, lambda number, frame: seen.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(0.2)
    signal.signal(signal.SIGALRM, previous)
    yield seen == [signal.SIGALRM], signal.strsignal(signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    os.kill(os.getpid(), signal.SIGUSR1)
    yield signal.sigwait({signal.SIGUSR1})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})


@check
def files():
    yield stat.filemode(os.stat("/dev/null").st_mode), os.path.ismount("/proc")
    yield pathlib.PurePosixPath("/a/b/../c.txt").suffix, pathlib.Path("/proc/self").is_symlink()
    yield (
        glob.glob("/proc/self/stat[um]s"),
        sorted(p.name for p in pathlib.Path("/proc/self").glob("com*")),
    )
    yield [entry.name for entry in os.scandir("/proc/self/net/..") if entry.name == "comm"]
    read_end, write_end = os.pipe()
    flags = fcntl.fcntl(read_end, fcntl.F_GETFL)
    fcntl.fcntl(read_end, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    try:
        os.read(read_end, 1)
    except BlockingIOError as error:
        yield errno.errorcode[error.errno], os.strerror(error.errno)
    os.close(read_end)
    os.close(write_end)
    with open(os.memfd_create("x"), "w+b") as file:
        file.write(b"in memory")
        file.seek(0)
        yield file.read(), shutil.copyfileobj(io.BytesIO(b"x"), io.BytesIO())
    yield os.fsencode("ü\udcff"), os.path.expandvars("$DEMO_NOT_SET/x"), os.cpu_count() > 0
    yield linecache.getline("/no/such/file", 1)


@check
def users():
    yield pwd.getpwuid(0).pw_name, grp.getgrgid(0).gr_name, getpass.getuser() != ""


@check
def terminals():
    leader, follower = pty.openpty()
    yield os.isatty(follower), termios.tcgetattr(follower)[6][termios.VEOF]
    os.write(follower, b"x\n")
    yield os.read(leader, 10)
    os.close(leader)
    os.close(follower)
    yield shutil.get_terminal_size((77, 11))


@check
def logs():
    stream = io.StringIO()
    logging.config.dictConfig(
        {
            "version": 1,
            "formatters": {
                "brief": {"format": "%(levelname)s %(name)s %(module)s:%(funcName)s %(message)s"}
            },
            "handlers": {
                "out": {"class": "logging.StreamHandler", "stream": stream, "formatter": "brief"},
                "memory": {
                    "class": "logging.handlers.MemoryHandler",
                    "capacity": 10,
                    "target": "out",
                },
            },
            "loggers": {"demo": {"level": "DEBUG", "handlers": ["memory"]}},
            "disable_existing_loggers": False,
        }
    )
    logger = logging.getLogger("demo.part")
    logger.debug("value %s", 1)
    try:
        operator_error()
    except ZeroDivisionError:
        logger.exception("failed")
    logging.getLogger("demo").handlers[0].flush()
    lines = stream.getvalue().splitlines()
    yield lines[:2], lines[-1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        handler = logging.handlers.SysLogHandler(server.getsockname())
        handler.emit(
            logging.makeLogRecord({"msg": "to syslog", "levelno": 30, "levelname": "WARNING"})
        )
        yield server.recv(100)
        handler.close()


@check
def host():
    yield (
        platform.python_implementation(),
        platform.system(),
        os.uname().machine == platform.machine(),
    )
    yield platform.python_version() == ".".join(map(str, sys.version_info[:3]))
    yield sysconfig.get_python_version(), sysconfig.get_platform().startswith("linux")
    yield sorted(sysconfig.get_paths()), sysconfig.get_config_var("EXT_SUFFIX")
    yield platform.libc_ver()[0], sys.byteorder, os.confstr("CS_PATH") is not None
    profile = cProfile.Profile()
    profile.runcall(sorted, itertools.repeat(1, 10))
    yield pstats.Stats(profile, stream=io.StringIO()).total_calls > 0
