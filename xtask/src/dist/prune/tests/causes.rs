//! Every cause for which an import statement is not enough, both ways: what is needed ships, and what is
//! not needed does not.

use super::*;

/// A program, the same without what needs the module, the other files, and the module.
struct Cause {
    with: &'static str,
    without: &'static str,
    files: &'static [(&'static str, &'static str)],
    module: &'static str,
}

#[track_caller]
fn check(cause: &Cause) {
    let ships = |app: &str| {
        let files: Vec<(&str, &str)> =
            cause.files.iter().copied().chain([("app/app.py", app)]).collect();
        let fixture = Fixture::new("app", &files);
        names(&kept(&fixture)).contains(&cause.module)
    };
    assert!(ships(cause.with), "{} is needed by {:?}", cause.module, cause.with);
    assert!(!ships(cause.without), "{} is not needed by {:?}", cause.module, cause.without);
}

#[test]
fn strings_that_name_a_module_and_an_attribute() {
    check(&Cause {
        with: "import runner\nrunner.run('server.app:main')",
        without: "import runner\nrunner.run(name)",
        files: &[
            ("site/runner.py", "import importlib\ndef run(n):\n    importlib.import_module(n)"),
            ("site/server/__init__.py", ""),
            ("site/server/app.py", ""),
            ("lib/importlib/__init__.py", ""),
        ],
        module: "server.app",
    });
}

#[test]
fn formatted_names_where_names_are_computed() {
    const COMPUTED: &str = "import importlib\ndef open(x):\n    name = '.protocol_{}'.format(x)\n    \
                            return importlib.import_module(name, __name__)";
    check(&Cause {
        with: "import serial",
        without: "import other",
        files: &[
            ("site/serial/__init__.py", COMPUTED),
            ("site/serial/protocol_loop.py", ""),
            ("site/other/__init__.py", "print('.protocol_{}'.format(x))"),
            ("site/other/protocol_loop.py", ""),
        ],
        module: "serial.protocol_loop",
    });
    check(&Cause {
        with: "import serial",
        without: "import other",
        files: &[
            ("site/serial/__init__.py", "import other.protocol_loop"),
            ("site/other/__init__.py", "print('.protocol_{}'.format(x))"),
            ("site/other/protocol_loop.py", ""),
        ],
        module: "other.protocol_loop",
    });
}

#[test]
fn tables_from_which_a_package_loads_what_is_first_named() {
    const TABLE: &str = "TABLE = {'Thing': 'lazy.things'}\ndef __getattr__(name):\n    \
                         return __import__(TABLE[name])";
    check(&Cause {
        with: "import lazy",
        without: "import eager",
        files: &[
            ("site/lazy/__init__.py", TABLE),
            ("site/lazy/things.py", ""),
            ("site/eager/__init__.py", "TABLE = {'Thing': 'eager.things'}"),
        ],
        module: "lazy.things",
    });
    check(&Cause {
        with: "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import typed.deep\n\
               X = 'typed.deep'",
        without: "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import typed.deep",
        files: &[("lib/typing.py", ""), ("site/typed/__init__.py", ""), ("site/typed/deep.py", "")],
        module: "typed.deep",
    });
}

/// The modules that an extension module leads to; it is no shared object that could ship.
fn led_to(name: &str, fixture: &Fixture) -> Vec<String> {
    let graph = graph(fixture);
    graph.edges.get(name).into_iter().flatten().map(|edge| edge.to.clone()).collect()
}

#[test]
fn names_inside_extension_modules() {
    let found = |strings: &[u8]| {
        let files = [
            ("app/app.py", "import acme._core"),
            ("site/acme/__init__.py", ""),
            ("site/acme/deep.py", ""),
            ("lib/numbers.py", ""),
        ];
        let fixture = Fixture::new("app", &files);
        fixture.write(&format!("site/acme/_core{}", fixture.plan.interpreter.ext_suffix), strings);
        led_to("acme._core", &fixture)
    };
    assert_eq!(found(b"\0numbers\0"), ["numbers"]);
    assert_eq!(found(b"invalid valueacme.deepNone"), ["acme.deep"]);
    assert_eq!(found(b"\0some numbers\0"), [""; 0]);
}

#[test]
fn what_c_code_of_the_standard_library_asks_for() {
    check(&Cause {
        with: "import datetime\ndatetime.datetime.strptime(a, b)",
        without: "import datetime",
        files: &[
            ("lib/datetime.py", "def f():\n    import _strptime"),
            ("lib/_strptime.py", ""),
            ("lib/lib-dynload/_datetime.abi3.so", ""),
        ],
        module: "_strptime",
    });
    let files = [
        ("app/app.py", "import _pickle, _bisect"),
        ("lib/lib-dynload/_pickle.abi3.so", ""),
        ("lib/lib-dynload/_bisect.abi3.so", ""),
        ("lib/_compat_pickle.py", ""),
        ("lib/functools.py", ""),
    ];
    let fixture = Fixture::new("app", &files);
    assert_eq!(led_to("_pickle", &fixture), ["_compat_pickle", "functools"]);
    assert_eq!(led_to("_bisect", &fixture), [""; 0]);
}

#[test]
fn codecs_by_name() {
    const FILES: &[(&str, &str)] = &[
        ("lib/encodings/__init__.py", ""),
        ("lib/encodings/aliases.py", "aliases = {\n    'sjis'   : 'shift_jis',\n}"),
        ("lib/encodings/shift_jis.py", ""),
        ("lib/encodings/koi8_r.py", ""),
        ("lib/encodings/idna.py", "import stringprep"),
        ("lib/_socket.py", ""),
        ("lib/select.py", ""),
        ("site/charset_normalizer/__init__.py", ""),
        ("site/chardet/__init__.py", ""),
        ("lib/stringprep.py", ""),
    ];
    check(&Cause {
        with: "text.encode('sjis')",
        without: "text.encode('utf-8')",
        files: FILES,
        module: "encodings.shift_jis",
    });
    check(&Cause {
        with: "import _socket",
        without: "import select",
        files: FILES,
        module: "stringprep",
    });
    check(&Cause {
        with: "import charset_normalizer",
        without: "import chardet",
        files: FILES,
        module: "encodings.koi8_r",
    });
    check(&Cause {
        with: "headers.get_content_charset()",
        without: "headers.get_content_type()",
        files: FILES,
        module: "encodings.koi8_r",
    });
    // At `safe`, those of one byte are there unnamed.
    let mut fixture = Fixture::new("app", &[FILES, &[("app/app.py", "")]].concat());
    let with = |name| move |kept: &Kept| kept.graph.tree.modules.contains_key(name);
    assert!(!with("encodings.koi8_r")(&kept(&fixture)));
    fixture.plan.config.project.prune.level = Level::Safe;
    let safe = kept(&fixture);
    assert!(with("encodings.koi8_r")(&safe) && !with("encodings.shift_jis")(&safe));
}

#[test]
fn the_data_of_sysconfig() {
    check(&Cause {
        with: "import sysconfig",
        without: "import sys",
        files: &[("lib/sysconfig.py", ""), ("lib/_sysconfigdata__linux_x86_64-linux-gnu.py", "")],
        module: "_sysconfigdata__linux_x86_64-linux-gnu",
    });
}

#[test]
fn readers_of_resources() {
    check(&Cause {
        with: "import importlib.resources",
        without: "import importlib.util",
        files: &[
            ("lib/importlib/__init__.py", ""),
            ("lib/importlib/util.py", ""),
            ("lib/importlib/readers.py", ""),
            ("lib/importlib/resources/__init__.py", ""),
        ],
        module: "importlib.readers",
    });
}

#[test]
fn entry_points_of_a_group_that_is_named() {
    let ships = |app: &str| {
        let fixture = Fixture::new("app", &[("app/app.py", app), ("site/bolts/plugin.py", "")]);
        fixture.distribution("bolts", "1", &["bolts/plugin.py"]);
        let text = b"[acme.plugins]\nx = bolts.plugin:Plugin\n";
        fixture.write("site/bolts-1.dist-info/entry_points.txt", text);
        names(&kept(&fixture)).contains(&"bolts.plugin")
    };
    assert!(ships("entry_points(group='acme.plugins')"));
    assert!(!ships("entry_points(group='acme.others')"));
}

#[test]
fn an_answer_names_what_a_computed_name_asks_for() {
    let files = [
        (
            "app/app.py",
            "def load(name):\n    return __import__(name)\nclass A:\n    def b(self):\n        __import__(self.c)",
        ),
        ("site/plugins/__init__.py", ""),
        ("site/plugins/one.py", ""),
    ];
    let with = |answers: &[(&str, &[&str])]| {
        let mut fixture = Fixture::new("app", &files);
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        fixture.plan.config.project.prune.dynamic =
            answers.iter().map(|(place, names)| ((*place).to_owned(), list(names))).collect();
        fixture
    };
    let open = |fixture: &Fixture| kept(fixture).unanswered().into_keys().collect::<Vec<_>>();
    assert_eq!(open(&with(&[])), ["app:A.b", "app:load"]);

    let answered = with(&[("app:load", &["plugins.*"]), ("app:5", &[])]);
    assert_eq!(open(&answered), [""; 0]);
    assert_eq!(names(&kept(&answered)), ["app", "plugins", "plugins.one"]);
    assert_eq!(names(&kept(&with(&[("app", &[])]))), ["app"]);

    let refused = |place: &str, answer: &str| {
        let fixture = with(&[(place, &[answer])]);
        let graph = scan::run(&fixture.plan, collect::run(&fixture.plan).unwrap());
        graph.unwrap_err().to_string()
    };
    const KEY: &str = "[tool.pyrmware.prune.dynamic]";
    assert_eq!(
        refused("ap:load", "app"),
        format!("{KEY} \"ap:load\": there is no module ap; did you mean app?")
    );
    assert_eq!(
        refused("app:load", "plugin.*"),
        format!("{KEY} \"app:load\": no module fits \"plugin.*\"; did you mean plugins?")
    );
    assert_eq!(
        refused("app:unload", "app"),
        format!(
            "{KEY} \"app:unload\": nothing is imported by a computed name there; in app: app:load, app:A.b"
        )
    );
}
