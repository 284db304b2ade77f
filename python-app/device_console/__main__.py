"""python -m device_console: see --help."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the console; returns the exit code. 0 also after SIGTERM and SIGINT."""
    options = _parser().parse_args(argv)
    # The imports are here so that --help, --version and usage errors answer at once.
    if options.version:
        from .device import version

        print(f"device-console {version()}")
        return 0

    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING if options.selftest else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    logging.getLogger("prompt_toolkit").setLevel(logging.WARNING)
    if options.selftest:
        from . import selftest

        return selftest.run()

    from . import server

    try:
        asyncio.run(server.serve(options.host, options.port, leak=options.leak))
    except server.CannotListen as error:
        print(f"device-console: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="device-console",
        description="A telnet console for looking after this device.",
        epilog="Telnet is neither encrypted nor authenticated: give --host an address that others "
        "can reach only in a network that you trust.",
    )
    parser.add_argument(
        "--host",
        type=_host,
        default="127.0.0.1",
        help="address to listen on (default: %(default)s, this device only; 0.0.0.0: everywhere)",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=2323,
        help="TCP port to listen on (default: %(default)s; 0: any free one)",
    )
    parser.add_argument(
        "--leak",
        action="store_true",
        help="keep every session for ever, by a key binding as it is easily written: to see that "
        "the firmware says what holds them",
    )
    parser.add_argument("--selftest", action="store_true", help="test every command and exit")
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    return parser


def _host(text: str) -> str:
    if not text:  # which bind() would take as every address
        raise argparse.ArgumentTypeError("an address is needed; 0.0.0.0 means everywhere")
    return text


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"a number from 0 to 65535 is needed, not {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
