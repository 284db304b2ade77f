import sys

from hello import modes


def main(args):
    mode = modes.MODES.get(args[0]) if args else None
    if mode is None:
        return modes.echo(*args)
    return mode(*args[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
