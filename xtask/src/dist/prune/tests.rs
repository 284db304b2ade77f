mod causes;

use super::*;
use crate::config::Level;
use crate::dist::collect::fixture::{Fixture, elf};
use crate::dist::{collect, scan};

const APP: (&str, &str) = ("app/app.py", "import used\ndef f():\n    import lazy.part\n");

fn graph(fixture: &Fixture) -> Graph {
    scan::run(&fixture.plan, collect::run(&fixture.plan).unwrap()).unwrap()
}

fn kept(fixture: &Fixture) -> Kept {
    run(&fixture.plan, graph(fixture)).unwrap()
}

fn refusal(fixture: &Fixture) -> String {
    fixture.plain(&run(&fixture.plan, graph(fixture)).unwrap_err())
}

fn names(kept: &Kept) -> Vec<&str> {
    let modules = kept.graph.tree.modules.iter();
    let ships = modules.filter(|(_, module)| module.kind != collect::Kind::Interpreter);
    ships.map(|(name, _)| name.as_str()).collect()
}

#[test]
fn what_the_entry_reaches_ships_and_the_rest_has_a_reason() {
    let fixture = Fixture::new(
        "app",
        &[
            ("app/app.py", "import used\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import typed\n"),
            ("app/orphan.py", "import orphaned"),
            ("site/used.py", "def f():\n    import lazy.part\n"),
            ("site/lazy/__init__.py", "import dropped"),
            ("site/lazy/part.py", ""),
            ("site/lazy/other.py", ""),
            ("site/typed.py", ""),
            ("site/orphaned.py", ""),
            ("site/dropped.py", ""),
            ("lib/typing.py", ""),
        ],
    )
    .prune(&["lazy.other"], &["dropped"]);
    let kept = kept(&fixture);
    assert_eq!(names(&kept), ["app", "lazy", "lazy.other", "lazy.part", "typing", "used"]);
    let reasons: Vec<String> =
        kept.dropped.iter().map(|(name, reason)| format!("{name}: {reason}")).collect();
    assert_eq!(
        reasons,
        [
            "dropped: dropped by [tool.pyrmware.prune] drop",
            "orphan: not reached from app",
            "orphaned: only imported by orphan, which is left out as well",
            "typed: only imported for type checking, by app",
        ]
    );
    assert_eq!(kept.reason["app"], None);
    let (importer, edge) = kept.reason["lazy.part"].as_ref().unwrap();
    assert_eq!((importer.as_str(), edge.line), ("used", 2));
    assert!(kept.graph.tree.modules.contains_key("sys"), "known, though it does not ship");
}

#[test]
fn a_package_runs_its_main_and_entry_points_stay() {
    let mut fixture = Fixture::new(
        "app",
        &[
            ("app/app/__init__.py", ""),
            ("app/app/__main__.py", "from . import core"),
            ("app/app/core.py", ""),
            ("app/app/plugin.py", ""),
            ("app/app/unused.py", ""),
        ],
    );
    let plugins = BTreeMap::from([("x".to_owned(), "app.plugin:X".to_owned())]);
    fixture.plan.config.project.entry_points = BTreeMap::from([("acme".to_owned(), plugins)]);
    assert_eq!(names(&kept(&fixture)), ["app", "app.__main__", "app.core", "app.plugin"]);
}

#[test]
fn patterns_that_match_nothing_are_refused() {
    let files = [APP, ("site/used.py", ""), ("site/lazy/part.py", "")];
    assert_eq!(
        refusal(&Fixture::new("app", &files).prune(&["used.*", "lasy.*"], &[])),
        "[tool.pyrmware.prune] keep: no module fits \"lasy.*\"; did you mean lazy?"
    );
    assert_eq!(
        refusal(&Fixture::new("app", &files).prune(&[], &["nothing_like_it"])),
        "[tool.pyrmware.prune] drop: no module fits \"nothing_like_it\""
    );
    assert_eq!(
        refusal(&Fixture::new("app", &files).prune(&["lazy"], &["lazy"])),
        "[tool.pyrmware.prune]: \"lazy\" is both in keep and in drop; remove one"
    );
}

#[test]
fn dropping_what_the_start_needs_is_refused_with_the_way_there() {
    let files = [
        APP,
        ("site/used.py", "\nfrom deep.down import x"),
        ("site/deep/__init__.py", ""),
        ("site/deep/down.py", ""),
        ("site/lazy/part.py", ""),
    ];
    assert_eq!(
        refusal(&Fixture::new("app", &files).prune(&[], &["deep.*"])),
        "[tool.pyrmware.prune] drop: \"deep.*\" cannot be left out, app needs deep to start: \
         app:1 -> used:2 -> deep"
    );
    let without = Fixture::new("app", &files).prune(&[], &["lazy"]);
    assert_eq!(names(&kept(&without)), ["app", "deep", "deep.down", "used"]);
}

#[test]
fn resources_follow_their_package_and_metadata_its_distribution() {
    let fixture = Fixture::new(
        "app",
        &[
            APP,
            ("site/used.py", "import whole; version('acme-data')"),
            ("site/lazy/part.py", ""),
            ("site/lazy/data/x.json", ""),
            ("site/whole/__init__.py", "import whole.parts.module"),
            ("site/whole/parts/module.py", ""),
            ("site/whole/parts/template.py", ""),
            ("site/unused/__init__.py", ""),
            ("site/unused/y.json", ""),
        ],
    );
    fixture.distribution("used", "1", &["used.py"]);
    fixture.distribution("lazy", "1", &["lazy/part.py", "lazy/data/x.json"]);
    fixture.distribution("unused", "1", &["unused/__init__.py", "unused/y.json"]);
    fixture.distribution("acme-data", "1", &[]);
    let kept = kept(&fixture);
    let shown = |path: &&String| !path.ends_with("RECORD");
    assert_eq!(
        kept.graph.tree.resources.keys().filter(shown).collect::<Vec<_>>(),
        [
            "acme-data-1.dist-info/METADATA",
            "lazy-1.dist-info/METADATA",
            "lazy/data/x.json",
            "my_app-1.0.dist-info/METADATA",
            "used-1.dist-info/METADATA",
            "whole/parts/template.py",
        ]
    );
    let distributions: Vec<&String> = kept.graph.tree.distributions.keys().collect();
    assert_eq!(distributions, ["acme-data", "lazy", "my-app", "used"]);
}

#[test]
fn a_kept_library_that_cannot_be_loaded_is_refused() {
    let files = [APP, ("site/used.py", ""), ("site/lazy/part.py", ""), ("site/unused.py", "")];
    let fixture = Fixture::new("app", &files);
    fixture.write("site/unused.libs/libz.so", &elf(183));
    fixture.distribution("unused", "1", &["unused.py", "unused.libs/libz.so"]);
    assert!(kept(&fixture).graph.tree.libraries.is_empty());
    fixture.write("site/used.libs/libx.so", &elf(183));
    fixture.distribution("used", "1", &["used.py", "used.libs/libx.so"]);
    assert_eq!(
        refusal(&fixture),
        "used.libs/libx.so of used cannot be loaded on the device: it is built for aarch64, the \
         launcher for x86-64; drop it with [tool.pyrmware.prune] drop, or install used for the target"
    );
}

#[test]
fn a_level_says_which_imports_are_followed() {
    let files = [
        ("app/app.py", "import shutil, warnings"),
        (
            "lib/shutil.py",
            "import sys\nif sys.platform == 'win32':\n    import nt\ndef make():\n    import tarfile",
        ),
        (
            "lib/warnings.py",
            "def show():\n    try:\n        import tracemalloc\n    except ImportError:\n        pass",
        ),
        ("lib/nt.py", ""),
        ("lib/tarfile.py", ""),
        ("lib/tracemalloc.py", ""),
    ];
    let at = |level| {
        let mut fixture = Fixture::new("app", &files);
        fixture.plan.config.project.prune.level = level;
        kept(&fixture)
    };
    let all = ["app", "nt", "shutil", "tarfile", "tracemalloc", "warnings"];
    assert_eq!(names(&at(Level::All)), all);
    assert_eq!(names(&at(Level::Safe)), ["app", "shutil", "tracemalloc", "warnings"]);
    let balanced = at(Level::Balanced);
    assert_eq!(names(&balanced), ["app", "shutil", "warnings"]);
    assert_eq!(
        balanced.dropped["tarfile"],
        "not followed from shutil: only when make_archive or unpack_archive is named"
    );
}

#[test]
fn what_is_named_brings_back_what_a_cut_takes() {
    let shutil = ("lib/shutil.py", "def make():\n    import tarfile");
    let files = |app| [("app/app.py", app), shutil, ("lib/tarfile.py", "")];
    for app in [
        "import shutil\nshutil.make_archive(a, b)",
        "from shutil import make_archive",
        "import shutil\ndef f():\n    import tarfile",
        "import shutil\nuse('shutil.make_archive')",
    ] {
        assert_eq!(
            names(&kept(&Fixture::new("app", &files(app)))),
            ["app", "shutil", "tarfile"],
            "{app}"
        );
    }
    assert_eq!(names(&kept(&Fixture::new("app", &files("import shutil")))), ["app", "shutil"]);
}

#[test]
fn a_cut_of_an_import_that_runs_with_its_module_is_refused() {
    let files = [
        ("app/app.py", "import shutil"),
        ("lib/shutil.py", "\nimport tarfile"),
        ("lib/tarfile.py", ""),
    ];
    let fixture = Fixture::new("app", &files);
    let error = scan::run(&fixture.plan, collect::run(&fixture.plan).unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "scan/rules.toml: the cut \"only when make_archive or unpack_archive is named\" would take \
         tarfile from shutil, which imports it at its top, line 2; level = \"all\" in \
         [tool.pyrmware.prune] does without cuts"
    );
}

#[test]
fn the_imports_of_a_dependency_are_cut_by_its_name_only() {
    let files = |folder: &str| {
        let own = "if x:\n    from . import _pslinux\nelse:\n    from . import _psbsd";
        let fixture = Fixture::new("app", &[("app/app.py", "import psutil")]);
        fixture.write(&format!("{folder}/psutil/__init__.py"), own.as_bytes());
        fixture.write(&format!("{folder}/psutil/_pslinux.py"), b"");
        fixture.write(&format!("{folder}/psutil/_psbsd.py"), b"");
        fixture
    };
    let all = ["app", "psutil", "psutil._psbsd", "psutil._pslinux"];
    assert_eq!(names(&kept(&files("app"))), all);
    assert_eq!(names(&kept(&files("site"))), ["app", "psutil", "psutil._pslinux"]);
}
