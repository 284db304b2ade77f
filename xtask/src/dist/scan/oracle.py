"""For a test: every import of every file of a standard library, as Python's own parser sees them."""

import ast
import pathlib
import sys


def imports(node):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield f"{alias.lineno}:{alias.name}"
        elif isinstance(child, ast.ImportFrom):
            yield f"{child.lineno}:{'.' * child.level}{child.module or ''}"
        else:
            yield from imports(child)


def main():
    root = pathlib.Path(sys.argv[1])
    skipped = {"test", "tests", "site-packages", "dist-packages", "lib2to3", "idlelib", "__pycache__"}
    for path in sorted(root.rglob("*.py")):
        if skipped.isdisjoint(path.relative_to(root).parts):
            print(path, " ".join(imports(ast.parse(path.read_bytes()))), sep="\t")


main()
