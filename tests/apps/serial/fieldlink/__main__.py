import json
import sys

from fieldlink import selftest
from fieldlink.command import fieldlink


def main(argument):
    if argument == "--ready":
        return
    if argument in ("--tiny", "--selftest"):
        report = selftest.tiny() if argument == "--tiny" else selftest.full()
        print(json.dumps(report, sort_keys=True))
        return
    fieldlink(prog_name="fieldlink")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "--selftest")
