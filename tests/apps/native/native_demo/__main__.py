import sys

from native_demo import arrays, crypto, models
from native_demo.checks import GROUPS, run

MODULES = (arrays, crypto, models)

if __name__ == "__main__":
    wanted = sys.argv[1:] or ["all"]
    sys.exit(run(GROUPS if wanted == ["all"] else wanted))
