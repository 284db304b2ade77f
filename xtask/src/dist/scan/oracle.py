"""For a test: every import of every file of a standard library as Python's own parser sees them, and the bytecode.

Arguments: the standard library, a folder for the bytecode. Prints a line per file: its path, the imports.
"""

import ast
import marshal
import pathlib
import sys


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield f"{alias.lineno}:{alias.name}"
        elif isinstance(node, ast.ImportFrom):
            yield f"{node.lineno}:{'.' * node.level}{node.module or ''}"


def main():
    root, folder = map(pathlib.Path, sys.argv[1:])
    skipped = {"test", "tests", "site-packages", "dist-packages", "lib2to3", "idlelib", "__pycache__"}
    paths = (path for path in sorted(root.rglob("*.py")) if skipped.isdisjoint(path.relative_to(root).parts))
    for number, path in enumerate(paths):
        tree = ast.parse(path.read_bytes())
        (folder / f"{number}.pyc").write_bytes(bytes(16) + marshal.dumps(compile(tree, "x.py", "exec")))
        print(path, " ".join(imports(tree)), sep="\t")


main()
