"""Run with `-m procs.child`: does what its first argument says."""

import os
import signal
import sys
import time


def main(command, *args):
    if command == "facts":
        spec = sys.modules["__main__"].__spec__
        print(__name__, spec.name, __package__, list(args), os.path.basename(__file__))
        print(os.path.basename(sys.argv[0]), len(sys.path) > 0, sys.flags.dev_mode)
    elif command == "copy":
        data = sys.stdin.buffer.read()
        sys.stdout.buffer.write(data[::-1])
    elif command == "exit":
        sys.exit(int(args[0]))
    elif command == "raise":
        raise LookupError("in the child")
    elif command == "wait":
        print("ready", flush=True)
        time.sleep(60)
    elif command == "handle":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(21))
        print("ready", flush=True)
        time.sleep(60)
    elif command == "bytes":
        print([os.fsencode(arg) for arg in args])
    elif command == "environ":
        print(sorted(name for name in os.environ if name != "LC_CTYPE"))


if __name__ == "__main__":
    main(*sys.argv[1:])
