"""Compiles modules, one after the other, under the target's Python minor version.

Talks over stdin and stdout. First a line of JSON says who is here: {"magic": 3495}. Then, for each
line {"filename": "flask/app.py", "size": 123} and 123 bytes of source, the answer is
{"size": 456, "hash": "16 hex digits"} and 456 bytes of marshalled code, or
{"error": "invalid syntax", "line": 7, "text": "x ="} and no more bytes.

A request with "neutral": {"replace": [[old, new], …], "remove": [text, …]} is for a
_sysconfigdata module: see neutral().
"""

import sys

# The working folder comes first for -c: a json.py of the user must not be taken for the library's.
sys.path[:] = [folder for folder in sys.path if folder]

import importlib.util  # noqa: E402
import json  # noqa: E402
import marshal  # noqa: E402
import os  # noqa: E402
import warnings  # noqa: E402


def main():
    # Whatever else prints must not come between the answers.
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    say(answers, {"magic": int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little")})
    while line := requests.readline():
        request = json.loads(line)
        source = requests.read(request["size"])
        answer, code = compiled(source, request)
        say(answers, answer, code)


def say(answers, answer, data=b""):
    answers.write(json.dumps(answer).encode() + b"\n" + data)
    answers.flush()


def compiled(source, request):
    """The answer to one request, and the marshalled code."""
    try:
        if "neutral" in request:
            source = neutral(source, **request["neutral"])
        code = compile(source, request["filename"], "exec", dont_inherit=True, optimize=0)
        data = marshal.dumps(code)
    except SyntaxError as error:
        text = error.text.rstrip() if isinstance(error.text, str) else None
        return {"error": error.msg, "line": error.lineno, "text": text}, b""
    except (ValueError, OverflowError, RecursionError, MemoryError) as error:
        return {"error": f"{type(error).__name__}: {error}", "line": None, "text": None}, b""
    return {"size": len(data), "hash": importlib.util.source_hash(source).hex()}, data


def neutral(source, replace, remove):
    """_sysconfigdata as source again, without the folders that the interpreter was built or is in.

    In every string value each old prefix is replaced by the new one, in the order given; then
    each word (as a shell splits, roughly) that still holds one of the texts to be removed, or the
    folder in which the interpreter was built, goes. What code asks sysconfig for on a device
    (EXT_SUFFIX, SOABI, MULTIARCH, Py_DEBUG, …) holds no paths.
    """
    scope = {}
    exec(compile(source, "_sysconfigdata", "exec", dont_inherit=True), scope)
    variables = scope["build_time_vars"]
    built = (variables.get(key) for key in ("abs_builddir", "abs_srcdir"))
    remove = remove + [folder for folder in built if folder and len(folder) > 1]

    def clean(value):
        if not isinstance(value, str):
            return value
        for old, new in replace:
            value = value.replace(old, new)
        if any(text in value for text in remove):
            words = value.split()
            value = " ".join(w for w in words if not any(text in w for text in remove))
        return value

    values = {key: clean(value) for key, value in sorted(variables.items())}
    lines = (f"    {key!r}: {value!r},\n" for key, value in values.items())
    return ("build_time_vars = {\n" + "".join(lines) + "}\n").encode()


main()
