"""sys.executable used as what it says that it is: a Python."""

import asyncio
import os
import subprocess
import sys
import sysconfig

from procs.checks import check

# A supervisor or a launcher may need these itself; the application sees its own only.
MODULE = [sys.executable, "-m", "procs.child"]


def run(args, **more):
    done = subprocess.run(args, capture_output=True, timeout=60, **more)
    error = done.stderr.decode().strip().splitlines()
    return done.returncode, done.stdout, error[-1] if error else ""


@check
def with_code():
    yield run(
        [sys.executable, "-c", "import sys; print(sys.argv, __name__)", "one", "-x", "--", "-c"]
    )
    yield run([sys.executable, "-c", "import sys; sys.exit('text')"])
    yield run(
        [
            sys.executable,
            "-c",
            "import procs.child, json; print(procs.child.__name__, json.dumps(1))",
        ]
    )
    yield run([sys.executable, "-c", "1/0"]), run([sys.executable, "-c", "def"])
    yield run([sys.executable, "-c", "print(input())"], input=b"answer\n")
    code = "import sys; print(sys.executable == sys.argv[1])"
    yield run([sys.executable, "-c", code, sys.executable])


@check
def with_module():
    yield (
        run([*MODULE, "facts", "one", "--two", "-c", "-m"]),
        run([sys.executable, "-m", "procs.package", "x"]),
    )
    yield (
        run([*MODULE, "copy"], input=bytes(range(256)) * 500)[1] == (bytes(range(256)) * 500)[::-1]
    )
    yield run([*MODULE, "exit", "3"]), run([*MODULE, "raise"])
    yield (
        run([*MODULE, "bytes", b"\xff\xfe", "ü", ""]),
        run([sys.executable, "-m", "json.tool"], input=b"[1]"),
    )
    code, out, error = run([sys.executable, "-m", "procs.no_such_module"])
    yield code, out, error.rpartition(": ")[2]


@check
def environments():
    paths = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
    yield run(
        [sys.executable, "-c", "import os; print(sorted(os.environ.keys() - {'LC_CTYPE'}))"], env={}
    )
    yield run([*MODULE, "facts"], env=paths)
    yield (
        run([*MODULE, "environ"], env={**paths, "DEMO": "1"})[1]
        .replace(b"'PYTHONPATH'", b"")
        .count(b"PY")
    )
    yield run([*MODULE, "facts"], env=paths, cwd="/"), run([*MODULE, "facts"], close_fds=True)
    yield run([*MODULE, "facts"], start_new_session=True), run([*MODULE, "facts"], umask=0o77)


@check
def options():
    code = "import sys; print({})"
    for flags, what in (
        (["-I"], "sys.flags.isolated"),
        (["-E"], "sys.flags.ignore_environment"),
        (["-X", "demo=1"], "sys._xoptions"),
        (["-W", "error::UserWarning"], "sys.warnoptions"),
        (["-u"], "sys.stdout.write_through"),
        (["-B"], "sys.dont_write_bytecode"),
        (["-s", "-S"], "sys.flags.no_site"),
        (["-bb"], "sys.flags.bytes_warning"),
    ):
        yield flags, run([sys.executable, *flags, "-c", code.format(what)])
    yield run(
        [sys.executable, "-W", "error", "-c", "import warnings; warnings.warn('now an error')"]
    )[0]
    inherited = subprocess._args_from_interpreter_flags()
    yield (
        # A launcher is always isolated and without site, and so are its children.
        [flag for flag in inherited if flag not in ("-B", "-I", "-S")],
        run([sys.executable, *inherited, "-m", "procs.child", "facts"])[0],
    )
    yield run([sys.executable, "-V"])[1].decode().strip() == "Python " + ".".join(
        map(str, sys.version_info[:3])
    )
    yield sysconfig.get_python_version()


@check
def with_asyncio():
    async def main():
        process = await asyncio.create_subprocess_exec(
            *MODULE, "copy", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate(b"abc")
        other = await asyncio.create_subprocess_exec(*MODULE, "exit", "5")
        return out, process.returncode, await other.wait()

    yield asyncio.run(main())


@check
def nested():
    """A child that starts a child of its own, three deep and no deeper."""
    code = """if True:
        import subprocess, sys
        depth = int(sys.argv[2])
        print("depth", depth, flush=True)
        if depth:
            subprocess.run([sys.executable, "-c", sys.argv[1], sys.argv[1], str(depth - 1)])
    """
    yield run([sys.executable, "-c", code, code, "2"])
