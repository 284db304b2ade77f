"""What `cargo xtask leakcheck` has a launcher run with `PYRMWARE_PYTHON=1` and `-c`: nothing of it
is in the launcher. It imports only what every launcher has.

    REQUESTS ANSWERS MODE TARGET ARGS…

REQUESTS and ANSWERS are paths of pipes; a request and its answer are one line each. With MODE
`function`, TARGET is called once for each request `run`. With `application`, TARGET is the
application's entry and runs as ever; a signal says that there is a request.

    count               objects by type, blocks, memory, files, threads, after a full collection
    snapshot [TYPE…]    what `pyrmware.snapshot()` says of these types
"""


def main():
    import gc
    import posix
    import sys

    import _pyrmware

    requests, answers, mode, target, *args = sys.argv[1:]
    requests = posix.open(requests, posix.O_RDONLY | posix.O_CLOEXEC)
    answers = posix.open(answers, posix.O_WRONLY | posix.O_CLOEXEC)
    # What the application starts is no interpreter.
    posix.environ.pop(b"PYRMWARE_PYTHON", None)
    posix.unsetenv("PYRMWARE_PYTHON")
    if "os" in sys.modules:
        sys.modules["os"].environ.pop("PYRMWARE_PYTHON", None)
    sys.argv[:] = [sys.executable, *args]

    def answer(kind, text=""):
        data = f"{kind}\t{text}\n".encode(errors="backslashreplace")
        while data:
            data = data[posix.write(answers, data) :]

    def request():
        line = b""
        while not line.endswith(b"\n"):
            byte = posix.read(requests, 1)
            if not byte:
                posix._exit(1)  # nobody asks any more
            line += byte
        return line.decode().rstrip("\n").split("\t")

    def read(path):
        try:
            file = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        except OSError:
            return b""
        try:
            return posix.read(file, 1 << 16)
        finally:
            posix.close(file)

    def private():
        """Bytes that only this process has, and has written to."""
        lines = [line.split() for line in read("/proc/self/smaps_rollup").splitlines()]
        return sum(int(line[1]) << 10 for line in lines if line[0] in (b"Private_Dirty:", b"Swap:"))

    def files():
        """Open files by what they are."""
        found = {}
        for number in posix.listdir("/proc/self/fd"):
            try:
                name = posix.readlink(f"/proc/self/fd/{number}")
            except OSError:
                continue  # the listing's own
            kind = name if name.startswith("/") else name.split("[")[0].split("(")[0].rstrip(":")
            found[kind] = found.get(kind, 0) + 1
        return found

    def name(kind):
        module, name = type.__dict__["__module__"].__get__(kind), kind.__qualname__
        if not isinstance(module, str) or module == "builtins":
            return name
        return f"{module}.{name}"

    asked = 50  # objects of a type whose size is asked for; the others are taken to be alike

    def collect():
        for _ in range(5):  # what a finalizer leaves is for the next one
            if not gc.collect():
                break

    def size(item):
        try:
            return sys.getsizeof(item, 0)
        except Exception:  # a `__sizeof__` of the application's own
            return 0

    def count():
        collect()
        blocks = sys.getallocatedblocks()
        types, sizes, tasks = {}, {}, 0
        for item in gc.get_objects():
            kind = type(item)
            number = types.get(kind, 0) + 1
            types[kind] = number
            if number <= asked:
                sizes[kind] = sizes.get(kind, 0) + size(item)
            if kind.__name__ == "Task" and kind.__module__ in ("_asyncio", "asyncio.tasks"):
                tasks += not item.done()
        item = None
        totals = {
            "blocks": blocks,
            "private": private(),
            "threads": len(posix.listdir("/proc/self/task")),
            "tasks": tasks,
        }
        fields = [f"total\t{key}\t{value}\t0" for key, value in totals.items()]
        fields += [f"file\t{clean(kind)}\t{number}\t0" for kind, number in files().items()]
        for kind, number in types.items():
            bytes_ = sizes.get(kind, 0) * number // min(number, asked)
            fields.append(f"type\t{clean(name(kind))}\t{number}\t{bytes_}")
        return "\t".join(fields)

    def clean(text):
        return "".join(char if char.isprintable() else "?" for char in text)

    def respond(words):
        try:
            if words[0] == "count":
                answer("count", count())
            else:
                collect()
                answer("snapshot", _pyrmware.snapshot(words[1:], ()))
        except BaseException as error:
            answer("error", clean(f"{type(error).__name__}: {error}"))

    def resolve():
        module, _, path = target.partition(":")
        found = __import__(module, fromlist=[""])
        for part in path.split("."):
            found = getattr(found, part)
        return found

    def one_by_one(function):
        answer("ready")
        while True:
            words = request()
            if words[0] == "run":
                try:
                    if hasattr(function(), "__await__"):
                        raise TypeError("it gives an awaitable and is no `async def`")
                except BaseException as error:
                    failed(error)
                else:
                    answer("ran")
            else:
                respond(words)

    async def in_a_loop(function, sleep):
        answer("ready")
        while True:
            words = request()
            if words[0] == "run":
                try:
                    await function()
                    for _ in range(5):  # what it has left to the loop
                        await sleep(0)
                except BaseException as error:
                    failed(error)
                else:
                    answer("ran")
            else:
                respond(words)

    def failed(error):
        sys.excepthook(type(error), error, error.__traceback__)
        answer("failed", clean(f"{type(error).__name__}: {error}"))
        posix._exit(1)

    def scenario():
        try:
            function = resolve()
            if function.__code__.co_flags & 0x80:  # CO_COROUTINE
                import asyncio

                asyncio.run(in_a_loop(function, asyncio.sleep))
        except BaseException as error:
            failed(error)
        one_by_one(function)

    def application():
        import _signal

        ready = getattr(_pyrmware, "ready", None)

        def tell_ready(status=None):
            answer("ready", clean(status or ""))
            if ready is not None:
                ready(status)

        _pyrmware.ready = tell_ready
        _signal.signal(_signal.SIGPWR, lambda *_: respond(request()))
        answer("started")
        module, _, function = target.partition(":")
        if function:
            sys.exit(resolve()())
        loader = _pyrmware.loader
        module += ".__main__" if loader.is_package(module) else ""
        if "." in module:
            __import__(module.rpartition(".")[0])
        spec = loader.find_spec(module)
        names = sys.modules["__main__"].__dict__
        names.clear()
        names.update(
            __name__="__main__",
            __builtins__=sys.modules["builtins"],
            __file__=spec.origin,
            __cached__=spec.cached,
            __doc__=None,
            __loader__=loader,
            __package__=spec.parent,
            __spec__=spec,
        )
        exec(loader.get_code(module), names)

    if mode == "function":
        answer("started")
        scenario()
    application()


main()
