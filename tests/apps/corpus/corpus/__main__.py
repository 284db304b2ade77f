"""`corpus NAME [SECONDS]`: run a program, for so long or until it is ended. `corpus --list`: which
there are.
"""

import glob
import os
import signal
import sys
import tempfile
import time

from . import counted, held, steady, unseen


def prompt_filters():
    """Filters of prompt_toolkit remember what they were combined with, and so whole sessions."""
    from . import prompts

    prompts.run()


def programs():
    every = [*held.PROGRAMS, *counted.PROGRAMS, *unseen.PROGRAMS, prompt_filters, *steady.PROGRAMS]
    return {program.__name__: program for program in every}


def end(*_):
    """Ask the launcher for a report, and end when it is there, whatever threads still wait for."""
    os.kill(os.getpid(), signal.SIGUSR1)
    while not glob.glob("reports/*-signal.json"):
        time.sleep(0.05)
    os._exit(0)


def main(name, seconds=0):
    if name == "--list":
        for name, program in programs().items():
            print(f"{name}: {program.__doc__}")
        return
    tempfile.tempdir = os.getcwd()
    signal.signal(signal.SIGALRM, end)
    signal.alarm(int(seconds))
    programs()[name]()


if __name__ == "__main__":
    main(*sys.argv[1:])
