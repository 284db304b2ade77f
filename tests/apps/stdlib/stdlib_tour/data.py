"""Formats: what is read, written and packed."""

import array
import base64
import binascii
import bz2
import configparser
import copyreg
import csv
import gzip
import html
import html.parser
import io
import json
import lzma
import marshal
import pickle
import plistlib
import quopri
import sqlite3
import struct
import sys
import tarfile
import xml.dom.minidom
import xml.etree.ElementTree as ElementTree
import xml.sax
import zipfile
import zlib
from xml.sax.handler import ContentHandler

from stdlib_tour.checks import check

TEXT = ("temperature 21.5\n" * 40).encode()
XML = '<bus xmlns:m="urn:modbus"><unit id="1" m:rate="9600">boiler</unit><unit id="2"/></bus>'


@check
def json_module():
    value = {"b": [1, 2.5, None, True], "a": "ü\u20ac\U0001f600", "n": float("inf")}
    yield json.dumps(value, sort_keys=True)
    yield json.dumps(value, ensure_ascii=False, indent=1, separators=(",", ":"))
    yield json.loads('{"x": [1e3, -0.0, "\\u00e9"]}', parse_float=str)
    try:
        json.loads('{"x": }')
    except json.JSONDecodeError as error:
        yield str(error), error.pos


@check
def csv_module():
    out = io.StringIO()
    writer = csv.DictWriter(out, ["name", "value"], quoting=csv.QUOTE_NONNUMERIC)
    writer.writeheader()
    writer.writerow({"name": 'a "quoted", one', "value": 3})
    yield out.getvalue()
    yield list(csv.DictReader(io.StringIO(out.getvalue())))
    yield csv.Sniffer().sniff("a;b;c\n1;2;3\n").delimiter


@check
def etree():
    root = ElementTree.fromstring(XML)
    yield [(unit.get("id"), unit.text) for unit in root.iterfind("unit")]
    yield root.find("unit[@id='1']").attrib
    ElementTree.indent(root)
    yield ElementTree.tostring(root, encoding="unicode")
    try:
        ElementTree.fromstring("<a><b></a>")
    except ElementTree.ParseError as error:
        yield error.code, error.position
    yield ElementTree.XMLParser.__module__, ElementTree.Element.__module__


@check
def dom_and_sax():
    yield xml.dom.minidom.parseString(XML).documentElement.toprettyxml(indent=" ")
    seen = []

    class Handler(ContentHandler):
        def startElement(self, name, attrs):
            seen.append((name, sorted(attrs.items())))

    xml.sax.parseString(XML, Handler())
    yield seen


@check
def html_module():
    yield html.escape("<a href='x'>"), html.unescape("&eacute;&#8364;&nbsp;")
    seen = []

    class Parser(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            seen.append((tag, attrs))

    Parser().feed("<p class=x>one<br/><b>two")
    yield seen


@check
def settings():
    parser = configparser.ConfigParser()
    parser.read_string("[DEFAULT]\nbase=/dev\n[serial]\nport=%(base)s/ttyS0\nrate=9600\n")
    yield dict(parser["serial"]), parser.getint("serial", "rate")
    if sys.version_info >= (3, 11):
        import tomllib

        yield tomllib.loads('[a]\nb = [1, 2.5, "x"]\nc = 1979-05-27T07:32:00Z\n')
    for form in (plistlib.FMT_XML, plistlib.FMT_BINARY):
        yield plistlib.loads(plistlib.dumps({"a": [1, b"x", True]}, fmt=form))


@check
def packing():
    packed = struct.pack("<BHiq2sf?", 1, 2, -3, 4, b"ab", 0.5, True)
    yield packed.hex(), struct.unpack("<BHiq2sf?", packed), struct.calcsize("@iq")
    values = array.array("h", [1, -2, 3])
    values.byteswap()
    yield values.tobytes().hex(), memoryview(bytes(8)).cast("I").shape
    yield base64.b64encode(b"\xff\x00abc"), base64.b85encode(b"abc"), base64.b32decode("MFRGG===")
    yield binascii.crc32(TEXT), binascii.hexlify(b"ab", "-"), quopri.encodestring("ü=".encode())
    yield marshal.loads(marshal.dumps((1, "x", b"y", None, 2.5)))


@check
def compression():
    yield zlib.crc32(TEXT), zlib.adler32(TEXT), zlib.decompress(zlib.compress(TEXT)) == TEXT
    yield gzip.decompress(gzip.compress(TEXT, mtime=0)) == TEXT
    yield bz2.decompress(bz2.compress(TEXT)) == TEXT
    yield lzma.decompress(lzma.compress(TEXT, preset=1)) == TEXT
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 4096}]
    packed = lzma.compress(TEXT, format=lzma.FORMAT_RAW, filters=filters)
    yield lzma.decompress(packed, format=lzma.FORMAT_RAW, filters=filters) == TEXT
    try:
        zlib.decompress(b"no")
    except zlib.error as error:
        yield str(error)


@check
def archives():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("folder/a.txt"), "one")
        archive.writestr(zipfile.ZipInfo("b.txt"), TEXT)
    with zipfile.ZipFile(out) as archive:
        yield archive.namelist(), archive.testzip(), archive.read("b.txt") == TEXT
        yield [path.name for path in zipfile.Path(archive).iterdir()]
    for kind in ("gz", "bz2", "xz"):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:" + kind) as archive:
            info = tarfile.TarInfo("x/ü.txt")
            info.size = len(TEXT)
            archive.addfile(info, io.BytesIO(TEXT))
        out.seek(0)
        with tarfile.open(fileobj=out) as archive:
            yield kind, archive.getnames(), archive.extractfile("x/ü.txt").read() == TEXT


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __eq__(self, other):
        return (self.x, self.y) == (other.x, other.y)


copyreg.pickle(Point, lambda point: (Point, (point.x, point.y)))


@check
def pickling():
    value = {"points": [Point(1, 2)], "set": frozenset({1}), "type": Point, "len": len}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield protocol, pickle.loads(pickle.dumps(value, protocol)) == value
    # Written by Python 2: its names are mapped by _compat_pickle, which C code imports.
    yield (
        pickle.loads(b"c__builtin__\nxrange\n(I3\ntR."),
        pickle.loads(b"ccopy_reg\n__newobj__\n.").__name__,
    )
    try:
        pickle.dumps(lambda: None)
    except (pickle.PicklingError, AttributeError) as error:
        yield type(error).__name__


@check
def sqlite():
    with sqlite3.connect(":memory:") as db:
        db.row_factory = sqlite3.Row
        db.create_function("double", 1, lambda value: value and value * 2)
        db.execute("create table reading (unit text primary key, value real, raw blob)")
        rows = [("a", 1.5, b"\x00"), ("ü", None, b"\xff")]
        db.executemany("insert into reading values (?, ?, ?)", rows)
        query = "select unit, double(value) as twice, raw from reading order by unit"
        yield [dict(row) for row in db.execute(query)]
        yield list(db.iterdump())
        try:
            db.execute("insert into reading values ('a', 0, '')")
        except sqlite3.IntegrityError as error:
            yield str(error)
        db.commit()
        with sqlite3.connect(":memory:") as copy:
            db.backup(copy)
            yield tuple(copy.execute("select count(*) from reading").fetchone())
        yield tuple(db.execute("select json_extract('{\"a\": [1, 2]}', '$.a[1]')").fetchone())
