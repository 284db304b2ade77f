"""Prints what a decompiler and `dis` make of a package in a launcher: LAUNCHER PACKAGE."""

import dis
import sys

import depyf
from attack import code_objects, unzipped


def main():
    launcher, package = sys.argv[1:]
    with open(launcher, "rb") as file:
        files = unzipped(file.read())
    for path, data in sorted(files.items()):
        if path.split("/")[0].split(".")[0] != package:
            continue
        print("file", path)
        for code in code_objects(data):
            try:
                print(depyf.decompile(code))
            except Exception as error:
                print("not decompiled:", code.co_name, error)
            dis.dis(code, depth=0)


if __name__ == "__main__":
    main()
