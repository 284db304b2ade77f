import json
import sys

from meter import selftest


def main(argument):
    if argument == "--ready":
        return 0
    report = selftest.tiny() if argument == "--tiny" else selftest.full()
    print(json.dumps(report, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "--selftest"))
