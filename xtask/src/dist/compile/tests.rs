//! The canonical form on real code, and the stage on small trees.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::worker::{SCRIPT, Worker};
use super::*;
use crate::config::{Config, Flags};
use crate::dist::compile::marshal::{Lines, Strip};
use crate::dist::transform::{Deferral, Part};
use crate::paths::Paths;
use crate::python::{Interpreter, candidates};

/// One interpreter of each minor version that this machine has.
fn interpreters() -> Vec<Interpreter> {
    let mut found = BTreeMap::new();
    for program in candidates() {
        if let Ok(interpreter) = Interpreter::at(&program)
            && interpreter.version >= (3, 10)
        {
            found.entry(interpreter.version).or_insert(interpreter);
        }
    }
    found.into_values().collect()
}

fn code(worker: &mut Worker, filename: &str, source: &[u8]) -> Option<Vec<u8>> {
    match worker
        .compile(&Request { filename, source, neutral: None, form: &Form::plain() })
        .unwrap()
    {
        Answer::Code { marshalled, .. } => Some(marshalled),
        Answer::Fault(fault) => panic!("{fault}"),
        Answer::Refused(_) => None,
    }
}

/// Imports a lot, so that many constants are interned or referred to by others.
const BUSY: &str = "import asyncio, ast, http.server, unittest, xml.dom.minidom, email.mime.text, decimal\n\
                    import inspect, pydoc, logging.config, argparse, concurrent.futures, multiprocessing\n";

/// Compares what is loaded from pairs of files: code objects field by field, constants with their types.
const COMPARE: &str = r#"
import marshal, pathlib, sys, types
def same(a, b, where):
    assert type(a) is type(b), (where, a, b)
    if isinstance(a, types.CodeType):
        for name in sorted(n for n in dir(a) if n.startswith("co_") and not callable(getattr(a, n))):
            if name != "co_lnotab":
                same(getattr(a, name), getattr(b, name), f"{where}.{name}")
    elif isinstance(a, tuple):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b)):
            same(x, y, f"{where}[{i}]")
    elif isinstance(a, frozenset):
        assert sorted(map(repr, a)) == sorted(map(repr, b)), where
    else:
        assert repr(a) == repr(b), (where, a, b)
folder = pathlib.Path(sys.argv[1])
for plain in sorted(folder.glob("*.plain")):
    canonical = plain.with_suffix(".canonical").read_bytes()
    same(marshal.loads(plain.read_bytes()), marshal.loads(canonical), plain.name)
"#;

/// Compiles `files` twice, in a fresh process and in a busy one in the opposite order, and compares.
fn check(interpreter: &Interpreter, files: &[PathBuf]) {
    let temporary = tempfile::tempdir().unwrap();
    let mut fresh = Worker::start(interpreter, true).unwrap();
    let mut busy = Worker::start_with(interpreter, true, &format!("{BUSY}{SCRIPT}")).unwrap();
    let mut canonical = BTreeMap::new();
    for (i, file) in files.iter().enumerate() {
        let Some(plain) = code(&mut fresh, "x.py", &std::fs::read(file).unwrap()) else { continue };
        let form = marshal::canonical(&plain, interpreter.version, Strip::default()).unwrap();
        assert_eq!(
            marshal::canonical(&form, interpreter.version, Strip::default()).unwrap(),
            form,
            "{file:?}"
        );
        std::fs::write(temporary.path().join(format!("{i}.plain")), &plain).unwrap();
        std::fs::write(temporary.path().join(format!("{i}.canonical")), &form).unwrap();
        canonical.insert(file, (plain, form));
    }
    let (mut differ, mut wrong) = (0, Vec::new());
    for file in files.iter().rev() {
        let Some((plain, form)) = canonical.get(file) else { continue };
        let other = code(&mut busy, "x.py", &std::fs::read(file).unwrap()).unwrap();
        differ += usize::from(*plain != other);
        if marshal::canonical(&other, interpreter.version, Strip::default()).unwrap() != *form {
            wrong.push(file);
        }
    }
    let (total, version) = (canonical.len(), &interpreter.full_version);
    println!(
        "{version}: {total} files, {differ} marshalled differently, {wrong:?} in canonical form"
    );
    assert!(wrong.is_empty(), "{version}: {wrong:?}");
    let output =
        interpreter.command().args(["-c", COMPARE]).arg(temporary.path()).output().unwrap();
    assert!(output.status.success(), "{version}: {}", String::from_utf8_lossy(&output.stderr));
}

fn python_files(folder: &Path) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().flatten();
    let wanted = |path: &PathBuf| {
        path.extension().is_some_and(|suffix| suffix == "py")
            && !path.components().any(|part| part.as_os_str() == "site-packages")
    };
    files.map(walkdir::DirEntry::into_path).filter(wanted).collect()
}

#[test]
fn the_state_of_the_worker_does_not_show_in_the_bytecode() {
    for interpreter in interpreters() {
        let names = ["argparse.py", "enum.py", "tarfile.py", "typing.py", "html/entities.py"];
        check(&interpreter, &names.map(|name| interpreter.stdlib.join(name)));
    }
}

#[test]
#[ignore = "minutes: compiles every file of every standard library of this machine twice"]
fn the_state_of_the_worker_does_not_show_in_the_standard_library() {
    for interpreter in interpreters() {
        check(&interpreter, &python_files(&interpreter.stdlib));
    }
}

/// A plan of the workspace's smallest application that keeps its results in `target`.
fn plan(target: &Path) -> Plan {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let project = root.join("tests/apps/hello");
    let paths = Paths { app: root.join("app"), root, target: target.to_owned() };
    let flags = Flags { project: Some(project), device: "host".to_owned(), ..Flags::default() };
    crate::dist::resolve::run(Config::within(paths, &flags).unwrap()).unwrap()
}

/// Kept modules: name, kind, origin and content, which is written into `folder`.
fn kept(folder: &Path, modules: &[(&str, Kind, Origin, &[u8])]) -> Kept {
    let mut kept = Kept::default();
    for (name, kind, origin, content) in modules {
        let path = format!("{name}.py");
        let file = folder.join(&path);
        std::fs::write(&file, content).unwrap();
        let module =
            Module { kind: *kind, package: false, file: Some(file), path, origin: origin.clone() };
        kept.graph.tree.modules.insert(name.to_string(), module);
    }
    kept
}

fn dependency() -> Origin {
    Origin::Dependency("six".to_owned())
}

#[test]
fn only_what_changed_is_compiled() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = plan(folder.path());
    let modules = |a: &'static str| {
        let source = |text: &'static str| (Kind::Source, Origin::Application, text.as_bytes());
        let [a, b] = [source(a), source("y = 2")];
        kept(folder.path(), &[("a", a.0, a.1, a.2), ("b", b.0, b.1, b.2)])
    };
    let first = run(&plan, modules("x = 1").into()).unwrap();
    assert_eq!(first.fresh, 2);
    let pyc = std::fs::read(&first.bytecode["a"]).unwrap();
    assert_eq!(pyc[..2], plan.interpreter.magic.to_le_bytes());
    assert_eq!(pyc[2..8], *b"\r\n\x01\0\0\0", "never checked against a source");
    assert_eq!(pyc[8..16], [0; 8], "no lazy bindings");

    let second = run(&plan, modules("x = 2").into()).unwrap();
    assert_eq!(second.fresh, 1);
    assert_eq!(second.bytecode["b"], first.bytecode["b"]);
    assert_ne!(second.bytecode["a"], first.bytecode["a"]);

    // Nothing to do: no Python is started, so that it does not matter that there is none.
    plan.interpreter.program = "/nonexistent/python3".into();
    assert_eq!(run(&plan, modules("x = 1").into()).unwrap().bytecode, first.bytecode);
    let error = run(&plan, modules("x = 3").into()).unwrap_err();
    assert_eq!(error.to_string(), "starting /nonexistent/python3 to compile modules");
}

#[test]
fn the_application_s_mistakes_end_the_build() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path());
    let source = b"def f():\n    return 1 +\n";
    let modules = [("main", Kind::Source, Origin::Application, &source[..])];
    let error = run(&plan, kept(folder.path(), &modules).into()).unwrap_err().to_string();
    let file = folder.path().join("main.py");
    assert_eq!(error, format!("{}:2: invalid syntax\n    return 1 +", file.display()));
}

#[test]
fn others_mistakes_are_left_out_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path());
    let modules = [
        ("fine", Kind::Source, dependency(), &b"'\\d' is 'x'\n"[..]),
        ("latin", Kind::Source, dependency(), &b"# coding: latin-1\ns = '\xe9'\n"[..]),
        ("nested", Kind::Source, dependency(), &[b'('; 5000]),
        ("nul", Kind::Source, Origin::Stdlib, &b"x = 1\0"[..]),
        ("old", Kind::Source, dependency(), &b"\nexec 'x' in {}\n"[..]),
        ("utf", Kind::Source, dependency(), &b"s = '\xe9'\n"[..]),
    ];
    let compiled = run(&plan, kept(folder.path(), &modules).into()).unwrap();
    let shipped: Vec<_> = compiled.bytecode.keys().collect();
    assert_eq!(shipped, ["fine", "latin"]);
    assert_eq!(compiled.fresh, 2);
    let dropped = &compiled.kept.dropped;
    assert_eq!(dropped.keys().collect::<Vec<_>>(), ["nested", "nul", "old", "utf"]);
    assert!(compiled.kept.graph.tree.modules.keys().eq(["fine", "latin"]));
    assert!(dropped["old"].starts_with("cannot be compiled: "), "{}", dropped["old"]);
    assert!(dropped["old"].ends_with(" (old.py:2)"), "{}", dropped["old"]);
}

#[test]
fn bytecode_of_a_dependency_must_be_for_this_python() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path());
    let modules = [("old", Kind::Bytecode, dependency(), &b"\xb3\xf2\r\n0123456789ab"[..])];
    let error = run(&plan, kept(folder.path(), &modules).into()).unwrap_err().to_string();
    let expected = format!(
        "{} of six is bytecode with magic number 62131, Python {} takes {}; install a version of it that \
         has sources or was made for this Python, or leave it out: [tool.pyrmware.prune] drop = [\"old\"]",
        folder.path().join("old.py").display(),
        plan.interpreter.full_version,
        plan.interpreter.magic
    );
    assert_eq!(error, expected);
    for damaged in [b"".to_vec(), plan.interpreter.magic.to_le_bytes().to_vec()] {
        let modules = [("old", Kind::Bytecode, dependency(), &damaged[..])];
        assert!(run(&plan, kept(folder.path(), &modules).into()).is_err());
    }
}

#[test]
fn bytecode_of_a_dependency_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path());
    let mut worker = Worker::start(&plan.interpreter, true).unwrap();
    let mut pyc = plan.interpreter.magic.to_le_bytes().to_vec();
    pyc.extend([0; 14]);
    pyc.extend(code(&mut worker, "/home/somebody/six.py", b"def f(): pass").unwrap());
    let modules = [("six", Kind::Bytecode, dependency(), &pyc[..])];
    let compiled = run(&plan, kept(folder.path(), &modules).into()).unwrap();
    let adopted = std::fs::read(&compiled.bytecode["six"]).unwrap();
    let holds = |text: &[u8]| adopted.windows(text.len()).any(|window| window == text);
    assert!(holds(b"six.py") && !holds(b"somebody"));
}

#[test]
fn sysconfig_forgets_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = plan(folder.path());
    plan.interpreter.prefix = "/home/me/py".into();
    let source = format!(
        "build_time_vars = {{'LIBDIR': '/home/me/py/lib', 'abs_builddir': '/tmp/build/py', 'Py_DEBUG': 0,\n\
         'CFLAGS': '-O2 -I/tmp/build/py/Include -I{}/include -g', 'SOABI': 'cpython-311'}}\n",
        folder.path().display()
    );
    let name = "_sysconfigdata__linux_x86_64-linux-gnu";
    let modules = [(name, Kind::Source, Origin::Stdlib, source.as_bytes())];
    let compiled = run(&plan, kept(folder.path(), &modules).into()).unwrap();
    let pyc = &compiled.bytecode[name];
    let script = "import marshal, sys\nscope = {}\n\
                  exec(marshal.loads(open(sys.argv[1], 'rb').read()[16:]), scope)\n\
                  print(scope['build_time_vars'], end='')";
    let output = plan.interpreter.command().args(["-c", script]).arg(pyc).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "{'CFLAGS': '-O2 -g', 'LIBDIR': '/usr/lib', 'Py_DEBUG': 0, 'SOABI': 'cpython-311', 'abs_builddir': ''}"
    );
}

#[test]
fn a_form_that_does_not_fit_its_source_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path());
    let deferral = |statement, name: &str| Deferral {
        names: vec![name.to_owned()],
        parts: vec![(statement, Part::Whole(()))],
    };
    let modules = [("a", Kind::Source, Origin::Application, &b"def f(): pass\n"[..])];
    for (defer, fault) in [
        (deferral(0, "g"), "g: not bound by line 1"),
        (deferral(7, "f"), "f: there is no statement 7"),
    ] {
        let mut transformed = Transformed::from(kept(folder.path(), &modules));
        let form = Form { defer: vec![defer], marker: Some("a.py".to_owned()), ..Form::plain() };
        transformed.forms.insert("a".to_owned(), form);
        let error = run(&plan, transformed).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("compiling module a (a.py): {fault}. Pyrmware")),
            "{error}"
        );
    }
}

#[test]
fn docstrings_go_and_no_dataclass_makes_one_of_its_signature() {
    let source = b"from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Bolt:\n    'of steel'\n\
                   class Nut:\n    'of brass'\n";
    for interpreter in interpreters() {
        let mut worker = Worker::start(&interpreter, true).unwrap();
        let form = Form { docstrings: false, ..Form::plain() };
        let request = Request { filename: "m.py", source, neutral: None, form: &form };
        let Answer::Code { marshalled, .. } = worker.compile(&request).unwrap() else {
            panic!("it compiles");
        };
        let has = |text: &str| memchr::memmem::find(&marshalled, text.as_bytes()).is_some();
        assert!(has("Bolt(...)") && !has("Nut(...)") && !has("of "));
    }
}

/// Loads stripped code, looks at every code object, and runs it.
const STRIPPED: &str = r#"
import marshal, sys, types
code = marshal.load(sys.stdin.buffer)
left, variables = [code], {}
while left:
    inner = left.pop()
    left += [constant for constant in inner.co_consts if isinstance(constant, types.CodeType)]
    lines = {line for *_, line in inner.co_lines()}
    assert lines == {inner.co_firstlineno}, (inner, lines)
    assert inner.co_filename == "<module m>", inner
    # The module's own comprehension has a variable that is hidden from it (3.12).
    variables[inner.co_name] = inner is not code and inner.co_varnames + inner.co_cellvars + inner.co_freevars
assert variables["f"][:6] == ("a", "b", "c", "d", "args", "options"), variables
assert "shared" in variables["f"] and "shared" in variables["g"], variables
assert not [name for names in variables.values() for name in names or () if "hidden" in name], variables
scope = {}
exec(code, scope)
assert scope["f"](1, 2, 3, d=4, e=5) == [1, 2, 4, (3,), {"e": 5}, 10, 3], scope
assert scope["module"] == [0, 1], scope
try:
    scope["f"](1, 2, 0, d=4)
except ZeroDivisionError as error:
    frames = []
    traceback = error.__traceback__
    while traceback := traceback.tb_next:
        frames.append((traceback.tb_lineno, traceback.tb_frame.f_lineno))
    assert frames == [(4, 4)], frames
"#;

#[test]
fn what_is_stripped_is_gone_under_every_python() {
    let long = "    hidden = [b / args[0] if args[0] else 1 / args[0], hidden]\n".repeat(40);
    let source = format!(
        "module = [hidden for hidden in range(2)]\n\n\ndef f(a, b, *args, c=None, d=None, **options):\n    \
         hidden = None\n{long}    shared = a + b + d\n    def g(c):\n        hidden = [hidden + c for hidden \
         in (shared,)]\n        return hidden[0]\n    hidden_sum = sum(hidden for hidden in args)\n    \
         return [a, b, d, args, options, g(3), hidden_sum]\n"
    );
    let strip = Strip { filename: Some("<module m>"), lines: Lines::First, names: true };
    for interpreter in interpreters() {
        let mut worker = Worker::start(&interpreter, true).unwrap();
        let plain = code(&mut worker, "m.py", source.as_bytes()).unwrap();
        let version = interpreter.version;
        let stripped = marshal::canonical(&plain, version, strip).unwrap();
        assert_eq!(marshal::canonical(&stripped, version, strip).unwrap(), stripped);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("code");
        std::fs::write(&file, &stripped).unwrap();
        let mut command = interpreter.command();
        command.args(["-c", STRIPPED]).stdin(std::fs::File::open(&file).unwrap());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", interpreter.full_version);
    }
}
