"""Says which version it is, then does what the arguments say of that version: "2=abort"."""

import os
import signal
import subprocess
import sys

import pyrmware

VERSION = "0"


def main() -> None:
    print("main", VERSION, os.getpid(), pyrmware.last_exit(), flush=True)
    acts = dict(word.split("=", 1) for word in sys.argv[1:])
    act, _, path = acts.get(VERSION, "ready").partition("@")
    if act == "abort":
        os.abort()
    if act == "raise":
        raise RuntimeError("a fault")
    if act == "hang":
        signal.pause()
    if act == "helper":
        words = "import gate; print('helper', gate.VERSION, flush=True)"
        subprocess.run([sys.executable, "-c", words], check=True)
    if act == "maps":
        # An extension module's code is mapped from the payload's own file.
        import _json

        with open("/proc/self/maps") as maps:
            lines = [line.split() for line in maps if " r-xp " in line]
        folder = os.environ["PYRMWARE_UPDATE_DIR"]
        mapped = [words[-1] for words in lines if words[-1].startswith(folder)]
        print("mapped", len(set(mapped)), callable(_json.make_scanner), flush=True)
    if act == "child":
        # It is not the application.
        if os.fork() == 0:
            pyrmware.ready()
            os._exit(0)
        os.wait()
        sys.exit(3)
    if act == "take":
        try:
            print("took", pyrmware.update(path), flush=True)
        except (RuntimeError, OSError) as error:
            print(type(error).__name__, error, flush=True)
    if act == "drop":
        os.setuid(65534)
    pyrmware.ready("is open")
    print("ready", VERSION, flush=True)
    if act in ("wait", "drop"):
        signal.pause()
