import sys

from inventory import documents, pages, storage
from inventory.checks import GROUPS, run

MODULES = (storage, documents, pages)

if __name__ == "__main__":
    wanted = sys.argv[1:] or ["all"]
    sys.exit(run(GROUPS if wanted == ["all"] else wanted))
