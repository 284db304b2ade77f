//! The scanner and its rules against every standard library of this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::super::resolve::Resolver;
use super::super::rules::Rules;
use super::super::source::{self, Dialect, Facts};
use super::super::{EdgeKind, Graph, Source, bytecode, check_cuts, read_all};
use crate::config::Level;
use crate::dist::collect;
use crate::dist::collect::fixture::Fixture;
use crate::python::{Interpreter, candidates};

/// Imports below `if False:`, which the compiler leaves out: file, import.
const NEVER_RUN: [(&str, &str); 6] = [
    ("_pyrepl/commands.py", ".historical_reader"),
    ("_pyrepl/completing_reader.py", ".types"),
    ("_pyrepl/historical_reader.py", ".types"),
    ("_pyrepl/input.py", ".types"),
    ("_pyrepl/pager.py", "typing"),
    ("_pyrepl/trace.py", "typing"),
];

/// One interpreter of each minor version that this machine has, as `doctor` finds them.
fn interpreters() -> Vec<Interpreter> {
    let found = candidates().into_iter().filter_map(|program| Interpreter::at(&program).ok());
    let by_version: BTreeMap<_, _> = found.map(|found| (found.version, found)).collect();
    by_version.into_values().collect()
}

/// Runs a check for every interpreter, side by side.
fn with_each<T: Send>(check: impl Fn(&Interpreter) -> T + Sync) -> Vec<T> {
    let interpreters = interpreters();
    std::thread::scope(|scope| {
        let check = &check;
        let threads: Vec<_> =
            interpreters.iter().map(|python| scope.spawn(move || check(python))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// What the source says is what Python's own parser sees, and what its compiler makes of it.
#[test]
fn imports_of_the_standard_library_are_those_of_python_s_parser_and_compiler() {
    with_each(compare_imports);
}

fn compare_imports(interpreter: &Interpreter) {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("oracle.py");
    std::fs::write(&script, include_str!("../oracle.py")).unwrap();
    let mut command = interpreter.command();
    let output = command.arg(&script).arg(&interpreter.stdlib).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = BTreeSet::new();
    let (mut files, mut differences) = (0, Vec::new());
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let (file, expected) = line.split_once('\t').unwrap();
        let dialect = Dialect { version: None, main: true, names: &names };
        let parsed = Source::parse(std::fs::read(file).unwrap(), interpreter.version);
        let source = source::read(&parsed, dialect);
        let code = std::fs::read(folder.path().join(format!("{files}.pyc"))).unwrap();
        let code = bytecode::read(&code, interpreter.version, &names);
        assert_eq!((&source.error, &code.error), (&None, &None), "{file}");

        let expected: BTreeSet<String> =
            expected.split(' ').filter(|import| !import.is_empty()).map(str::to_owned).collect();
        assert_eq!(imports(&source, true), expected, "{file}");
        let (source, code) = (imports(&source, false), imports(&code, false));
        let name = Path::new(file).strip_prefix(&interpreter.stdlib).unwrap().to_str().unwrap();
        let unlisted = |import: &&String| !NEVER_RUN.contains(&(name, import));
        let differ = source.symmetric_difference(&code).filter(unlisted);
        differences.extend(differ.map(|import| format!("{name}: {import}")));
        files += 1;
    }
    assert!(files > 300, "only {files} files were compared");
    assert!(differences.is_empty(), "{}: {differences:#?}", interpreter.full_version);
}

/// "12:.package" with lines, ".package" without.
fn imports(facts: &Facts, lines: bool) -> BTreeSet<String> {
    let imports = facts.imports.iter().filter(|import| import.kind != EdgeKind::String);
    let text = |import: &source::Import| {
        let name = format!("{}{}", ".".repeat(import.level as usize), import.module);
        if lines { format!("{}:{name}", import.line) } else { name }
    };
    imports.map(text).collect()
}

/// No cut takes an import that runs with its module, and there is none that no version has.
#[test]
fn every_cut_of_the_standard_library_is_possible_and_takes_something() {
    let found: BTreeSet<String> = with_each(taken).into_iter().flatten().collect();
    let expected = |(major, minor)| Rules::read((major, minor), Level::Balanced).unwrap().reasons();
    let versions = interpreters().into_iter().map(|interpreter| interpreter.version);
    let unused: Vec<String> =
        versions.flat_map(expected).filter(|reason| !found.contains(reason)).collect();
    assert!(unused.is_empty(), "{unused:#?}");
}

/// The reasons of the cuts that take something from one standard library.
fn taken(interpreter: &Interpreter) -> BTreeSet<String> {
    let mut fixture = Fixture::new("app", &[("app/app.py", "")]);
    fixture.plan.interpreter = interpreter.clone();
    let tree = collect::run(&fixture.plan).unwrap();
    let rules = Rules::read(interpreter.version, Level::Balanced).unwrap();
    let resolver = Resolver::new(&tree, &rules, &fixture.plan.config.project.prune.dynamic);
    let all = tree.modules.keys().cloned().collect();
    let version = interpreter.version;
    let (facts, _) = read_all(&tree, &all, &resolver, version, Some(version)).unwrap();
    let mut graph = Graph::default();
    for (name, facts) in &facts {
        resolver.resolve(name, facts).store(name, &mut graph);
    }
    for (name, cuts) in &graph.cuts {
        check_cuts(name, cuts)
            .unwrap_or_else(|error| panic!("{}: {error}", interpreter.full_version));
    }
    graph.cuts.into_values().flatten().map(|cut| cut.reason).collect()
}
