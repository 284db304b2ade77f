import sys

from inventory import documents, pages, storage, supplier
from inventory.checks import GROUPS, run

MODULES = (storage, documents, pages, supplier)


def main(words):
    if words == ["--ready"]:
        return 0
    if words == ["--tiny"]:
        with storage.Session(storage.fill()) as session:
            print(session.scalar(storage.text("select count(*) from part")))
        return 0
    return run(GROUPS if words == ["--selftest"] else words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["--selftest"]))
