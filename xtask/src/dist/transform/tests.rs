//! What is put off and what is not, on small made-up applications.

use crate::config::LazyImports;
use crate::dist::collect::fixture::Fixture;
use crate::dist::{collect, prune, scan};

/// The names of a module that wait, joined with spaces. `files` are those of the application, whose main
/// module is `main`.
fn lazy(module: &str, files: &[(&str, &str)]) -> String {
    let files: Vec<(String, &str)> =
        files.iter().map(|(path, text)| (format!("app/{path}"), *text)).collect();
    let mut files: Vec<(&str, &str)> =
        files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    files.extend([
        ("lib/re.py", "def compile(pattern): pass\n"),
        ("lib/enum.py", "class Enum: pass\n"),
        ("lib/typing.py", "TypeVar = ClassVar = None\n"),
        ("lib/collections/__init__.py", "namedtuple = None\n"),
        ("lib/collections/abc.py", "\n"),
    ]);
    let mut fixture = Fixture::new("main", &files);
    fixture.plan.config.project.optimize.lazy_imports = LazyImports::Auto;
    let plan = &fixture.plan;
    let graph = scan::run(plan, collect::run(plan).unwrap()).unwrap();
    let transformed = super::run(plan, prune::run(plan, graph).unwrap()).unwrap();
    let form = &transformed.forms[module];
    assert_eq!(form.marker.is_some(), !form.defer.is_empty());
    let names: Vec<&str> =
        form.defer.iter().flat_map(|deferral| &deferral.names).map(String::as_str).collect();
    names.join(" ")
}

fn main(text: &str) -> String {
    lazy("main", &[("main.py", text), ("other.py", "x = 1\n")])
}

#[test]
fn imports_functions_and_pure_definitions_wait() {
    let text = "import re\nfrom other import x as y\nP = re.compile('a')\ndef f(a=1): return y\n\
                class C:\n    def m(self): return P\n";
    assert_eq!(main(text), "re y P f C");
}

#[test]
fn what_module_level_code_needs_is_bound_at_once() {
    assert_eq!(main("import re\nimport other\nprint(re)\ndef f(): return other\n"), "other f");
    // What a class needs waits with it.
    assert_eq!(main("import re\nclass C:\n    p = re.compile('a')\n"), "re C");
    assert_eq!(main("def g(): pass\n@unknown\ndef f(): pass\nf()\ng()\n"), "");
}

#[test]
fn order_is_kept_where_it_shows() {
    assert_eq!(main("import re\nre = None\n"), "");
    assert_eq!(main("import re\ndel re\n"), "");
    assert_eq!(main("def f():\n    global re\n    re = 1\nimport re\n"), "f");
    assert_eq!(main("def open(path): pass\n"), "", "it hides a builtin");
    assert_eq!(main("import re\nnames = dir()\n"), "", "it looks at its own names");
    assert_eq!(main("try:\n    import re\nexcept ImportError:\n    re = None\n"), "re");
    assert_eq!(
        main("try:\n    import re\nexcept ImportError:\n    re = f()\n"),
        "",
        "it may do anything"
    );
    assert_eq!(main("try:\n    import re\nexcept OSError:\n    re = None\n"), "", "another answer");
    assert_eq!(main("import no_such_module\n"), "", "the error belongs there");
}

#[test]
fn values_that_may_change_are_taken_at_once() {
    assert_eq!(main("import other\ny = other.x\n"), "");
    assert_eq!(main("import other\ny = other.make()\n"), "");
    assert_eq!(main("import other\ny = [1, other.X]\ndef f(): return other\n"), "f");
}

#[test]
fn branches_that_the_target_decides_are_folded() {
    let text = "import sys\nif sys.platform == 'win32':\n    import other\nelif sys.version_info < (3,):\n    \
                x = 1\nelse:\n    import re\n";
    assert_eq!(main(text), "re");
    assert_eq!(main("import sys\nif sys.argv:\n    import re\n"), "");
}

#[test]
fn imports_of_modules_that_change_something_do_not_wait() {
    let with = |other: &str| {
        let registry = "ALL = {}\ndef register(f):\n    ALL[f] = 1\n    return f\ndef plain(f):\n    \
                        def inner(): return f()\n    return inner\nclass Base:\n    \
                        def __init_subclass__(cls): ALL[cls] = 1\n";
        let files = [
            ("main.py", "import other\ndef f(): return other\n"),
            ("other.py", other),
            ("registry.py", registry),
        ];
        lazy("main", &files)
    };
    let waits = "other f";
    assert_eq!(with("import registry\n"), waits);
    assert_eq!(with("from registry import plain\n@plain\ndef g(): pass\n"), waits);
    assert_eq!(with("own = []\nown.append(1)\n"), waits);
    for change in [
        "import registry\nregistry.ALL['x'] = 1\n",
        "from registry import ALL\nALL.update(x=1)\n",
        "from registry import register\n@register\ndef g(): pass\n",
        "from registry import register\nx = register(1)\n",
        "from registry import Base\nclass Below(Base): pass\n",
        "import sys\nsys.path.append('x')\n",
        "import registry\ndef setup():\n    registry.x = 1\nsetup()\n",
    ] {
        assert_eq!(with(change), "f", "{change}");
    }
}

#[test]
fn a_change_below_a_package_is_the_package_s_own() {
    let files = [
        ("main.py", "import pack\ndef f(): return pack\n"),
        ("pack/__init__.py", "from pack import plugin\n"),
        ("pack/registry.py", "ALL = {}\n"),
        ("pack/plugin.py", "from pack.registry import ALL\nALL['plugin'] = 1\n"),
    ];
    assert_eq!(lazy("main", &files), "pack f");
    assert_eq!(lazy("pack", &files), "", "nobody gets to the registry without it");
}

#[test]
fn classes_whose_creation_is_told_are_created_at_once() {
    assert_eq!(main("from enum import Enum\nclass E(Enum):\n    A = 1\n"), "Enum E");
    let hooked = |body: &str| {
        let hook = format!("class B:\n    def __init_subclass__(cls): {body}\nclass C(B): pass\n");
        main(&format!("known = []\n{hook}"))
    };
    assert_eq!(hooked("pass"), "known B C");
    assert_eq!(hooked("cls.size = len(dir(cls))"), "known B C");
    for told in [
        "known.append(cls)",
        "cls.known.append(cls)",
        "cls.known[0] = cls",
        "tell(cls)",
        "cls.tell()",
        "k = cls; setattr(known, 'a', k)",
    ] {
        assert_eq!(hooked(told), "known", "{told}");
    }
    let made = |body: &str| {
        let meta = format!(
            "class M(type):\n    def __new__(m, *a):\n        c = super().__new__(m, *a)\n        {body}\n"
        );
        main(&format!("known = []\n{meta}        return c\nclass C(metaclass=M): pass\n"))
    };
    assert_eq!(made("c.made = 1"), "known M C");
    for told in ["known.append(c)", "tell(c)", "m.known[0] = c", "m.last = c", "c.tell()"] {
        assert_eq!(made(told), "known", "{told}");
    }
    assert_eq!(main("class M(type): pass\nM.__new__ = f\nclass C(metaclass=M): pass\n"), "");
    assert_eq!(main("class C:\n    print('made')\n"), "");
    assert_eq!(main("class C: pass\ndef f(): return C.__subclasses__()\n"), "f");
}

#[test]
fn star_imports_are_written_out_where_their_names_are_known() {
    let files = |all: &'static str| {
        [("main.py", "from other import *\ndef f(): return a\n"), ("other.py", all)]
    };
    assert_eq!(lazy("main", &files("__all__ = ['a', 'b']\na = b = 1\n")), "a b f");
    assert_eq!(lazy("main", &files("__all__ = list('ab')\na = b = 1\n")), "");
    assert_eq!(lazy("main", &files("a = b = 1\n")), "");
}

#[test]
fn what_dataclasses_look_for_is_there() {
    let text = "from __future__ import annotations\nimport typing\nfrom typing import ClassVar, TypeVar\n\
                class C:\n    x: ClassVar[int] = 1\n";
    assert_eq!(main(text), "TypeVar C");
    let text = "from __future__ import annotations\nimport typing\nN = typing.ClassVar[int]\nM = typing.TypeVar\n\
                class C:\n    x: N = 1\n";
    assert_eq!(main(text), "M C");
}
