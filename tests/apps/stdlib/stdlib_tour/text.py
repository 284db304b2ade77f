"""Text: encodings, messages, formatting, parsing of command lines."""

import argparse
import ast
import cmd
import code
import codecs
import contextlib
import difflib
import email
import email.policy
import fnmatch
import gettext
import io
import locale
import optparse
import pprint
import re
import reprlib
import shlex
import string
import stringprep
import struct
import textwrap
import tokenize
import unicodedata
from email.headerregistry import Address
from email.message import EmailMessage
from email.mime.text import MIMEText

from stdlib_tour.checks import check

CODECS = (
    *("ascii", "latin-1", "cp1252", "cp437", "iso8859-15", "koi8-r", "mac-roman", "utf-7"),
    *("utf-8-sig", "utf-16", "utf-16-be", "utf-32-le", "shift_jis", "euc_jp", "iso2022_jp"),
    *("gb18030", "big5", "euc_kr", "hz", "unicode_escape", "punycode"),
)


@check
def encodings():
    for name in CODECS:
        yield name, "aé€あ".encode(name, "replace"), codecs.lookup(name).name
    yield b"caf\xe9 \xff".decode("utf-8", "backslashreplace"), "é".encode("ascii", "namereplace")
    yield codecs.encode("Hello", "rot13"), codecs.encode(b"x", "hex"), codecs.encode(b"x", "base64")
    yield codecs.decode(codecs.encode(b"xx", "zlib"), "zlib"), codecs.encode(b"x", "bz2")[:3]
    yield "bücher.example".encode("idna"), b"xn--bcher-kva.example".decode("idna")
    yield io.TextIOWrapper(io.BytesIO(b"\xff\xfea\0"), encoding="utf-16").read()
    try:
        "x".encode("no-such-codec")
    except LookupError as error:
        yield str(error)


@check
def unicode():
    yield unicodedata.name("€"), unicodedata.lookup("GREEK SMALL LETTER PI"), "\N{SNOWMAN}"
    yield unicodedata.normalize("NFD", "é"), unicodedata.east_asian_width("あ")
    yield unicodedata.unidata_version, stringprep.in_table_a1("\u0221"), "ẞ".casefold()
    yield re.findall(r"(?i)\bσ\w+", "Σας σας"), re.sub(r"(?P<n>\d+)", r"<\g<n>>", "a1b22")


@check
def messages():
    message = EmailMessage()
    message["Subject"] = "Grüße vom Gerät"
    message["To"] = Address("Jürgen", "j", "example.com")
    message.set_content("Temperatur: 21 °C\n" + "x" * 90 + "\n")
    message.add_attachment(
        b"\x00\x01", maintype="application", subtype="octet-stream", filename="ü"
    )
    message.set_boundary("=boundary=")
    yield message.as_string()
    parsed = email.message_from_bytes(message.as_bytes(), policy=email.policy.default)
    yield parsed["subject"], [part.get_content_type() for part in parsed.walk()]
    yield parsed.get_body().get_content()
    yield MIMEText("plain ü", "plain", "iso-8859-1").as_string()


@check
def translations():
    """A catalogue in memory: header and one plural form, in the layout of a .mo file."""
    entries = [
        ("", "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=n!=1;\n"),
        ("one unit\0%d units", "ein Gerät\0%d Geräte"),
    ]
    keys = [key.encode() for key, _ in entries]
    values = [value.encode() for _, value in entries]
    offset = 28 + 16 * len(entries)
    tables, blob = [], b""
    for part in (*keys, *values):
        tables += [len(part), offset + len(blob)]
        blob += part + b"\0"
    header = (0x950412DE, 0, len(entries), 28, 28 + 8 * len(entries), 0, 0)
    catalogue = io.BytesIO(struct.pack(f"<7I{len(tables)}I", *header, *tables) + blob)
    german = gettext.GNUTranslations(catalogue)
    yield [german.ngettext("one unit", "%d units", n) for n in (1, 2)], german.charset()
    yield gettext.gettext("untranslated"), gettext.find("no-such-domain")


@check
def locales():
    locale.setlocale(locale.LC_NUMERIC, "C")
    yield locale.localeconv()["decimal_point"], locale.format_string("%.2f", 1234.5, grouping=True)
    yield locale.normalize("de_DE"), locale.strxfrm("a") < locale.strxfrm("b"), locale.atof("1.5")


@check
def formatting():
    yield f"{1234567.891:,.2f}|{255:#x}|{'x':^5}|{3.0!r:>6}|{-5 % 3}|{1e100:g}"
    yield string.Template("$a and ${b}").safe_substitute(a=1)
    yield textwrap.wrap("the quick brown fox jumps over the lazy dog", 16)
    yield textwrap.dedent("  a\n    b\n"), textwrap.shorten("one two three", 9)
    yield pprint.pformat({"list": list(range(30)), "nested": {"b": {1: "x" * 60}, "a": ()}})
    yield reprlib.repr(list(range(100))), shlex.split("a 'b c' d\\ e"), shlex.quote("it's")
    yield fnmatch.filter(["a.py", "b.txt"], "*.py"), fnmatch.translate("a*[!b]?")
    yield list(difflib.unified_diff(["a", "b"], ["a", "c"], lineterm=""))
    yield difflib.get_close_matches("temprature", ["temperature", "pressure"])


@check
def command_lines():
    parser = argparse.ArgumentParser(prog="tool", description="What it does.", epilog="The end.")
    parser.add_argument("unit", nargs="+", help="units to poll")
    parser.add_argument("-r", "--rate", type=int, default=9600, help="rate (default %(default)s)")
    parser.add_argument("--parity", choices=["even", "odd"], metavar="P")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("-q", action="store_true")
    group.add_argument("-v", action="count", default=0)
    yield parser.format_help()
    yield parser.parse_args(["a", "b", "-vv", "--rate=300"])
    error = io.StringIO()
    with contextlib.redirect_stderr(error):
        try:
            parser.parse_args(["a", "--rate", "x"])
        except SystemExit as left:
            yield left.code, error.getvalue()
    old = optparse.OptionParser(prog="old", usage="%prog [options]")
    old.add_option("-n", type="int", help="a number")
    yield old.format_help(), old.parse_args(["-n", "3", "x"])[1]


@check
def interpreters():
    """Applications with a console of their own: cmd, code, ast, tokenize."""

    class Shell(cmd.Cmd):
        prompt = "> "

        def do_set(self, arg):
            """set NAME VALUE"""
            self.stdout.write(f"set {arg}\n")

        def do_EOF(self, arg):
            return True

    out = io.StringIO()
    shell = Shell(stdin=io.StringIO("help set\nset a 1\nnonsense\n"), stdout=out)
    shell.use_rawinput = False
    shell.cmdloop()
    yield out.getvalue()
    console = code.InteractiveInterpreter({"x": 20})
    error = io.StringIO()
    with contextlib.redirect_stdout(out := io.StringIO()), contextlib.redirect_stderr(error):
        yield console.runsource("print(x + 1)"), console.runsource("if x:")
        console.runsource("1/0")
    yield out.getvalue(), error.getvalue().splitlines()[-1]
    yield ast.unparse(ast.parse("def f(a, *, b=1): return [a for a in b if a]"))
    yield ast.literal_eval("{'a': (1, 2.5, None)}"), ast.dump(ast.parse("x+1", mode="eval"))
    tokens = tokenize.generate_tokens(io.StringIO("a = 'x' # c\n").readline)
    yield [tokenize.tok_name[token.type] for token in tokens]
