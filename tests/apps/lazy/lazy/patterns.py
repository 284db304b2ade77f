"""Regular expressions: of constants, made of constants, and made while the program runs."""

import pickle
import re
import warnings
from re import VERBOSE as V
from re import match

from lazy import later

WORD = r"[^\W\d_]+"
FLAGS = re.IGNORECASE | re.MULTILINE

_number = re.compile(r"(?P<sign>[-+])?(?P<digits>\d+)", re.ASCII)
_pair = re.compile("(%s)=(%s)" % (WORD, later.VALUE), FLAGS)  # noqa: UP031
_bytes = re.compile(rb"\xff(.)\x00", re.S)
_spread = re.compile(
    r"""
    ^ (?P<year> \d{4} ) - (?P<month> \d\d )   # a month
    """,
    V,
)
_find = re.compile(f"<({WORD})>").findall
_case = re.compile("[ſß-ŷ]+", re.I)
_far = re.compile("[" + "".join(map(chr, range(0x100, 0x3000, 7))) + "]")


def told(pattern):
    return pattern.pattern, pattern.flags, pattern.groups, dict(pattern.groupindex), repr(pattern)


def run():
    for pattern in (_number, _pair, _bytes, _spread, _case):
        yield "pattern", *told(pattern)
    yield "number", _number.match("-12").groupdict(), _number.match("٣")
    yield "pair", _pair.findall("a=1\nÄb=0x1F")
    yield "bytes", _bytes.findall(b"\xff\n\x00\xffa\x00")
    yield "spread", _spread.match("2024-05-01").groupdict()
    yield "method", _find("<one><two>")
    yield "cases", _case.findall("sSſ Straße ŶŷK")
    yield "far", _far.findall("aĀ中ḱ")
    yield "functions", match("a|b", "b").span(), re.sub(r"(\d)(\d)", r"\2\1", "1234")
    yield "pickle", pickle.loads(pickle.dumps(_number)) is _number
    yield "again", re.compile(r"(?P<sign>[-+])?(?P<digits>\d+)", re.ASCII) is _number
    for text in (r"(", r"(?P<a>x)(?P<a>y)", r"[z-a]", r"a**"):
        try:
            re.compile(text)
        except re.error as error:
            yield "error", error.msg, error.pos
    for text, flags in (("(", 1 << 80), ("a", 1 << 80), ("a", -1 << 80)):
        try:
            re.compile(text, flags)
        except (OverflowError, re.error) as error:
            yield "too large a flag", str(error)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        re.compile("[[a]")
        yield "warning", [str(warning.message) for warning in caught]
    scanner = re.Scanner([(r"\d+", lambda _, text: int(text)), (r"\s+", None)])
    yield "scanner", scanner.scan("1 22 x")
    re.purge()
    yield "after purge", re.compile(r"(?P<sign>[-+])?(?P<digits>\d+)", re.ASCII).match("+5").span()
