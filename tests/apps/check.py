"""Run the cases of applications on a stock Python, twice, and optionally in a launcher."""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

APPS = Path(__file__).parent
FRAME = re.compile(r'^ *File "(?P<path>[^"]*)", line \d+(?:, in (?P<name>.*))?$')
WARNING = re.compile(r"^\S*?[^\s:]+:\d+: (?P<rest>\w*Warning: .*)$")


def shape(stderr):
    """What is left of stderr when sources, paths and addresses are not the same."""
    lines = []
    inside = False
    for line in stderr.splitlines():
        bare = re.sub(r"^[ +|-]*\| ?", "", line) if "|" in line[:12] else line
        if frame := FRAME.match(bare):
            inside = True
            path = frame["path"]
            if not (path.startswith("<frozen") or path.endswith(("/runpy.py", "<string>"))):
                lines.append(f"  in {frame['name']}")
        elif warning := WARNING.match(bare):
            inside = True
            lines.append(warning["rest"])
        elif inside and bare.startswith("  "):
            continue
        else:
            inside = False
            bare = re.sub(r"0x[0-9a-fA-F]+", "0x", bare)
            lines.append(re.sub(r"(?<![\w/])/[^\s'\"]*/", "", bare))
    return lines


def wanted(case, version):
    for clause in filter(None, case.get("python", "").split(",")):
        sign, *numbers = re.fullmatch(r"\s*(>=|<)\s*(\d+)\.(\d+)\s*", clause).groups()
        if (version >= tuple(map(int, numbers))) != (sign == ">="):
            return False
    return True


def run(command, case, env):
    base = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8"}
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [*command, *case.get("args", [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**base, **env, **case.get("env", {})},
            cwd=folder,
        )
        head = b""
        while "ready" in case:
            line = process.stdout.readline()
            head += line
            if not line or line.decode().strip() == case["ready"]:
                process.send_signal(signal.Signals["SIG" + case["signal"]])
                break
        try:
            out, err = process.communicate(case.get("stdin", "").encode(), timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            err += b"\nTIMEOUT"
    return process.returncode, head + out, err.decode(errors="replace")


def stock_command(app, python, deps):
    entry = tomllib.loads((app / "pyproject.toml").read_text())["tool"]["pyrmware"]["entry"]
    root = app / "src" if (app / "src").is_dir() else app
    path = [root, *filter(Path.is_dir, [app / "stock"]), *([deps / app.name] if deps else [])]
    env = {"PYTHONPATH": ":".join(map(str, path)), "PYTHONDONTWRITEBYTECODE": "1"}
    if ":" not in entry:
        return [python, "-m", entry], env
    module, function = entry.split(":")
    code = f"import sys; from {module} import {function}; sys.exit({function}())"
    return [python, "-c", code], env


def problems(case, runs, launcher):
    """Yield what is wrong; the first run is stock Python's, the last may be the launcher's."""
    code, out, err = runs[0]
    if b"!!" in out:
        yield "unexpected: " + b" | ".join(x for x in out.splitlines() if b"!!" in x).decode()
    for number, (other_code, other_out, other_err) in enumerate(runs):
        if other_code != case.get("exit", 0):
            yield f"run {number}: exit {other_code}: {other_err[-2000:]}"
        for text in case.get("expect", []) if launcher and number == len(runs) - 1 else []:
            if text not in other_out.decode():
                yield f"launcher: stdout lacks {text!r}"
        if "differs" in case or case.get("pyrmware-only"):
            continue
        if case.get("stdout", "same") == "same" and other_out != out:
            mine, theirs = out.decode().splitlines(), other_out.decode().splitlines()
            yield f"run {number}: stdout: {sorted(set(mine) ^ set(theirs))[:10]}"
        if case.get("stderr", "same") == "same" and shape(other_err) != shape(err):
            yield f"run {number}: stderr: {shape(err)} {shape(other_err)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--deps", type=Path, help="folder with one folder of wheels for each app")
    parser.add_argument("--launcher", help="compare this launcher too (one application)")
    parser.add_argument("--case", help="only cases whose name contains this")
    parser.add_argument("--show", action="store_true", help="print what the first run printed")
    parser.add_argument("apps", nargs="*")
    options = parser.parse_args()
    code = "import sys; print(*sys.version_info[:2])"
    version = tuple(map(int, subprocess.check_output([options.python, "-c", code]).split()))
    failed = 0
    apps = sorted(path.parent for path in APPS.glob("*/cases.toml"))
    for app in [APPS / name for name in options.apps] or apps:
        command, env = stock_command(app, options.python, options.deps)
        cases = tomllib.loads((app / "cases.toml").read_text())["case"]
        assert len({case["name"] for case in cases}) == len(cases), "two cases of one name"
        for case in cases:
            if not wanted(case, version) or options.case and options.case not in case["name"]:
                continue
            runs = [] if case.get("pyrmware-only") else [run(command, case, env) for _ in "12"]
            if options.launcher:
                runs.append(run([options.launcher], case, {}))
            if options.show and runs:
                print(runs[0][1].decode(), "\n".join(shape(runs[0][2])), sep="--- stderr\n")
            for problem in problems(case, runs, options.launcher) if runs else ():
                failed += 1
                print(f"{app.name}/{case['name']}: {problem}")
    print(f"{failed} problems on Python {version[0]}.{version[1]}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
