"""Makes tiny distributions for the tests of resolve: `python packages.py FOLDER`."""

import hashlib
import io
import sys
import tarfile
import zipfile
from pathlib import Path

# A build backend that needs nothing, so that building from source needs no index.
BACKEND = """
import zipfile
FILES = {
    "prt_source.py": "",
    "prt_source-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: prt-source\\nVersion: 1.0",
    "prt_source-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n",
    "prt_source-1.0.dist-info/RECORD": "",
}
def build_wheel(folder, settings=None, metadata=None):
    name = "prt_source-1.0-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as archive:
        for path, text in FILES.items():
            archive.writestr(path, text)
    return name
"""
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
METADATA = "Metadata-Version: 2.1\nName: {}\nVersion: {}\n"


def wheel(folder, name, version, requires=(), tag="py3-none-any"):
    """A wheel with one module and one script."""
    stem = name.replace("-", "_")
    info = f"{stem}-{version}.dist-info"
    metadata = METADATA.format(name, version) + "".join(f"Requires-Dist: {r}\n" for r in requires)
    files = {
        f"{stem}.py": f"VERSION = {version!r}\ndef main(): pass\n",
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {stem}:main\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{stem}-{version}-{tag}.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)


def sdist(folder):
    """A distribution of source only."""
    files = {
        "pyproject.toml": PROJECT + '[project]\nname = "prt-source"\nversion = "1.0"\n',
        "backend.py": BACKEND,
        "PKG-INFO": METADATA.format("prt-source", "1.0"),
    }
    with tarfile.open(folder / "prt_source-1.0.tar.gz", "w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"prt_source-1.0/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))


def index(folder, name):
    """A simple index (PEP 503) with the wheels of one name, in `folder/simple`."""
    page = folder / "simple" / name / "index.html"
    page.parent.mkdir(parents=True)
    wheels = sorted(folder.glob(f"{name.replace('-', '_')}-*.whl"))
    digests = [hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels]
    link = '<a href="../../{0}#sha256={1}">{0}</a>\n'
    page.write_text("".join(map(link.format, [wheel.name for wheel in wheels], digests)))


def main():
    """All of them."""
    folder = Path(sys.argv[1])
    wheel(folder, "prt-alpha", "1.0", ["prt-beta<2"])
    wheel(folder, "prt-beta", "1.0")
    wheel(folder, "prt-beta", "2.0")
    wheel(folder, "prt-gamma", "1.0", ["prt-beta>=2"])
    wheel(folder, "prt-foreign", "1.0", tag="cp311-cp311-win_amd64")
    sdist(folder)
    index(folder, "prt-beta")


main()
