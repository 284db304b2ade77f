//! The canonical form on real code, and the stage on small trees.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::worker::SCRIPT;
use super::*;
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
    match worker.compile(&Request { filename, source, neutral: None }).unwrap() {
        Answer::Code { marshalled, .. } => Some(marshalled),
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
    let mut fresh = Worker::start(interpreter).unwrap();
    let mut busy = Worker::start_with(interpreter, &format!("{BUSY}{SCRIPT}")).unwrap();
    let mut canonical = BTreeMap::new();
    for (i, file) in files.iter().enumerate() {
        let Some(plain) = code(&mut fresh, "x.py", &std::fs::read(file).unwrap()) else { continue };
        let form = marshal::canonical(&plain, interpreter.version, None).unwrap();
        assert_eq!(marshal::canonical(&form, interpreter.version, None).unwrap(), form, "{file:?}");
        std::fs::write(temporary.path().join(format!("{i}.plain")), &plain).unwrap();
        std::fs::write(temporary.path().join(format!("{i}.canonical")), &form).unwrap();
        canonical.insert(file, (plain, form));
    }
    let (mut differ, mut wrong) = (0, Vec::new());
    for file in files.iter().rev() {
        let Some((plain, form)) = canonical.get(file) else { continue };
        let other = code(&mut busy, "x.py", &std::fs::read(file).unwrap()).unwrap();
        differ += usize::from(*plain != other);
        if marshal::canonical(&other, interpreter.version, None).unwrap() != *form {
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
