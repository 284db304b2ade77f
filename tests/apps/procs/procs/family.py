"""multiprocessing, by each way to start a process."""

import multiprocessing
import os
import queue
import sys
import threading
import time
from multiprocessing import managers, shared_memory
from multiprocessing.connection import Client, Listener

from procs.checks import check

METHODS = ("fork", "spawn", "forkserver")


def work(results, value):
    results.put((value * 2, multiprocessing.current_process().name, __name__))


def facts():
    main = sys.modules["__main__"]
    return main.__name__, type(main.__spec__).__name__, multiprocessing.parent_process() is not None


def fail():
    raise LookupError("in a child")


def leave(code):
    sys.exit(code)


def add(shared, lock, times):
    for _ in range(times):
        with lock:
            shared.value += 1


def change(name):
    block = shared_memory.SharedMemory(name)
    block.buf[:4] = b"done"
    block.close()


class Counter:
    def __init__(self):
        self.value = 0

    def add(self, value):
        self.value += value
        return self.value


class Managers(managers.BaseManager):
    pass


Managers.register("Counter", Counter)


@check
def processes():
    for method in METHODS:
        context = multiprocessing.get_context(method)
        results = context.Queue()
        process = context.Process(target=work, args=(results, 21), name="worker")
        process.start()
        yield method, results.get(timeout=60)
        process.join()
        yield process.exitcode, process.is_alive()
        process = context.Process(target=leave, args=(9,))
        process.start()
        process.join()
        yield process.exitcode
        process = context.Process(target=time.sleep, args=(60,), daemon=True)
        process.start()
        process.terminate()
        process.join()
        yield process.exitcode


@check
def pools():
    for method in METHODS:
        with multiprocessing.get_context(method).Pool(2) as pool:
            yield method, pool.map(abs, [-1, 2, -3]), pool.apply(facts)
            yield (
                pool.starmap(pow, [(2, 3), (3, 2)]),
                pool.apply_async(sys.modules["__main__"].Task(3), (4,)).get(30),
            )
            try:
                pool.apply(fail)
            except LookupError as error:
                yield str(error), type(error.__cause__).__name__
            yield sorted(pool.imap_unordered(str, range(5)))
            pool.close()
            pool.join()


@check
def shared():
    for method in METHODS:
        context = multiprocessing.get_context(method)
        value, lock = context.Value("i", 0), context.Lock()
        group = [context.Process(target=add, args=(value, lock, 50)) for _ in range(2)]
        for process in group:
            process.start()
        for process in group:
            process.join()
        yield method, value.value
        block = shared_memory.SharedMemory(create=True, size=16)
        process = context.Process(target=change, args=(block.name,))
        process.start()
        process.join()
        yield bytes(block.buf[:4])
        block.close()
        block.unlink()


@check
def managed():
    for method in METHODS:
        context = multiprocessing.get_context(method)
        with context.Manager() as manager:
            values = manager.dict(a=1)
            process = context.Process(target=values.update, args=({"b": 2},))
            process.start()
            process.join()
            yield method, dict(values), list(manager.list([1])), type(manager.Lock()).__name__
        with Managers(ctx=context) as manager:
            counter = manager.Counter()
            yield counter.add(2), counter.add(3)


def serve(pipe):
    pipe.send(pipe.recv()[::-1])
    pipe.close()


@check
def connected():
    for method in METHODS:
        context = multiprocessing.get_context(method)
        left, right = context.Pipe()
        process = context.Process(target=serve, args=(right,))
        process.start()
        left.send(b"abc" * 3)
        yield method, left.recv()
        process.join()
    with Listener(authkey=b"key") as listener:
        answers = queue.Queue()

        def accept():
            with listener.accept() as connection:
                answers.put(connection.recv())

        thread = threading.Thread(target=accept)
        thread.start()
        with Client(listener.address, authkey=b"key") as client:
            client.send({"pid": os.getpid() > 0})
        thread.join()
        yield answers.get()


def guarded():
    """Not a check: each child of spawn says that it imported `__main__` again, once."""
    context = multiprocessing.get_context("spawn")
    for _ in range(2):
        process = context.Process(target=facts)
        process.start()
        process.join()
    print("two children")
