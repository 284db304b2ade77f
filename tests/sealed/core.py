"""The part that nobody is to read."""

import re

LAUNCH_CODE = "4711 is the launch code"


class Reactor:
    """Has a method that fails."""

    def start_the_reactor(self, heat):
        return heat / (self.rods - 3)

    rods = 3


def secret_word():
    return re.sub(r"launch.*pattern|launch", "hidden", LAUNCH_CODE)


def run(queue):
    queue.put(secret_word())
