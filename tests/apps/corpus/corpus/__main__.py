"""`corpus NAME`: run a program until it is ended. `corpus --list`: which there are."""

import sys

from . import counted, held, steady, unseen


def programs():
    modules = [held, counted, unseen, steady]
    return {program.__name__: program for module in modules for program in module.PROGRAMS}


def main(name):
    if name == "--list":
        for name, program in programs().items():
            print(f"{name}: {program.__doc__.split('.')[0]}")
    elif name == "prompt_filters":
        from .prompts import prompt_filters

        prompt_filters()
    else:
        programs()[name]()


if __name__ == "__main__":
    main(sys.argv[1])
