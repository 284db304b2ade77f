import os
import sys

from procs import executable, family, pools, posix, restart, script
from procs.checks import GROUPS, run

MODULES = (executable, family, pools, posix, restart, script)

if __name__ == "__mp_main__" and "DEMO_GUARD" in os.environ:
    print("imported again as", __name__, flush=True)


class Task:
    """Defined in `__main__`: children of spawn find it in `__mp_main__`."""

    def __init__(self, value):
        self.value = value

    def __call__(self, times):
        return self.value * times


def main():
    wanted = sys.argv[1:] or ["all"]
    if wanted == ["guarded"]:
        return family.guarded()
    if wanted[0] == "again":
        return restart.again(*wanted[1:])
    sys.exit(run(GROUPS if wanted == ["all"] else wanted))


if __name__ == "__main__":
    main()
