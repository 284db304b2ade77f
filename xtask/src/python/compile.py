"""Compiles modules, one after the other, under the target's Python minor version.

Talks over stdin and stdout. First a line of JSON says who is here: {"magic": 3495}. Then, for each
line {"filename": "flask/app.py", "size": 123} and 123 bytes of source, the answer is
{"size": 456, "deferred": []} and 456 bytes of marshalled code, or
{"error": "invalid syntax", "line": 7, "text": "x ="} and no more bytes, or {"fault": "…"} when the
request does not fit the source.

A request with "form" says what is done to the module before; see shaped(). What is deferred follows
the module's code: {"size": 456, "deferred": [{"names": ["re"], "line": 3, "size": 78}]}.

A request {"patterns": [[text, bytes, flags], …]} has no source; see pattern(). The answer is
{"engine": "20220615 4 …", "sizes": [12, null]}, and what was compiled.

A request with "neutral": {"replace": [[old, new], …], "remove": [text, …]} is for a
_sysconfigdata module: see neutral().
"""

import sys

# The working folder comes first for -c: a json.py of the user must not be taken for the library's.
sys.path[:] = [folder for folder in sys.path if folder]

import __future__  # noqa: E402

import _sre  # noqa: E402
import ast  # noqa: E402
import gc  # noqa: E402
import importlib.util  # noqa: E402
import itertools  # noqa: E402
import json  # noqa: E402
import marshal  # noqa: E402
import os  # noqa: E402
import warnings  # noqa: E402

# It has moved in 3.11.
compiler = importlib.import_module("sre_compile" if sys.version_info < (3, 11) else "re._compiler")


def main():
    # Whatever else prints must not come between the answers.
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    gc.disable()  # trees are large, have no cycles, and looking for some takes a sixth of the time
    say(answers, {"magic": int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little")})
    while line := requests.readline():
        request = json.loads(line)
        if "patterns" in request:
            data = [pattern(*asked) for asked in request["patterns"]]
            sizes = [part and len(part) for part in data]
            say(answers, {"engine": engine(), "sizes": sizes}, b"".join(filter(None, data)))
            continue
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
        codes, deferred = shaped(source, request["filename"], **request.get("form", {}))
        data = [marshal.dumps(code) for code in codes]
    except Mismatch as error:
        return {"fault": str(error)}, b""
    except SyntaxError as error:
        text = error.text.rstrip() if isinstance(error.text, str) else None
        return {"error": error.msg, "line": error.lineno, "text": text}, b""
    except (ValueError, OverflowError, RecursionError, MemoryError) as error:
        return {"error": f"{type(error).__name__}: {error}", "line": None, "text": None}, b""
    parts = [{**names, "size": len(part)} for names, part in zip(deferred, data[1:], strict=True)]
    return {"size": len(data[0]), "deferred": parts}, b"".join(data)


class Mismatch(Exception):
    """The form was made for another source, or by another parser's understanding of it."""


def shaped(
    source,
    filename,
    docstrings=True,
    assertions=True,
    folds=(),
    stars=(),
    all=None,
    defer=(),
    marker=None,
):
    """The module's code, and the code of each deferred statement with its names and line.

    assertions: whether `assert` statements run; if not, it is compiled as `python3 -O` does.
    folds: [line, column, branch]: an `if` or `elif` at module level whose test is known: branch 0
    is its body, 1 is what else there is.
    stars: position after folding: names: what of a star import is imported at once.
    all: [positions, names, tuple]: the statements that make __all__, and what it is.
    defer: {"names": […], "parts": [[statement, part], …]}: what is taken out of the module's body,
    by position after folding; a part is the position of an alias in an import statement, a name
    that a star import brings, or null for all of the statement.
    marker: what the global of that name is bound to when something is deferred.
    """
    optimize = 0 if assertions else 1
    if docstrings and not folds and not defer:
        return [compile(source, filename, "exec", dont_inherit=True, optimize=optimize)], []
    tree = ast.parse(source, filename)
    if not docstrings:
        without_docstrings(tree)
    taken = {(line, column): branch for line, column, branch in folds}
    body = list(folded(tree.body, taken))
    flags = 0
    for statement in body:
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            for alias in statement.names:
                flags |= getattr(__future__, alias.name).compiler_flag
    gone = {}
    if all:
        (first, *others), names, is_tuple = all
        texts = [ast.Constant(name) for name in names]
        value = (ast.Tuple if is_tuple else ast.List)(texts, ast.Load())
        node = ast.Assign([ast.Name("__all__", ast.Store())], value)
        body[first] = placed(node, body[first])
        gone.update((index, {None}) for index in others)
    modules = []
    for group in defer:
        parts = []
        for index, part in group["parts"]:
            gone.setdefault(index, set()).add(part)
            if index >= len(body):
                raise Mismatch(f"{', '.join(group['names'])}: there is no statement {index}")
            parts.append(taken_out(body[index], part))
        if set().union(*map(bound, parts)) != set(group["names"]):
            raise Mismatch(f"{', '.join(group['names'])}: not bound by line {parts[0].lineno}")
        modules.append(ast.Module(parts, []))
    rest = []
    for index, statement in enumerate(body):
        parts = gone.get(index, ())
        if str(index) in stars:
            statement.names = [ast.alias(name) for name in stars[str(index)]]
            ast.fix_missing_locations(statement)
        elif None not in parts and parts:
            names = [alias for at, alias in enumerate(statement.names) if at not in parts]
            statement.names = names
        elif parts and isinstance(statement, ast.AnnAssign):
            statement.value = None  # what it says of the name stays
            parts = ()
        text = not docstrings and not rest and is_text(statement)
        if None not in parts and getattr(statement, "names", True) and not text:
            rest.append(statement)
    if marker is not None:
        rest.insert(prologue(rest), marking(marker))
    modules.insert(0, ast.Module(rest, tree.type_ignores))
    codes = [
        compile(module, filename, "exec", flags, dont_inherit=True, optimize=optimize)
        for module in modules
    ]
    lines = [module.body[0].lineno for module in modules[1:]]
    told = zip(defer, lines, strict=True)
    return codes, [{"names": group["names"], "line": line} for group, line in told]


def taken_out(statement, part):
    if part is None:
        if isinstance(statement, ast.AnnAssign):
            return placed(ast.Assign([statement.target], statement.value), statement)
        return statement
    alias = ast.alias(part) if isinstance(part, str) else statement.names[part]
    fields = {**dict(ast.iter_fields(statement)), "names": [alias]}
    return placed(type(statement)(**fields), statement)


def placed(node, where):
    """A node that was made here, in the place of another; the rest of a tree has its places."""
    return ast.fix_missing_locations(ast.copy_location(node, where))


def bound(statement):
    """The names that a deferred statement binds."""
    if isinstance(statement, ast.Assign):
        return {target.id for target in statement.targets}
    if isinstance(statement, ast.Import):
        return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    if isinstance(statement, ast.ImportFrom):
        return {alias.asname or alias.name for alias in statement.names}
    if isinstance(statement, ast.Try):
        parts = [statement.body, *(handler.body for handler in statement.handlers)]
        return set().union(*map(bound, itertools.chain(*parts, statement.orelse)))
    if isinstance(statement, ast.Pass):
        return set()
    return {statement.name}


def without_docstrings(tree):
    """Takes docstrings out of functions and classes."""
    nodes = statements(tree)
    dataclasses = any(map(is_import_of_dataclasses, nodes))
    for node in nodes:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = []
            if dataclasses and is_dataclass(node):
                # One without is given its signature, which takes long.
                text = [placed(ast.Expr(ast.Constant(f"{node.name}(...)")), node)]
            # All of them, lest the second becomes what the first was.
            while node.body and is_text(node.body[0]):
                gone = node.body.pop(0)
            node.body = text + node.body or [placed(ast.Pass(), gone)]


def statements(tree):
    """All statements below a module; none is in an expression."""
    found = []
    left = [tree]
    while left:
        node = left.pop()
        for field in ("body", "handlers", "orelse", "finalbody", "cases"):
            inner = getattr(node, field, ())
            found += inner
            left += inner
    return found


def is_import_of_dataclasses(node):
    if isinstance(node, ast.Import):
        return any(alias.name == "dataclasses" for alias in node.names)
    return isinstance(node, ast.ImportFrom) and (node.module, node.level) == ("dataclasses", 0)


def is_dataclass(node):
    """Whether a class is decorated as one, by the name of the decorator."""
    makers = [getattr(maker, "func", maker) for maker in node.decorator_list]
    names = {getattr(maker, "id", getattr(maker, "attr", None)) for maker in makers}
    return isinstance(node, ast.ClassDef) and "dataclass" in names


def is_text(node):
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return constant and isinstance(node.value.value, str)


def folded(body, taken):
    """The statements of a body, with those of a branch in place of an `if` whose test is known."""
    for node in body:
        branch = taken.get((node.lineno, node.col_offset)) if isinstance(node, ast.If) else None
        if branch is None:
            yield node
            continue
        inner = node.orelse if branch else node.body
        yield from folded(inner, taken)


def prologue(body):
    """The number of statements that must stay first: a docstring and `from __future__`."""
    for index, node in enumerate(body):
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if not future and not (index == 0 and is_text(node)):
            return index
    return len(body)


def marking(path):
    target = ast.Name("__pyrmware_lazy__", ast.Store())
    node = ast.Assign([target], ast.Constant(path), lineno=1, col_offset=0)
    return ast.fix_missing_locations(node)


def engine():
    """For whom regular expressions are compiled."""
    numbers = (_sre.MAGIC, _sre.CODESIZE, _sre.MAXREPEAT, _sre.MAXGROUPS)
    return " ".join([*map(str, numbers), sys.byteorder])


def pattern(text, is_bytes, flags):
    """The arguments of _sre.compile after the pattern, marshalled; None if it cannot be compiled,
    or if that warns, which whoever compiles it is to see.

    The engine's code, a list of numbers, is one of bytes: of each number seven bits at a time, the
    lowest first, and the eighth says that more follow.
    """
    asked = text.encode("latin-1") if is_bytes else text
    compiler._sre = Recorder()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _, flags, code, *rest = compiler.compile(asked, flags)
    except Exception:
        return None
    finally:
        compiler._sre = _sre
    # Version 2 has no references, so that the bytes are the same every time.
    return marshal.dumps((flags, b"".join(map(packed, code)), *rest), 2)


def packed(number):
    low = bytes([number & 127 | (128 if number > 127 else 0)])
    return low + packed(number >> 7) if number > 127 else low


class Recorder:
    """Stands before _sre in the compiler of regular expressions."""

    def __getattr__(self, name):
        return getattr(_sre, name)

    def compile(self, *arguments):
        return arguments


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
