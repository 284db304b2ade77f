"""Says what is wrong with bills of materials: each one that is named by its path."""

import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document


def complaints(path):
    if path.endswith(".spdx.json"):
        return validate_full_spdx_document(parse_file(path))
    with open(path, encoding="utf-8") as file:
        complaint = JsonStrictValidator(SchemaVersion.V1_6).validate_str(file.read())
    return [complaint] if complaint else []


def main():
    found = [(path, complaint) for path in sys.argv[1:] for complaint in complaints(path)]
    for path, complaint in found:
        print(f"{path}: {complaint}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
