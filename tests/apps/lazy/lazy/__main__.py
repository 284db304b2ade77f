import decimal
import re
import sys

from lazy import changes, classes, errors, later, names, patterns, registries, threads

GROUPS = {
    "names": names,
    "changes": changes,
    "classes": classes,
    "registries": registries,
    "errors": errors,
    "threads": threads,
    "later": later,
    "patterns": patterns,
}


def waits():
    before = "decimal" in sys.modules
    print("decimal is", "imported" if before else "not imported")
    decimal.Decimal(1)
    print("then it", "is" if "decimal" in sys.modules else "is not")
    sys.exit(before)


def parses():
    """What is written out was compiled when the launcher was built."""
    parser = sys.modules.get("re._parser") or sys.modules["sre_parse"]
    parse = parser.parse
    parser.parse = lambda text, *rest: print("parsed:", text) or parse(text, *rest)
    re.compile(r"written\s+(?:out|down)")
    re.compile(r"made{}".format("+"))
    print("that is all")


def main():
    for word in sys.argv[1:]:
        if word == "waits":
            waits()
        elif word == "parses":
            parses()
        elif word == "traceback":
            errors.uncaught()
        else:
            for line in GROUPS[word].run():
                print(f"{word}:", *line)


if __name__ == "__main__":
    main()
