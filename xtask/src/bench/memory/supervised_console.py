"""The sample as `cargo xtask bench memory` runs it: says that its main begins, and hoards when it
is asked to.
"""

import json
import os
import signal
import sys
import threading
import time

from device_console.__main__ import main as console


def hoard():
    kept = []
    while True:
        kept.append(b"x" * (4 << 20))
        time.sleep(0.02)


def main():
    print(json.dumps({"main": os.getpid()}), flush=True)
    hoarding = threading.Thread(target=hoard, daemon=True)
    signal.signal(signal.SIGUSR2, lambda *_: hoarding.start())
    return console()


if __name__ == "__main__":
    sys.exit(main())
