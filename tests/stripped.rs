//! Bytecode that tells no more than it must: it does the same, and what is out is out of the payload.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::task::Task;
use crate::support::{self, Image};

const MAIN: &str = r#"
import sys

from shed import open, work

print(open.kept(2), work.same(), work.Session().enter(sys.argv[1], "more", strict=True, one=1))
"#;

const WORK: &str = r#"
"""Secret text of the module."""

import json
import warnings
from dataclasses import dataclass

from shed import look

TABLE = {letter: place for place, letter in enumerate("abc")}
letter = "not the comprehension's"


def decorated(function):
    return function


@dataclass
class Point:
    """Secret text of a class."""

    x: int
    y: int = 0


class Session:
    limit = max(number for number in range(3))

    @decorated
    def enter(self, text, *more, strict=False, **options):
        """Secret text of a method."""
        assert text != "5", "secret assertion"
        hidden_list = [hidden_item + self.limit for hidden_item in range(2)]
        shared = sum(hidden_list)

        def inner():
            hidden_inner = shared
            return hidden_inner

        hidden_answer = json.loads(
            text,
        )
        return inner(), hidden_answer, more, strict, options


def counts(most):
    for hidden_count in range(most):
        yield hidden_count


async def waits():
    hidden_result = [hidden_value async for hidden_value in ticks()]
    return hidden_result


async def ticks():
    yield 1


def same():
    try:
        waits().send(None)
    except StopIteration as hidden_end:
        result = hidden_end.value
    return TABLE, letter, Point(1), look.looks(1), list(counts(3)), result, Session.enter.__name__
"#;

/// Has names that are looked at.
const LOOK: &str = r#"
def looks(own):
    seen = own + 1
    return sorted(locals())
"#;

/// Is told apart in the configuration.
const OPEN: &str = r#"
def kept(number):
    """Known text."""
    assert number, "known assertion"
    known = number + 1
    return known
"#;

const OPTIMIZE: &str = "\
[tool.pyrmware.optimize]
docstrings = \"strip\"
assertions = \"strip\"
lines = \"strip\"
file-names = \"strip\"
names = \"strip\"
";

/// What the code objects of a module tell, those of statements that wait among them.
const TELL: &str = r#"
import importlib.util, json, marshal, sys, types
data = importlib.util.find_spec("shed").loader.get_data(f"{sys.executable}/{sys.argv[1]}")
number = lambda at: int.from_bytes(data[at:at + 4], "little")
left, found, table = [marshal.loads(data[16:])], [], number(8)
for record in range(table + 4, table + 4 + 20 * number(table) if table else 0, 20):
    left.append(marshal.loads(data[table + number(record + 12):]))
while left:
    code = left.pop()
    left += [inner for inner in code.co_consts if isinstance(inner, types.CodeType)]
    found.append({
        "name": code.co_name, "file": code.co_filename, "first": code.co_firstlineno,
        "lines": sorted({line for *_, line in code.co_lines() if line is not None}),
        "variables": code.co_varnames, "cells": code.co_cellvars,
    })
print(json.dumps(found))
"#;

/// That application, and its launcher.
struct Shed {
    project: TempDir,
    image: Image,
}

static SHED: LazyLock<Shed> = LazyLock::new(|| {
    let modules = [("__main__.py", MAIN), ("work.py", WORK), ("look.py", LOOK), ("open.py", OPEN)];
    let files = [[("__init__.py", "")].as_slice(), &modules].concat();
    let open = "[tool.pyrmware.optimize.packages.\"shed.open\"]\ndocstrings = \"keep\"\n\
                assertions = \"keep\"\nlines = \"keep\"\nfile-names = \"keep\"\nnames = \"keep\"\n";
    let project = project("shed", "", &files, &format!("{OPTIMIZE}{open}"));
    let out = support::scratch().join("images/stripped");
    let image = image(project.path(), &out);
    Shed { project, image }
});

fn project(name: &str, dependencies: &str, files: &[(&str, &str)], optimize: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let package = folder.path().join(name);
    fs::create_dir(&package).expect("a folder is made");
    let table = format!(
        "[project]\nname = \"{name}\"\nversion = \"1.0\"\nrequires-python = \">=3.10\"\n\
         dependencies = [{dependencies}]\n[tool.pyrmware]\nentry = \"{name}\"\n{optimize}"
    );
    fs::write(folder.path().join("pyproject.toml"), table).expect("it is written");
    for (file, text) in files {
        fs::write(package.join(file), text).expect("it is written");
    }
    folder
}

fn image(project: &Path, out: &Path) -> Image {
    Image::of(&support::dist(project, out).args(support::python()).run().success())
}

/// The interpreter whose bytecode is in launchers.
fn python() -> Task {
    let plan = support::plan("hello");
    Task::new(plan["interpreter"]["program"].as_str().expect("a program"))
}

impl Shed {
    /// What a module's code objects tell, and its bytes.
    fn told(&self, path: &str) -> Vec<Value> {
        let task = Task::new(&self.image.launcher).env("PYRMWARE_PYTHON", "1");
        let told = task.args(["-c", TELL, path]).run().success();
        serde_json::from_str(&told.out()).expect("it is JSON")
    }

    fn holds(&self, text: &str) -> bool {
        let launcher = fs::read(&self.image.launcher).expect("it can be read");
        memchr::memmem::find(&launcher, text.as_bytes()).is_some()
    }
}

#[test]
fn a_stripped_application_does_the_same() {
    let folder = SHED.project.path();
    let stock = python().clean_env().env("PYTHONPATH", folder).args(["-m", "shed", "{}"]).run();
    let stock = stock.success();
    let ours = SHED.image.alone().task().arg("{}").run().success();
    assert_eq!(ours.out(), stock.out());
    assert_eq!(ours.err(), "");
    // `python3 -O` does not mind either.
    assert!(SHED.image.alone().task().arg("5").run().success().out().contains("5"));
}

#[test]
fn what_is_stripped_is_not_in_the_payload() {
    for gone in ["ecret text", "ecret assertion", "hidden_"] {
        assert!(!SHED.holds(gone), "{gone}");
    }
    for code in SHED.told("shed/work.pyc") {
        assert_eq!(code["file"], "<module shed.work>", "{code}");
        // The launcher goes by the lines of what names wait in.
        if code["name"] != "<module>" {
            assert_eq!(code["lines"], serde_json::json!([code["first"]]), "{code}");
        }
        let wanted = match code["name"].as_str().expect("a name") {
            "enter" => ["self", "text", "strict", "more", "options"].as_slice(),
            "counts" => &["most"],
            _ => continue,
        };
        let variables = code["variables"].as_array().expect("a list");
        assert_eq!(variables[..wanted.len()], *wanted, "{code}");
    }
    let report = &SHED.image.report["transforms"]["shed.work"];
    for key in ["docstrings", "assertions", "lines", "file_names", "names"] {
        assert_eq!(report[format!("without_{key}")], true, "{report}");
    }
}

#[test]
fn a_package_is_told_apart() {
    for there in ["Known text.", "known assertion"] {
        assert!(SHED.holds(there), "{there}");
    }
    let told = SHED.told("shed/open.pyc");
    let kept = told.iter().find(|code| code["name"] == "kept").expect("it is there");
    assert_eq!(kept["file"], "shed/open.py");
    assert!(kept["lines"].as_array().is_some_and(|lines| lines.len() > 1), "{kept}");
    assert_eq!(kept["variables"], serde_json::json!(["number", "known"]));
    // Who asks for them has them.
    let told = SHED.told("shed/look.pyc");
    let looks = told.iter().find(|code| code["name"] == "looks").expect("it is there");
    assert_eq!(looks["variables"], serde_json::json!(["own", "seen"]));
    // The launcher's own half in Python tries on those of its own whether it can tell who holds memory.
    for keeps in ["shed.look", "_pyrmware_runtime.graph"] {
        assert_eq!(SHED.image.report["transforms"][keeps]["without_names"], false, "{keeps}");
    }
    let report = &SHED.image.report["transforms"]["shed.open"];
    assert!(report.is_null() || report["without_lines"] == false, "{report}");
}

#[test]
fn its_tracebacks_become_readable() {
    let ended = SHED.image.alone().task().arg("nonsense").run().exits(1);
    let log = ended.err();
    assert!(log.contains("  File \"<module shed.work>\", line "), "{log}");
    assert!(!log.contains("work.py"), "{log}");
    let symbols = SHED.image.folder.join("symbols");
    let words = ["symbolicate", "--symbols"];
    let task = support::xtask().args(words).arg(&symbols).arg("-").stdin(log);
    let read = task.run().success();
    let source = SHED.project.path().canonicalize().expect("it is there").join("shed/work.py");
    let first = WORK.lines().position(|line| line == "    @decorated").expect("it is there") + 1;
    let wanted =
        format!("  File \"{}\", line {first}, in enter\n    @decorated\n", source.display());
    assert!(read.out().contains(&wanted), "{read}");
    assert!(read.err().contains("have the line in which their function begins"), "{read}");
}

/// One line for each package: whether it works.
const NEEDS: &str = r#"
"""Feeds cats.

Usage: needs [--times=N]
"""

import contextlib
import io
import traceback
import warnings


def greet():
    """Greets whoever is there."""


def uses_docopt():
    import docopt

    return docopt.docopt(__doc__, ["--times=3"])["--times"] == "3"


def uses_click():
    import click

    command = click.command()(greet)
    return "Greets whoever" in command.get_help(click.Context(command))


def uses_fire():
    import fire

    out = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stderr(out):
        with contextlib.redirect_stdout(out):
            fire.Fire(greet, ["--help"])
    return "Greets whoever" in out.getvalue()


def uses_pycparser():
    from pycparser import c_parser

    return c_parser.CParser().parse("int x;").ext[0].name == "x"


def uses_jsonpath_ng():
    import jsonpath_ng

    return jsonpath_ng.parse("a.b").find({"a": {"b": 1}})[0].value == 1


def uses_dateutil():
    from dateutil import tz

    try:
        tz.tzstr("EST5EDT,M4:1:0,M10.5.0")
    except ValueError:
        return True
    return False


def uses_jedi():
    import jedi

    from jedi.inference import sys_path

    module = jedi.Script("import sys\npaths = sys.path\n", path="x.py")._get_module_context()
    return sys_path.check_sys_path_modifications(module) == []


warnings.simplefilter("ignore")
for name, use in list(globals().items()):
    if name.startswith("uses_"):
        try:
            print(name[5:], use())
        except (Exception, SystemExit):
            print(name[5:], False)
            traceback.print_exc()
"#;

const NEEDED: [&str; 7] =
    ["docopt", "click", "fire", "pycparser", "jsonpath_ng", "dateutil", "jedi"];

fn needs(name: &str, apart: &str) -> Vec<(String, bool)> {
    let dependencies = "\"docopt-ng==0.9.0\", \"click==8.1.8\", \"fire==0.7.1\", \"pycparser==2.22\", \
                        \"jsonpath-ng==1.7.0\", \"python-dateutil==2.9.0.post0\", \"jedi==0.19.2\"";
    let files = [("__init__.py", ""), ("__main__.py", NEEDS)];
    let project = project("needs", dependencies, &files, &format!("{OPTIMIZE}{apart}"));
    let image = image(project.path(), &support::scratch().join("images").join(name));
    let out = image.alone().task().run().success().out();
    let line = |line: &str| {
        let (name, works) = line.split_once(' ').expect("two words");
        (name.to_owned(), works == "True")
    };
    out.lines().map(line).collect()
}

#[test]
fn what_is_needed_is_kept_unless_it_is_named() {
    let all = |works: bool| NEEDED.map(|name| (name.to_owned(), works)).to_vec();
    assert_eq!(needs("needs", ""), all(true));
    let apart = NEEDED.iter().chain(["needs"].iter()).map(|name| {
        format!(
            "[tool.pyrmware.optimize.packages.{name}]\ndocstrings = \"strip\"\nassertions = \"strip\"\n"
        )
    });
    assert_eq!(needs("needs-not", &apart.collect::<String>()), all(false));
}
