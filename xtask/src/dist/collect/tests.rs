use super::fixture::{Fixture, elf};
use super::*;

/// `name kind path origin` of every module.
fn modules(tree: &Tree) -> Vec<String> {
    let line = |(name, module): (&String, &Module)| {
        format!("{name} {:?} {} {}", module.kind, module.path, module.origin)
    };
    tree.modules.iter().map(line).collect()
}

/// `path package` of every resource.
fn resources(tree: &Tree) -> Vec<String> {
    let line = |(path, resource): (&String, &Resource)| {
        format!("{path} {}", resource.package.as_deref().unwrap_or("-"))
    };
    tree.resources.iter().map(line).collect()
}

fn refusal(fixture: &Fixture) -> String {
    fixture.plain(&run(&fixture.plan).unwrap_err())
}

#[test]
fn modules_are_found_in_the_order_of_the_path() {
    let fixture = Fixture::new(
        "app",
        &[
            ("app/app.py", ""),
            ("app/json.py", ""),
            ("app/time.py", ""),
            ("app/os.py", ""),
            ("lib/json/__init__.py", ""),
            ("lib/os.py", ""),
            ("lib/typing.py", ""),
            ("site/typing.py", ""),
            ("site/yaml.py", ""),
            ("site/yaml.cpython-311-x86_64-linux-gnu.so", "no object"),
            ("site/yaml.abi3.so", "no object"),
            ("site/plain.so", "no object"),
            ("site/plain.pyc", ""),
            ("site/other.cpython-310-x86_64-linux-gnu.so", "for another interpreter"),
            ("site/__pycache__/yaml.cpython-311.pyc", ""),
        ],
    );
    let tree = run(&fixture.plan).unwrap();
    assert_eq!(
        modules(&tree),
        [
            "app Source app.py the application",
            "json Source json.py the application",
            "os Interpreter  the standard library",
            "plain Extension plain.so plain",
            "sys Interpreter  the standard library",
            "time Interpreter  the standard library",
            "typing Source typing.py the standard library",
            "yaml Extension yaml.cpython-311-x86_64-linux-gnu.so yaml",
        ]
    );
    assert!(tree.modules["os"].file.as_ref().unwrap().ends_with("lib/os.py"));
    assert_eq!(
        tree.notes,
        [
            "json of the application hides json of the standard library",
            "os of the application hides os of the standard library",
            "typing of the standard library hides typing of typing",
            "time of the application is hidden by the interpreter's own",
            "os of the application is hidden by the interpreter's own",
        ]
    );
}

#[test]
fn namespace_packages_are_shared_and_own_what_lies_in_them() {
    let fixture = Fixture::new(
        "app",
        &[
            ("app/app.py", ""),
            ("app/yaml/no-module.txt", "a folder of data does not hide the package"),
            ("site/yaml/__init__.py", ""),
            ("site/acme/bolts/__init__.py", ""),
            ("site/acme/bolts/size.json", ""),
            ("site/acme/bolts/tests/data/size.json", ""),
            ("site/acme/nuts.py", ""),
            ("site/acme/about.txt", ""),
            ("site/share/acme/manual.txt", ""),
        ],
    );
    fixture.distribution("Acme.Bolts", "2", &["acme/bolts/__init__.py", "acme/bolts/size.json"]);
    fixture.distribution(
        "acme-nuts",
        "3",
        &["acme/nuts.py", "acme/about.txt", "share/acme/manual.txt"],
    );
    let tree = run(&fixture.plan).unwrap();
    assert_eq!(
        modules(&tree).into_iter().filter(|line| !line.contains("Interp")).collect::<Vec<_>>(),
        [
            "acme Namespace acme acme-bolts",
            "acme.bolts Source acme/bolts/__init__.py acme-bolts",
            "acme.bolts.tests Namespace acme/bolts/tests acme-bolts",
            "acme.bolts.tests.data Namespace acme/bolts/tests/data acme-bolts",
            "acme.nuts Source acme/nuts.py acme-nuts",
            "app Source app.py the application",
            "yaml Source yaml/__init__.py yaml",
        ]
    );
    assert_eq!(
        resources(&tree),
        [
            "Acme.Bolts-2.dist-info/METADATA -",
            "Acme.Bolts-2.dist-info/RECORD -",
            "acme-nuts-3.dist-info/METADATA -",
            "acme-nuts-3.dist-info/RECORD -",
            "acme/about.txt acme",
            "acme/bolts/size.json acme.bolts",
            "my_app-1.0.dist-info/METADATA -",
            "my_app-1.0.dist-info/RECORD -",
            "share/acme/manual.txt -",
        ]
    );
    assert_eq!(tree.distributions["acme-bolts"].version, "2");
    assert_eq!(tree.distributions["acme-nuts"].modules, ["acme", "share"]);
}

#[test]
fn data_below_a_package_belongs_to_it() {
    let fixture = Fixture::new(
        "app",
        &[
            ("app/app/__init__.py", ""),
            ("app/app/__main__.py", ""),
            ("app/app/templates/mail/hello.html", ""),
            ("app/app/templates-2/x.html", ""),
            ("app/app/stubs.pyi", ""),
            ("app/tests/test_app.py", ""),
            ("app/setup.py", ""),
            ("app/README.md", ""),
            ("app/.venv/lib/x.py", ""),
            ("app/env2/pyvenv.cfg", ""),
            ("app/env2/x.py", ""),
        ],
    );
    let tree = run(&fixture.plan).unwrap();
    let own =
        |name: &&String| name.starts_with("app") || name.contains("test") || name.contains("env");
    assert_eq!(
        tree.modules.keys().filter(own).collect::<Vec<_>>(),
        ["app", "app.__main__", "app.templates", "app.templates.mail"]
    );
    assert_eq!(
        resources(&tree)[..2],
        ["app/templates-2/x.html app", "app/templates/mail/hello.html app"]
    );
    let Content::Bytes(record) = &tree.resources["my_app-1.0.dist-info/RECORD"].content else {
        panic!("made here");
    };
    let record = String::from_utf8(record.clone()).unwrap();
    assert!(record.starts_with("app/__init__.py,,\napp/__main__.py,,\napp/templates-2/x.html,,\n"));
}

#[test]
fn the_src_layout_is_recognised() {
    let mut fixture = Fixture::new(
        "app.cli:main",
        &[
            ("app/src/app/__init__.py", ""),
            ("app/src/app/cli.py", ""),
            ("app/src/data/x.json", ""),
            ("app/tools/make.py", ""),
            ("app/etc/y.ini", ""),
        ],
    );
    fixture.plan.config.project.include = vec!["data/*.json".to_owned(), "etc".to_owned()];
    let tree = run(&fixture.plan).unwrap();
    assert!(tree.modules.contains_key("app.cli") && !tree.modules.contains_key("tools.make"));
    assert_eq!(resources(&tree)[..2], ["data/x.json -", "etc/y.ini -"]);
}

#[test]
fn the_application_has_metadata() {
    let mut fixture = Fixture::new("app", &[("app/app.py", "")]);
    let scripts = BTreeMap::from([("run".to_owned(), "app:main".to_owned())]);
    fixture.plan.config.project.entry_points =
        BTreeMap::from([("console_scripts".to_owned(), scripts)]);
    let tree = run(&fixture.plan).unwrap();
    let text = |name: &str| match &tree.resources[&format!("my_app-1.0.dist-info/{name}")].content {
        Content::Bytes(bytes) => String::from_utf8(bytes.clone()).unwrap(),
        Content::File(file) => panic!("{}", file.display()),
    };
    assert_eq!(
        text("METADATA"),
        "Metadata-Version: 2.1\nName: My.App\nVersion: 1.0\nSummary: An example\n\
         Requires-Python: >=3.10\nRequires-Dist: acme>=1\n"
    );
    assert_eq!(text("entry_points.txt"), "[console_scripts]\nrun = app:main\n\n");
    let metadata = "my_app-1.0.dist-info/METADATA,,\nmy_app-1.0.dist-info/RECORD,,\n";
    assert_eq!(
        text("RECORD"),
        format!("app.py,,\n{metadata}my_app-1.0.dist-info/entry_points.txt,,\n")
    );
}

#[test]
fn a_missing_entry_is_named_with_what_is_like_it() {
    let fixture = Fixture::new("consol", &[("app/console.py", ""), ("app/other.py", "")]);
    assert_eq!(
        refusal(&fixture),
        "[tool.pyrmware] entry = \"consol\": there is no module consol: neither /app/consol.py \
         nor /app/consol/__init__.py nor a dependency has it; did you mean console?"
    );
    let fixture = Fixture::new("console", &[("app/console/__init__.py", "")]);
    assert_eq!(
        refusal(&fixture),
        "[tool.pyrmware] entry = \"console\" is a package and there is no \
         /app/console/__main__.py to run; add it, or name a function: \"console.module:function\""
    );
}

#[test]
fn include_must_match_inside_the_project() {
    let mut fixture = Fixture::new("app", &[("app/app.py", "")]);
    fixture.plan.config.project.include = vec!["data/*.json".to_owned()];
    assert_eq!(
        refusal(&fixture),
        "[tool.pyrmware] include: \"data/*.json\" matches no file in /app; \
         mend the pattern or remove it"
    );
    fixture.plan.config.project.include = vec!["../secret".to_owned()];
    assert_eq!(
        refusal(&fixture),
        "[tool.pyrmware] include: \"../secret\" leaves the project; \
         give a pattern relative to /app"
    );
}

#[test]
fn shared_objects_that_are_no_modules_are_libraries() {
    let fixture = Fixture::new("app", &[("app/app.py", ""), ("site/acme/__init__.py", "")]);
    fixture.write("site/acme.libs/libx-1.so.2", &elf(62));
    fixture.write("site/acme/liby.so", &elf(183));
    let tree = run(&fixture.plan).unwrap();
    let libraries: Vec<_> = tree
        .libraries
        .iter()
        .map(|(path, library)| (path.as_str(), library.package.as_deref()))
        .collect();
    assert_eq!(libraries, [("acme.libs/libx-1.so.2", None), ("acme/liby.so", Some("acme"))]);
    assert_eq!(tree.objects["acme.libs/libx-1.so.2"].fault, None);
    assert_eq!(
        tree.objects["acme/liby.so"].fault.as_deref(),
        Some("it is built for aarch64, the launcher for x86-64")
    );
}

#[test]
fn files_of_two_distributions_are_noted() {
    let fixture = Fixture::new("app", &[("app/app.py", ""), ("site/x.py", "x = 1")]);
    fixture.distribution("one", "1", &["x.py"]);
    fixture.distribution("two", "1", &["x.py"]);
    let tree = run(&fixture.plan).unwrap();
    assert_eq!(tree.notes, ["x.py is in one and in two: one overwrote the other"]);
}

fn object(soname: Option<&str>, needed: &[&str]) -> Object {
    Object {
        soname: soname.map(str::to_owned),
        needed: needed.iter().map(|name| name.to_string()).collect(),
        versions: Vec::new(),
        fault: None,
    }
}

#[test]
fn libraries_are_loaded_after_what_they_need() {
    let mut tree = Tree::default();
    for (path, soname, needed) in [
        ("x.libs/a-1.so", Some("a.so"), &["b.so", "libc.so.6"][..]),
        ("x.libs/b.so", None, &["a.so"][..]),
    ] {
        let library = Resource {
            content: Content::Bytes(Vec::new()),
            origin: Origin::Application,
            package: None,
        };
        tree.libraries.insert(path.to_owned(), library);
        tree.objects.insert(path.to_owned(), object(soname, needed));
    }
    tree.objects.insert("x/m.so".to_owned(), object(None, &["libm.so.6", "a.so"]));
    assert_eq!(tree.preloads("x/m.so"), ["x.libs/b.so", "x.libs/a-1.so"]);
    let system: Vec<_> = tree.system_libraries().into_iter().collect();
    assert_eq!(system[0], ("libc.so.6".to_owned(), vec!["x.libs/a-1.so".to_owned()]));
    assert_eq!(system[1], ("libm.so.6".to_owned(), vec!["x/m.so".to_owned()]));
}
