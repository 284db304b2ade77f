"""Prints, as one JSON object, what the `_sysconfigdata_*.py` of another machine's Python says.

The file is a dictionary that is written out; nothing of it is run.
"""

import ast
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    tree = ast.parse(file.read())
values = next(ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign))
json.dump({name: str(value) for name, value in values.items()}, sys.stdout)
