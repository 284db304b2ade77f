"""fork, exec, spawn and signals, by hand."""

import os
import signal
import subprocess
import sys
import threading

from procs.checks import check


def child_says(action):
    """Fork; what the child wrote to its stdout, and how it ended."""
    sys.stdout.flush()
    read_end, write_end = os.pipe()
    pid = os.fork()
    if not pid:
        code = 99
        try:
            os.close(read_end)
            os.dup2(write_end, 1)
            os.close(write_end)
            code = action() or 0
        finally:
            os._exit(code)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as file:
        said = file.read()
    return said, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def write():
    import colorsys  # first imported in the child, whose importer is a copy

    os.write(1, b"child " + colorsys.__name__.encode())
    return 4


def execute():
    os.execv(sys.executable, [sys.executable, "-m", "procs.child", "facts", "by exec"])


def execute_other():
    os.execvp("sh", ["sh", "-c", "echo shell; exit 6"])


def be_killed():
    os.kill(os.getpid(), signal.SIGKILL)


def in_thread():
    seen = []
    thread = threading.Thread(target=seen.append, args=("thread",))
    thread.start()
    thread.join()
    os.write(1, repr((seen, threading.active_count())).encode())


@check
def forked():
    for action in (write, execute, execute_other, be_killed, in_thread):
        yield action.__name__, child_says(action)


@check
def hooks():
    seen = []
    os.register_at_fork(
        before=lambda: seen.append("before"), after_in_parent=lambda: seen.append("parent")
    )
    yield child_says(lambda: 0), seen


@check
def spawned():
    read_end, write_end = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, write_end, 1), (os.POSIX_SPAWN_CLOSE, read_end)]
    args = [sys.executable, "-m", "procs.child", "facts", "by spawn"]
    pid = os.posix_spawn(sys.executable, args, os.environ, file_actions=actions)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as file:
        yield file.read(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@check
def signalled():
    for command, number in (
        ("wait", signal.SIGTERM),
        ("wait", signal.SIGKILL),
        ("handle", signal.SIGTERM),
        ("wait", signal.SIGHUP),
    ):
        args = [sys.executable, "-m", "procs.child", command]
        with subprocess.Popen(args, stdout=subprocess.PIPE) as process:
            ready = process.stdout.readline()
            process.send_signal(number)
            yield command, number.name, ready, process.wait(60)


@check
def children_gone():
    """Nothing is left of a launcher's own: no child that the application did not start."""
    try:
        yield os.waitpid(-1, os.WNOHANG)
    except ChildProcessError as error:
        yield type(error).__name__


@check
def daemonized():
    """A daemon, forked twice, that outlives its parent and has no terminal."""

    def daemonize():
        os.setsid()
        if os.fork():
            return 0
        os.write(1, repr((os.getppid() > 0, os.getsid(0) != os.getpid())).encode())
        os._exit(0)

    yield child_says(daemonize)
