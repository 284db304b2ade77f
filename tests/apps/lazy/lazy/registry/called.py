import atexit
import copyreg
import logging

import lazy.registry
from lazy.registry import HANDLERS, make

logger = logging.getLogger("lazy.called")
logger.addHandler(logging.NullHandler())
MADE = make("made")
HANDLERS["stored"] = None
lazy.registry.COMMANDS.append("appended")


class Thing:
    pass


copyreg.pickle(Thing, lambda thing: (Thing, ()))
atexit.register(lambda: print("called: at exit"))
