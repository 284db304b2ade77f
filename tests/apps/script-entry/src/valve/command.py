import argparse
import sys
from pathlib import Path

import calibration
from valve import __version__, limits
from valve.errors import Refused


def read_data(name):
    """Read from `data/`, beside the package: nothing but `include` puts it on the device."""
    return (Path(__file__).parent.parent / "data" / name).read_text(encoding="utf-8")


def get(name):
    print(name, limits.DEFAULTS[name])


def set_value(name, value):
    if value > limits.DEFAULTS["limit"]:
        return f"{name}: {value} is over the limit"
    if value < 0:
        raise Refused(name, value)
    print(name, calibration.apply(value))
    return None


def facts():
    main_module = sys.modules["__main__"]
    print("name", __name__, "package", __package__, "spec", __spec__.name)
    print("main is this module", main_module is sys.modules[__name__])
    print("file", Path(__file__).name, Path(__file__).parent.name)
    print("data", read_data("calibration.json").strip())
    data = Path(__file__).parent.parent / "data"
    print("listed", sorted(path.name for path in data.glob("*.json")))


def main():
    parser = argparse.ArgumentParser(prog="valve")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("get").add_argument("name")
    setting = commands.add_parser("set")
    setting.add_argument("name")
    setting.add_argument("value", type=int)
    commands.add_parser("facts")
    commands.add_parser("code").add_argument("value", type=int)
    options = parser.parse_args()
    if options.command == "get":
        return get(options.name)
    if options.command == "set":
        return set_value(options.name, options.value)
    if options.command == "code":
        return options.value
    return facts()
