import sys

from layout import (
    disk,
    frames,
    imports,
    messages,
    metadata,
    namespaces,
    paths,
    pickles,
    real,
    resource,
)
from layout.checks import GROUPS, run

MODULES = (disk, frames, imports, messages, metadata, namespaces, paths, pickles, real, resource)


class Local:
    """Pickled as `__main__.Local`."""

    def __init__(self, value):
        self.value = value

    class Inner:
        pass


def main():
    wanted = sys.argv[1:] or ["all"]
    if wanted == ["dropped"]:
        return imports.dropped()
    sys.exit(run(GROUPS if wanted == ["all"] else wanted))


if __name__ == "__main__":
    main()
