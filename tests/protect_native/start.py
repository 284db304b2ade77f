import sys

from vault import core


def main():
    what = sys.argv[1]
    if what == "spawn":
        import multiprocessing

        context = multiprocessing.get_context("spawn")
        queue = context.Queue()
        child = context.Process(target=core.run, args=(queue,))
        child.start()
        print(queue.get())
        child.join()
    else:
        getattr(core, what)()
