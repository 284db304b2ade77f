"""Where data is asked for as a real file: by the kernel, by C code, by another process."""

import mmap
import os
import subprocess
import sys
from importlib import resources

from layout.checks import check

HERE = os.path.dirname(__file__)


@check
def real_files():
    """as_file must give a path that another process can open."""
    with resources.as_file(resources.files("layout").joinpath("assets/one.txt")) as path:
        yield path.read_text()  # the path of a memory file has no suffix
        yield subprocess.run(["/bin/cat", path], capture_output=True).stdout
    if sys.version_info >= (3, 12):
        with resources.as_file(resources.files("layout").joinpath("assets")) as path:
            done = subprocess.run(["/bin/cat", path / "deep" / "three.txt"], capture_output=True)
            yield done.stdout, sorted(item.name for item in path.iterdir())


@check
def with_descriptors():
    """What goes below Python's file objects: for an in-memory file the hardest part."""
    path = os.path.join(HERE, "texts", "en.txt")
    with open(path, "rb") as file:
        yield file.fileno() > 2, os.fstat(file.fileno()).st_size, file.isatty()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as area:
            yield area[:5]
    descriptor = os.open(path, os.O_RDONLY)
    yield os.read(descriptor, 5)
    os.close(descriptor)
