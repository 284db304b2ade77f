import decimal
import sys

from lazy import changes, classes, errors, names, registries, threads

GROUPS = {
    "names": names,
    "changes": changes,
    "classes": classes,
    "registries": registries,
    "errors": errors,
    "threads": threads,
}


def waits():
    before = "decimal" in sys.modules
    print("decimal is", "imported" if before else "not imported")
    decimal.Decimal(1)
    print("then it", "is" if "decimal" in sys.modules else "is not")
    sys.exit(before)


def main():
    for word in sys.argv[1:]:
        if word == "waits":
            waits()
        elif word == "traceback":
            errors.uncaught()
        else:
            for line in GROUPS[word].run():
                print(f"{word}:", *line)


if __name__ == "__main__":
    main()
