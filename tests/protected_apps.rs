//! Applications in every form in which code ships: each behaves as on stock Python.
//!
//! `PYRMWARE_APPS=all` takes every application of `tests/apps` and the sample in every form; without it, one that
//! is small, and the sample by every tool.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::apps;
use crate::sealed::BUNKER;
use crate::support::{self, Image, SAMPLE};

/// A form: its name, what `pyproject.toml` has for it, and the applications that have it by default.
struct Form {
    name: &'static str,
    optimize: &'static str,
    protect: String,
    by_default: &'static [&'static str],
}

/// What an application does not do in a form, or not without further lines in the form's table; in every form
/// whose name begins like this.
struct Exception {
    form: &'static str,
    app: &'static str,
    lines: &'static str,
    without: &'static [&'static str],
}

/// An application that needs these lines.
const fn with(form: &'static str, app: &'static str, lines: &'static str) -> Exception {
    Exception { form, app, lines, without: &[] }
}

/// An application that does not do these cases.
const fn without(
    form: &'static str,
    app: &'static str,
    without: &'static [&'static str],
) -> Exception {
    Exception { form, app, lines: "", without }
}

const EXCEPTIONS: &[Exception] = &[
    // They show their own documentation: in a list, in a schema, to doctest.
    with(STRIPPED, "corpus", "packages.corpus.docstrings = \"keep\"\n"),
    with(STRIPPED, "fastapi", "packages.api.docstrings = \"keep\"\n"),
    with(STRIPPED, "native", "packages.native_demo.docstrings = \"keep\"\n"),
    // They show names of variables that hold what leaks, lines and files of code, too.
    with(STRIPPED, "leaks", "packages.leaks.names = \"keep\"\n"),
    with(STRIPPED, "lazy", "packages.lazy.lines = \"keep\"\n"),
    with(
        STRIPPED,
        "layout",
        "packages.layout.docstrings = \"keep\"\npackages.layout.lines = \"keep\"\npackages.layout.file-names = \"keep\"\n",
    ),
    with(
        STRIPPED,
        "stdlib",
        "packages.stdlib_tour.docstrings = \"keep\"\npackages.stdlib_tour.lines = \"keep\"\npackages.stdlib_tour.file-names = \"keep\"\n",
    ),
    // It logs with `%(module)s`, which logging takes from the name of Flask's file.
    with(STRIPPED, "web", "packages.flask.file-names = \"keep\"\n"),
    // One of its assertions reads what comes next.
    with(STRIPPED, "mqtt", "packages.meter.assertions = \"keep\"\n"),
    // Without assertions Python is `python3 -O`, and they say so.
    without(STRIPPED, "hello", &["flags", "flags-c-locale", "flags-no-locale"]),
    without(STRIPPED, "procs", &["executable"]),
    // pydantic takes only Python's own functions for computed fields.
    with("cython", "fastapi", "modes.\"api.models\" = \"bytecode\"\n"),
    with("cython", "native", "modes.\"native_demo.models\" = \"bytecode\"\n"),
    // Nuitka takes no namespaces.
    with("nuitka", "layout", "modes.fleet = \"cython\"\nmodes.jaraco = \"cython\"\n"),
    // A module that is run by its name has to have code for that.
    with("cython", "procs", "modes.\"procs.child\" = \"bytecode\"\n"),
    with("nuitka", "procs", "modes.\"procs.child\" = \"bytecode\"\n"),
    // It has no names in errors, either.
    without("nuitka", "lazy", &["names", "errors"]),
    // That; Cython knows no `globals` that is not called, no `__annotations__` of modules, and does not run a module
    // again that is reloaded. Its errors have other texts and no names.
    without("cython", "lazy", &["names", "later", "changes", "errors"]),
    // They look into code objects and frames, which compiled functions do not have, at loaders and what those read,
    // and at files of modules, which are shared objects.
    without("cython", "stdlib", &["language", "system"]),
    without("nuitka", "stdlib", &["language"]),
    without("cython", "layout", FACTS),
    without("cython", "script-entry", &["facts"]),
    without("cython", "web", &["inside"]),
    without("nuitka", "layout", FACTS),
    // A resource as a file has no path that another program can open.
    without("nuitka", "layout", &["real"]),
    // Without a frame that calls for it, a warning is `__main__`'s, and is shown.
    with("cython", "serial", "modes.\"fieldlink.selftest\" = \"bytecode\"\n"),
    // The frame of a signal's handler and of a warning; what a failed import says; what is there while the
    // interpreter ends; types of functions; endless recursion, which ends the process where stock Python raises.
    without(
        "cython",
        "hello",
        &["term-handled", "warn", "raise-import-name", "atexit", "unraisable", "recursion"],
    ),
    without("nuitka", "hello", &["atexit", "unraisable", "recursion"]),
    // How its functions and files are called; its code does not wait.
    without("pyarmor", "hello", &["recursion"]),
    without("pyarmor", "stdlib", &["language", "system"]),
    without("pyarmor", "layout", &["frames", "imports"]),
    without("pyarmor", "lazy", &["names", "waits"]),
    // Variables of their functions have no names, or others, and are not told as holders.
    without("cython", "leaks", VARIABLES),
    without("cython", "leaks", CLOSURES),
    without("nuitka", "leaks", VARIABLES),
    without("nuitka", "leaks", CLOSURES),
    without("nuitka", "leaks", METHODS),
    without("pyarmor", "leaks", VARIABLES),
];

/// Cases that are about modules as such.
const FACTS: &[&str] = &["frames", "imports", "messages", "metadata", "paths", "pickles"];
/// Cases in which a variable of a function holds what leaks.
const VARIABLES: &[&str] =
    &["traceback-kept", "generator", "in-a-thread", "tasks", "awaiting", "queue"];
/// Cases in which a closure does.
const CLOSURES: &[&str] = &["closure-cell", "dead"];
/// Cases in which a bound method does.
const METHODS: &[&str] = &["observers", "bound-method", "prompt"];

const STRIPPED: &str = "stripped";
const STRIP: &str = "docstrings = \"strip\"\nassertions = \"strip\"\nlines = \"strip\"\n\
                     file-names = \"strip\"\nnames = \"strip\"\n";
const ENCRYPT: &str = "mode = \"encrypted\"\nkey = \"embedded\"\n";

#[test]
fn stripped_encrypted_and_signed() {
    let protect = ENCRYPT.to_owned() + &BUNKER.signed();
    work(&Form {
        name: "stripped, encrypted and signed",
        optimize: STRIP,
        protect,
        by_default: &["hello"],
    });
}

#[test]
fn stripped() {
    work(&Form { name: STRIPPED, optimize: STRIP, protect: String::new(), by_default: &[] });
}

#[test]
fn encrypted() {
    work(&Form { name: "encrypted", optimize: "", protect: ENCRYPT.to_owned(), by_default: &[] });
}

/// What the interpreter starts with, too.
#[test]
fn dependencies_and_the_standard_library_encrypted() {
    let others = ["flask", "werkzeug", "jinja2", "json", "logging", "encodings", "os"];
    let others = others.map(|name| format!("modes.{name} = \"encrypted\"\n"));
    let protect = ENCRYPT.to_owned() + &others.concat();
    works("web", &Form { name: "encrypted", optimize: "", protect, by_default: &[] });
}

#[test]
fn signed() {
    work(&Form { name: "signed", optimize: "", protect: BUNKER.signed(), by_default: &[] });
}

#[test]
fn by_cython() {
    by_tool("cython", &[SAMPLE]);
}

/// By default the small project of `protect_native.rs` is all that Nuitka gets: it takes half a minute for any.
#[test]
fn by_nuitka() {
    by_tool("nuitka", &[]);
}

#[test]
fn by_pyarmor() {
    by_tool("pyarmor", &[SAMPLE]);
}

fn by_tool(name: &'static str, by_default: &'static [&'static str]) {
    let protect = format!("mode = \"{name}\"\n");
    work(&Form { name, optimize: "", protect, by_default });
}

/// Every chosen application in a form; tells of all that do not work.
fn work(form: &Form) {
    let mut failed = Vec::new();
    for app in apps::chosen(form.by_default) {
        match catch_unwind(AssertUnwindSafe(|| works(app, form))) {
            Ok(()) => println!("{app} works {}", form.name),
            Err(_) => failed.push(app),
        }
    }
    assert!(failed.is_empty(), "{}: failed, see above: {}", form.name, failed.join(", "));
}

fn works(app: &str, form: &Form) {
    let exceptions: Vec<&Exception> =
        EXCEPTIONS.iter().filter(|it| form.name.starts_with(it.form) && it.app == app).collect();
    let lines: String = exceptions.iter().map(|exception| exception.lines).collect();
    let without: Vec<&str> = exceptions.iter().flat_map(|it| it.without).copied().collect();
    let Form { optimize, protect, .. } = form;
    let project = support::copy_of(app);
    let file = project.path().join("pyproject.toml");
    let text = fs::read_to_string(&file).expect("it can be read");
    // The self-test may be one of the cases that are left out.
    let stays = |line: &&str| without.is_empty() || !line.starts_with("command = ");
    let text = text.lines().filter(stays).collect::<Vec<_>>().join("\n");
    let (to_optimize, to_protect) = if optimize.is_empty() { ("", &*lines) } else { (&*lines, "") };
    let tables = format!(
        "[tool.pyrmware.optimize]\n{optimize}{to_optimize}[tool.pyrmware.protect]\n{protect}{to_protect}"
    );
    fs::write(&file, format!("{text}\n{tables}")).expect("it is written");
    let out = tempfile::tempdir_in(support::scratch()).expect("a folder");
    let task = support::dist(project.path(), &out.path().join("image"));
    let image = Image::of(&task.args(support::python()).run().success());
    if app == SAMPLE {
        return apps::sample_behaves(&image);
    }
    // In tracebacks functions have other names, or their files have; `symbolicate` reads them.
    let frames = !["cython", "nuitka", "pyarmor"].contains(&form.name);
    apps::behaves(app, &image, frames, |case| !without.contains(&case));
}
