"""One function for each mode; the first argument of the command line chooses."""

import atexit
import builtins
import faulthandler
import gc
import locale
import os
import resource
import signal
import sys
import threading
import time
import warnings

from hello import chain


def echo(*args):
    print("hello")
    for number, arg in enumerate(args, 1):
        print(number, ascii(arg))
    print("to stderr", file=sys.stderr)


def leave(kind):
    print("before exit", flush=True)
    values = {"none": None, "text": "left with a text", "true": True, "tuple": (1, 2), "float": 2.5}
    try:
        sys.exit(values[kind] if kind in values else int(kind))
    finally:
        print("finally ran")


def leave_builtin(code):
    exit(int(code))


def leave_at_once(code):
    sys.stdout.write("never flushed")
    os._exit(int(code))


def crash(name):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print("before the crash", flush=True)
    if name == "abort":
        os.abort()
    faulthandler.enable()
    os.kill(os.getpid(), signal.Signals[name])


def raise_error(kind="chain"):
    print("before raising")
    {"chain": chain.poll, "suppressed": chain.suppressed, "group": chain.group}[kind]()


def raise_import(kind="broken"):
    if kind == "broken":
        import hello.broken  # noqa: F401 (imported to fail)
    elif kind == "name":
        from hello.chain import no_such_name  # noqa: F401 (imported to fail)
    elif kind == "module":
        import hello.no_such_module  # noqa: F401 (imported to fail)
    else:
        import no_such_distribution  # noqa: F401 (imported to fail)


def raise_syntax():
    compile("x = 1\ny = = 2\n", "<settings>", "exec")


def copy_stdin():
    while block := sys.stdin.buffer.read(1 << 16):
        sys.stdout.buffer.write(block)


def copy_lines():
    for line in sys.stdin:
        print(ascii(line))


def prompt():
    answer = input("name? ")
    print("hello", answer)
    input("more? ")


def wait_for_signal():
    """Install nothing: what the signal does is what the platform does by default."""
    print("ready", flush=True)
    while True:
        time.sleep(60)


def handle_term():
    stop = threading.Event()

    def on_term(number, frame):
        print("got", signal.Signals(number).name, "in", frame.f_code.co_name)
        stop.set()

    signal.signal(signal.SIGTERM, on_term)
    print("ready", flush=True)
    while not stop.is_set():
        time.sleep(0.05)
    print("stopped in order")
    sys.exit(7)


def handle_interrupt():
    try:
        wait_for_signal()
    except KeyboardInterrupt:
        print("interrupted")


def reload_on_hup():
    seen = []
    signal.signal(signal.SIGHUP, lambda number, frame: seen.append(number))
    print("ready", flush=True)
    while not seen:
        signal.pause()
    print("reloaded", signal.Signals(seen[0]).name)


def dispositions():
    for number in sorted(signal.valid_signals()):
        handler = signal.getsignal(number)
        if handler is signal.default_int_handler:
            handler = "default_int_handler"
        if handler is not signal.SIG_DFL:
            print(signal.Signals(number).name, handler)
    print("blocked", sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())))


def sigpipe():
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        os.write(write_end, b"x")
    except BrokenPipeError as error:
        print("BrokenPipeError", error.errno)


def broken_stdout():
    """Leave with output that nobody reads: the flush at exit fails, and the code is 120."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    os.dup2(write_end, 1)
    print("nobody reads this")


def at_exit():
    atexit.register(print, "first registered, last called")
    atexit.register(lambda: 1 / 0)
    atexit.register(print, "last registered, first called")

    class Late:
        def __del__(self):
            print("__del__ at exit, modules there:", sys is not None and os.sep)
            print("first asked for there:", chain.Registers().read(1), locale.atoi("7"))

    global late
    late = Late()
    print("main is done")


def threads():
    def fail():
        raise chain.SensorError("in a thread")

    def late():
        threading.main_thread().join()
        print("late thread:", threading.main_thread().is_alive())

    results = []
    workers = [threading.Thread(target=results.append, args=(n * n,)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(sorted(results))
    failing = threading.Thread(target=fail, name="failing")
    failing.start()
    failing.join()
    threading.Thread(target=late, name="late").start()
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    print(threading.current_thread().name, threading.get_native_id() == os.getpid())


def recursion():
    def down(depth):
        return down(depth + 1)

    try:
        down(0)
    except RecursionError as error:
        print("RecursionError", error)
    nested = "[" * 90_000
    try:
        eval(nested)
    except (SyntaxError, MemoryError, RecursionError) as error:
        print("eval", type(error).__name__)


def warn():
    def old_api():
        warnings.warn("old_api is old", DeprecationWarning, stacklevel=2)
        warnings.warn("take care", UserWarning, stacklevel=1)

    old_api()
    warnings.simplefilter("error")
    old_api()


def unraisable():
    class Fragile:
        def __del__(self):
            raise chain.SensorError("in __del__")

    fragile = Fragile()
    del fragile
    gc.collect()
    print("still here")


def flags():
    names = ("debug", "inspect", "interactive", "optimize", "verbose", "bytes_warning", "quiet")
    # Not utf8_mode: the launcher is in it whatever the locale says.
    for name in (*names, "hash_randomization", "dev_mode"):
        print("flag", name, getattr(sys.flags, name))
    print("encodings", sys.getdefaultencoding(), sys.getfilesystemencoding())
    print("filesystem errors", sys.getfilesystemencodeerrors())
    print("preferred", locale.getpreferredencoding(False).lower())
    print("locale", locale.getlocale(locale.LC_CTYPE))
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        print(stream.name, stream.mode, stream.encoding, stream.errors, stream.newlines)
        print(stream.name, stream.line_buffering, stream.write_through, stream.fileno())
    print("original streams", sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__)
    print("warnings", sys.warnoptions, [entry[0] for entry in warnings.filters])
    print("x options", sorted(sys._xoptions))
    print("implementation", sys.implementation.name, sys.implementation.cache_tag)
    print("version", ".".join(map(str, sys.version_info[:3])))
    print("limits", sys.getrecursionlimit(), sys.getswitchinterval(), gc.get_threshold())
    print("gc", gc.isenabled(), "faulthandler", faulthandler.is_enabled())
    print("executable", os.path.isabs(sys.executable), os.access(sys.executable, os.X_OK))
    print("argv", isinstance(sys.argv[0], str), len(sys.argv))
    print("main", sys.modules["__main__"].__name__, sys.modules["__main__"].__spec__.name)
    # Not help and copyright: `site` puts them there for those who type.
    print("builtins", [hasattr(builtins, name) for name in ("exit", "quit")])
    print("traced", sys.gettrace(), sys.getprofile(), threading.active_count())
    print("debug", __debug__)


def environ(prefix="DEMO_"):
    for name in sorted(os.environ):
        if name.startswith(prefix):
            print(name, ascii(os.environ[name]))
    print("LC_CTYPE", os.environ.get("LC_CTYPE"))
    print("loader", sorted(name for name in os.environ if name.startswith("LD_")))


def inherited():
    """Descriptors and limits that a service manager may have set up."""
    descriptors = sorted(int(name) for name in os.listdir("/proc/self/fd"))
    print("standard streams", descriptors[:3])
    mask = os.umask(0o22)
    os.umask(mask)
    print("umask", oct(mask))
    print("cwd kept", os.path.samefile(os.getcwd(), os.environ.get("DEMO_CWD", os.getcwd())))


MODES = {
    "--exit": leave,
    "--exit-builtin": leave_builtin,
    "--os-exit": leave_at_once,
    "--crash": crash,
    "--raise": raise_error,
    "--raise-import": raise_import,
    "--raise-syntax": raise_syntax,
    "--stdin": copy_stdin,
    "--lines": copy_lines,
    "--prompt": prompt,
    "--wait": wait_for_signal,
    "--kbd": wait_for_signal,
    "--sigterm": handle_term,
    "--sigint": handle_interrupt,
    "--sighup": reload_on_hup,
    "--signals": dispositions,
    "--sigpipe": sigpipe,
    "--broken-stdout": broken_stdout,
    "--atexit": at_exit,
    "--threads": threads,
    "--recursion": recursion,
    "--warn": warn,
    "--unraisable": unraisable,
    "--flags": flags,
    "--environ": environ,
    "--inherited": inherited,
}
