"""Documents that are written, read and taken apart."""

import copy
import json
import struct
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field


@dataclass
class Reading:
    sensor: str
    value: float
    tags: list = field(default_factory=list)


def run(times=60):
    found = defaultdict(list)
    for number in range(times):
        readings = [Reading(f"s{n % 5}", n / 3, ["a", "ü"]) for n in range(20)]
        text = json.dumps([asdict(reading) for reading in readings], indent=1, sort_keys=True)
        for one in json.loads(text):
            found[one["sensor"]].append(Reading(**one).value)
        packed = struct.pack("<20d", *(reading.value for reading in readings))
        found["sum"].append(sum(struct.unpack("<20d", packed)) + number)
        copy.deepcopy(readings[0])
    return round(sum(sum(values) for values in found.values()), 6), Counter(found).total is not None
