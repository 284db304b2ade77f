import sys

print("package", __name__, __spec__.name, sys.argv[1:])
