import asyncio
import json
import sys

from gateway import client


def main(argument):
    if argument == "--ready":
        return 0
    report = asyncio.run(client.tiny() if argument == "--tiny" else client.full())
    print(json.dumps(report, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "--selftest"))
