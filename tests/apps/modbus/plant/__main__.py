import asyncio
import json
import logging
import sys

from plant import fieldbus, trust


def main(argument):
    if argument == "--ready":
        return 0
    # What the library says of connections that break on purpose.
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    if argument == "--tiny":
        report = asyncio.run(fieldbus.tiny())
    else:
        report = {"fieldbus": asyncio.run(fieldbus.full()), "trust": trust.full()}
    print(json.dumps(report, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "--selftest"))
