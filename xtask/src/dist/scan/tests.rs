mod stdlib;

use super::source::Dialect;
use super::*;
use crate::dist::collect;
use crate::dist::collect::fixture::Fixture;

fn read(text: &str) -> source::Facts {
    let names = BTreeSet::from(["ProcessPoolExecutor"]);
    let source = Source::parse(text.into(), (3, 11));
    source::read(&source, Dialect { version: Some((3, 11)), main: false, names: &names })
}

/// `line kind dots+module names` of every import.
fn imports(text: &str) -> Vec<String> {
    let line = |import: source::Import| {
        let dots = ".".repeat(import.level as usize);
        let text = format!("{} {:?} {dots}{} ", import.line, import.kind, import.module);
        (text + &import.names.join(",")).trim_end().to_owned()
    };
    read(text).imports.into_iter().map(line).collect()
}

/// `importer -> target kind line` of every edge of the application's and the dependencies' modules.
fn edges(files: &[(&str, &str)]) -> Vec<String> {
    let fixture = Fixture::new("app", files);
    let graph = run(&fixture.plan, collect::run(&fixture.plan).unwrap()).unwrap();
    let own = |name: &String| graph.tree.modules[name].origin != Origin::Stdlib;
    let edges = graph.edges.iter().filter(|(name, _)| own(name));
    let line =
        |name: &String, edge: &Edge| format!("{name} -> {} {:?} {}", edge.to, edge.kind, edge.line);
    edges.flat_map(|(name, edges)| edges.iter().map(move |edge| line(name, edge))).collect()
}

#[test]
fn the_kind_of_an_import_says_when_it_runs() {
    let text = "\
import a, b.c
from . import d, e
try:
    import guarded
except (ImportError, OSError):
    import instead
else:
    import then
try:
    import unguarded
except OSError:
    pass
def function():
    import lazy
    try:
        import lazy_guarded
    except ModuleNotFoundError:
        pass
class C:
    import inside
    async def method(self):
        from ..x import y
with suppress(ImportError):
    import suppressed
if flag:
    import maybe
";
    assert_eq!(
        imports(text),
        [
            "1 TopLevel a",
            "1 TopLevel b.c",
            "2 TopLevel . d,e",
            "4 Guarded guarded",
            "6 Conditional instead",
            "8 Conditional then",
            "10 TopLevel unguarded",
            "14 InFunction lazy",
            "16 Guarded lazy_guarded",
            "20 TopLevel inside",
            "22 InFunction ..x y",
            "24 Guarded suppressed",
            "26 Conditional maybe",
        ]
    );
}

#[test]
fn tests_that_the_target_decides_are_decided() {
    let taken = |test: &str| imports(&format!("if {test}:\n  import a\nelse:\n  import b"));
    let yes = ["2 TopLevel a"];
    let no = ["4 TopLevel b"];
    for test in [
        "sys.platform == 'linux'",
        "sys.platform != 'win32'",
        "sys.platform.startswith('linux')",
        "os.name in ('posix', 'java')",
        "sys.version_info >= (3, 11)",
        "sys.version_info[:2] > (3, 10)",
        "sys.version_info[0] >= 3",
        "sys.version_info > (3,)",
        "not sys.platform == 'darwin'",
        "sys.platform == 'linux' or unknown",
        "__name__ != '__main__'",
    ] {
        assert_eq!(taken(test), yes, "{test}");
    }
    for test in [
        "sys.platform == 'win32'",
        "sys.platform in {'darwin', 'ios'}",
        "os.name == 'nt' and unknown",
        "sys.version_info < (3, 11)",
        "sys.version_info >= (3, 12, 1)",
        "sys.version_info[0] == 2",
        "False",
        "__name__ == '__main__'",
    ] {
        assert_eq!(taken(test), no, "{test}");
    }
    for test in
        ["sys.version_info >= (3, 11, 4)", "sys.platform == other", "unknown", "__name__ == x"]
    {
        assert_eq!(taken(test), ["2 Conditional a", "4 Conditional b"], "{test}");
    }
    assert_eq!(taken("TYPE_CHECKING"), ["2 TypeChecking a", "4 TopLevel b"]);
    assert_eq!(taken("not typing.TYPE_CHECKING"), yes);
}

#[test]
fn names_in_calls_strings_and_templates_are_facts() {
    let facts = read(
        "'''import documentation'''
import_module('.x', 'pkg')
importlib.import_module(name)
importlib.import_module(f'{__name__}.driver_{kind}')
files('pkg.data')
run([sys.executable, '-m', 'tool'])
run([sys.executable, '-c', 'import json; json.x'])
__import__('serial.protocol_' + kind)
'.protocol_{}'.format(kind)
'%s.models' % app
x: 'annotated.module' = 'pkg.sub:Attr'
__all__ = ['one', 'two'] + ['three']
__all__ += ['four']
pool.ProcessPoolExecutor
",
    );
    let calls: Vec<_> = facts.calls.iter().map(|call| (call.name.as_str(), call.line)).collect();
    assert_eq!(calls, [(".x", 2), ("pkg.data", 5), ("tool.__main__", 6), ("tool", 6)]);
    assert_eq!(facts.calls[0].package.as_deref(), Some("pkg"));
    let dynamic: Vec<u32> = facts.dynamic.iter().map(|site| site.line).collect();
    assert_eq!(dynamic, [3, 4, 8]);
    assert_eq!(facts.imports.len(), 1);
    assert_eq!(
        (facts.imports[0].module.as_str(), facts.imports[0].kind),
        ("json", EdgeKind::String)
    );
    let templates: Vec<&str> = facts.templates.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(templates, [".driver_*", "serial.protocol_*", ".protocol_*", "*.models"]);
    let strings: Vec<&str> = facts.strings.iter().map(|(text, _)| text.as_str()).collect();
    assert!(strings.contains(&"pkg.sub:Attr") && !strings.contains(&"annotated.module"));
    assert_eq!(facts.all, ["one", "two", "three", "four"]);
    assert_eq!(facts.mentions, BTreeSet::from(["ProcessPoolExecutor".to_owned()]));
}

#[test]
fn any_encoding_that_python_takes_is_read() {
    for bytes in [
        &b"\xef\xbb\xbfimport a"[..],
        b"# -*- coding: latin-1 -*-\nx = '\xe4'; import a",
        b"# vim: set fileencoding=koi8-r :\n# \xc1\nimport a",
    ] {
        let names = BTreeSet::new();
        let facts = source::read(
            &Source::parse(bytes.to_vec(), (3, 11)),
            Dialect { version: Some((3, 11)), main: false, names: &names },
        );
        assert_eq!((facts.imports.len(), facts.error), (1, None));
    }
    assert_eq!(
        read("print 'two'\n").error.unwrap(),
        "line 1: Simple statements must be separated by newlines or semicolons"
    );
    assert!(read("type X = int\n").error.unwrap().starts_with("line 1: "));
}

#[test]
fn imports_become_edges_to_modules_that_are_there() {
    let found = edges(&[
        (
            "app/app.py",
            "import os.path, pkg.sub, pkg.none, absent\nfrom pkg import sub, name\nfrom pkg import *\n",
        ),
        ("site/pkg/__init__.py", "__all__ = ['starred', 'name']\nfrom .sub import thing"),
        ("site/pkg/sub.py", "from . import starred\nfrom .. import beyond\nfrom . import sub"),
        ("site/pkg/starred.py", ""),
        ("lib/posixpath.py", ""),
        ("lib/os.py", ""),
    ]);
    assert_eq!(
        found,
        [
            "app -> os TopLevel 1",
            "app -> pkg TopLevel 1",
            "app -> pkg.starred TopLevel 3",
            "app -> pkg.sub TopLevel 1",
            "app -> posixpath TopLevel 1",
            "pkg -> pkg.sub TopLevel 2",
            "pkg.sub -> pkg TopLevel 1",
            "pkg.sub -> pkg.starred TopLevel 1",
        ]
    );
}

#[test]
fn strings_that_name_modules_are_edges() {
    let found = edges(&[
        (
            "app/app.py",
            "import pkg\nrun('server:main')\nuse('pkg.deep.Class')\nuse('server')\nuse('pkg.none')\n\
             log('logging.handlers.Handler')\nuse('tkinter.ttk')\n'x'.encode('shift-jis')\n",
        ),
        ("app/server.py", ""),
        ("site/pkg/__init__.py", "TABLE = {'Name': (__spec__.parent, '.lazy')}\nuse('...')"),
        ("site/pkg/lazy.py", ""),
        ("site/pkg/deep.py", ""),
        ("lib/logging/__init__.py", ""),
        ("lib/logging/handlers.py", ""),
        ("lib/tkinter/__init__.py", ""),
        ("lib/tkinter/ttk.py", ""),
        ("lib/encodings/__init__.py", ""),
        ("lib/encodings/aliases.py", "aliases = {\n    'sjis'   : 'shift_jis',\n}"),
        ("lib/encodings/shift_jis.py", ""),
    ]);
    assert_eq!(
        found,
        [
            "app -> encodings.shift_jis String 8",
            "app -> logging.handlers String 6",
            "app -> pkg TopLevel 1",
            "app -> pkg.deep String 3",
            "app -> server String 2",
            "pkg -> pkg.lazy String 1",
        ]
    );
}

#[test]
fn formatted_names_count_where_names_are_computed() {
    let urls = ("site/serial/urls/__init__.py", "");
    let socket = ("site/serial/urls/protocol_socket.py", "");
    let app = ("app/app.py", "import serial");
    let computed =
        "import importlib\nname = '.protocol_{}'.format(x)\nimportlib.import_module(name, p)";
    let found = edges(&[app, urls, socket, ("site/serial/__init__.py", computed)]);
    assert_eq!(
        found,
        ["app -> serial TopLevel 1", "serial -> serial.urls.protocol_socket String 2"]
    );
    let plain = "print('.protocol_{}'.format(x))";
    let found = edges(&[app, urls, socket, ("site/serial/__init__.py", plain)]);
    assert_eq!(found, ["app -> serial TopLevel 1"]);
}

#[test]
fn entry_points_and_metadata_are_found_by_their_names() {
    let fixture =
        Fixture::new("app", &[("app/app.py", "use('acme.plugins')\nversion('Acme_Data')")]);
    fixture.write("site/bolts/plugin.py", b"");
    fixture.distribution("bolts", "1", &["bolts/plugin.py"]);
    fixture.distribution("acme-data", "1", &["share/x"]);
    let entry_points =
        b"[acme.plugins]\nx = bolts.plugin:Plugin [extra]\n[console_scripts]\ny = a:b\n";
    fixture.write("site/bolts-1.dist-info/entry_points.txt", entry_points);
    let graph = run(&fixture.plan, collect::run(&fixture.plan).unwrap()).unwrap();
    let edge = Edge { to: "bolts.plugin".to_owned(), kind: EdgeKind::String, line: 1 };
    assert_eq!(graph.edges["app"], [edge]);
    assert_eq!(graph.metadata["app"], ["acme-data"]);
}

#[test]
fn bytecode_is_read_like_its_source() {
    let python = ["python3", "python"].iter().find_map(|name| which::which(name).ok());
    let interpreter = crate::python::Interpreter::at(&python.expect("a Python on PATH")).unwrap();
    let many: String = (0..300).map(|i| format!("x{i} = {i}.5\n")).collect();
    let source = format!(
        "{many}import a.b\nfrom .c import d, e\ndef f():\n    from .. import g\n    \
         import_module('h')\n    return ProcessPoolExecutor\n"
    );
    let script = "import marshal, sys; sys.stdout.buffer.write(bytes(16) + \
                  marshal.dumps(compile(sys.argv[1], 'x', 'exec')))";
    let output = interpreter.command().args(["-c", script, &source]).output().unwrap();
    let names = BTreeSet::from(["ProcessPoolExecutor"]);
    let facts = bytecode::read(&output.stdout, interpreter.version, &names);
    assert_eq!(facts.error, None);
    let mut imports: Vec<String> = facts
        .imports
        .iter()
        .map(|i| {
            format!(
                "{:?} {}{} {}",
                i.kind,
                ".".repeat(i.level as usize),
                i.module,
                i.names.join(",")
            )
        })
        .collect();
    imports.sort();
    assert_eq!(imports, ["Conditional .c d,e", "Conditional a.b ", "InFunction .. g"]);
    assert!(facts.calls.iter().any(|call| call.name == "h"));
    assert_eq!(facts.mentions.len(), 1);
    assert!(bytecode::read(b"short", interpreter.version, &names).error.is_some());
}

#[test]
fn what_depends_on_sources_or_documentation_is_a_hazard() {
    let facts = read(
        "import inspect, pkgutil
inspect.getsource(f)
for m in pkgutil.iter_modules(p): pass
entry_points(group='x')
print(__doc__.strip())
usage = f.__doc__ % x
docopt(__doc__)
g.__doc__ = f.__doc__
if f.__doc__:
    f.__doc__ = f.__doc__.format(x)
y = f.__doc__.upper() if f.__doc__ else ''
z = f.__doc__ and f.__doc__.lower()
",
    );
    let found: Vec<_> = facts.hazards.iter().map(|hazard| (hazard.line, hazard.kind)).collect();
    let expected = [
        (2, HazardKind::Source),
        (3, HazardKind::IterModules),
        (4, HazardKind::EntryPoints),
        (5, HazardKind::Doc),
        (6, HazardKind::Doc),
        (7, HazardKind::Doc),
    ];
    assert_eq!(found, expected);
}
