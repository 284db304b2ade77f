"""Run by runpy, with a guard."""

import sys

RESULT = (__name__, __package__, __spec__.name, len(sys.argv))

if __name__ == "__main__":
    print("tool runs as", __name__)
