import sys

from stdlib_tour import data, language, network, numbers, system, text, times
from stdlib_tour.checks import GROUPS, run

MODULES = (data, language, network, numbers, system, text, times)


def main():
    wanted = sys.argv[1:] or ["all"]
    sys.exit(run(GROUPS if wanted == ["all"] else wanted))


if __name__ == "__main__":
    main()
