"""Text: regular expressions, formatting, splitting."""

import re
import string
import textwrap
from datetime import date, timedelta

LINE = re.compile(r"(?P<day>\d{4}-\d\d-\d\d) \[(?P<level>\w+)\] (?P<text>.*)")
WORD = re.compile(r"[A-Za-zäöüß]+")
TEMPLATE = string.Template("$day [$level] $text")
TEXT = "the pump on line seven lost pressure, häufig in the night "


def is_long(text):
    return len(text) > 8


def run(times=150):
    total = 0
    for number in range(times):
        day = date(2024, 2, 28) + timedelta(days=number)
        line = TEMPLATE.substitute(day=day, level="info", text=TEXT * 3)
        match = LINE.fullmatch(line)
        total += len(match["level"]) + sum(map(is_long, WORD.findall(match["text"])))
        total += len(re.sub(r"\s+", "-", match["text"]))
        total += len(textwrap.wrap(match["text"], 40)) + len(f"{number:>8}|{day:%d.%m.%Y}")
    return total
