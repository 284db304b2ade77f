import sys


def main():
    what = sys.argv[1]
    from bunker import core

    if what == "word":
        print(core.secret_word())
    elif what == "fail":
        core.Reactor().start_the_reactor(1)
    elif what == "spawn":
        import multiprocessing

        context = multiprocessing.get_context("spawn")
        queue = context.Queue()
        child = context.Process(target=core.run, args=(queue,))
        child.start()
        print(queue.get())
        child.join()
    elif what == "names":
        import importlib

        print(sorted(name for name in vars(core) if not name.startswith("_")))
        print(importlib.reload(core).secret_word())
    elif what == "dumpable":
        import ctypes

        print(ctypes.CDLL(None).prctl(3))


if __name__ == "__main__":
    main()
