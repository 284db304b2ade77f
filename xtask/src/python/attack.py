"""What somebody who has a launcher and no key finds in it of an application's code.

Standard input: JSON, {"launcher": path, "sources": {path inside the launcher: file}}. Standard
output: JSON, for each of KINDS how much of it is found, and how much there is in the sources.

It knows what everybody can: a ZIP is in there, files lie where they are imported from, and
`marshal` reads code objects, wherever they begin. Nothing here reads Pyrmware's own formats.
"""

import ast
import io
import json
import marshal
import struct
import sys
import types
import zipfile

KINDS = ("functions", "lines", "docstrings", "names", "strings")
END = b"PK\x05\x06"
LEAST = 6  # shorter ones are found everywhere


def main():
    job = json.load(sys.stdin)
    with open(job["launcher"], "rb") as file:
        files = unzipped(file.read())
    tops = {path.split("/")[0].removesuffix(".py") for path in job["sources"]}
    own = b"\n".join(
        data
        for path, data in sorted(files.items())
        if path.split("/")[0].split(".")[0] in tops and not path.endswith("/")
    )
    readable = {}
    for code in code_objects(own):
        readable.setdefault(code.co_name, []).append(set(code.co_names))
    found = {"bytes": len(own), **{kind: [0, 0] for kind in KINDS}}
    for path, file in sorted(job["sources"].items()):
        with open(file, "rb") as source:
            text = source.read()
        for kind, things in facts(text, path).items():
            there = own.__contains__
            if kind == "functions":

                def there(function):
                    return is_readable(function, readable)

            found[kind][0] += sum(map(there, things))
            found[kind][1] += len(things)
    json.dump(found, sys.stdout)


def unzipped(launcher):
    """The files of the last ZIP in it that has any."""
    at = len(launcher)
    while (at := launcher.rfind(END, 0, at)) >= 0:
        comment = struct.unpack_from("<H", launcher, at + 20)[0]
        try:
            with zipfile.ZipFile(io.BytesIO(launcher[: at + 22 + comment])) as archive:
                files = {name: archive.read(name) for name in archive.namelist()}
        except (zipfile.BadZipFile, ValueError, struct.error):
            continue
        if files:
            return files
    return {}


def code_objects(data):
    """Whatever `marshal` takes for code, wherever it begins, and the code in it."""
    view = memoryview(data)
    for at in range(len(data) - 17):
        # Counts of arguments and the like: lengths that lie would cost gigabytes.
        if data[at] | 0x80 == 0xE3 and max(struct.unpack_from("<4I", data, at + 1)) < 10_000:
            try:
                code = marshal.loads(view[at:])
            except (ValueError, EOFError, TypeError, MemoryError, OverflowError, SystemError):
                continue
            if isinstance(code, types.CodeType):
                yield from walk(code)


def walk(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from walk(constant)


def is_readable(function, readable):
    """Whether there is code of this name which asks for most of what the function asks for.

    A wrapper around it asks for other things, and without assertions it asks for fewer.
    """
    name, asks = function
    return any(2 * len(asks & other) >= len(asks) for other in readable.get(name, ()))


def facts(text, path):
    """What a source says: each thing once."""
    tree = ast.parse(text, path)
    functions, docstrings, names, strings = set(), set(), set(), set()
    for code in walk(compile(tree, path, "exec", dont_inherit=True)):
        if not code.co_name.startswith("<"):
            functions.add((code.co_name, frozenset(code.co_names)))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    says = set()
    for node in ast.walk(tree):
        if isinstance(node, documented):
            if not isinstance(node, ast.Module):
                names.add(node.name)
            first = node.body[0] if node.body else None
            if ast.get_docstring(node):
                # Its first line: how the others are indented differs by version.
                docstrings.add(ast.get_docstring(node).splitlines()[0])
                says.add(first.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in says:
            strings.add(node.value)
    lines = {line.strip() for line in text.decode("utf-8", "replace").splitlines()}
    # What is one word or one string is told by those.
    lines = {line for line in lines if len(line) >= 20 and "(" in line}
    told = {"lines": lines, "docstrings": docstrings, "names": names, "strings": strings}
    for kind, texts in told.items():
        encoded = {text.encode("utf-8", "surrogatepass") for text in texts}
        told[kind] = {text for text in encoded if len(text) >= LEAST}
    return {"functions": functions, **told}


if __name__ == "__main__":
    main()
