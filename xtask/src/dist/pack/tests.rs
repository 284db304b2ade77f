//! The stage on a small tree.

use pyrmware_payload::{MANIFEST, Payload};

use super::*;
use crate::config::{Config, Flags};
use crate::dist::compile;
use crate::paths::Paths;

fn plan(target: &Path) -> Plan {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let project = root.join("tests/apps/hello");
    let paths = Paths { app: root.join("app"), root, target: target.to_owned() };
    let flags = Flags { project: Some(project), device: "host".to_owned(), ..Flags::default() };
    crate::dist::resolve::run(Config::within(paths, &flags).unwrap()).unwrap()
}

/// A distribution with a source, a library, an extension module that needs it, and a template.
fn sealed(plan: &Plan, folder: &Path) -> Sealed {
    let mut compiled = compile::Compiled::default();
    let tree = &mut compiled.kept.graph.tree;
    let origin = Origin::Dependency("demo".to_owned());
    // Any program is a shared object to the packer.
    let program = std::env::current_exe().unwrap();
    std::fs::write(folder.join("demo.py"), "def f(): pass\n").unwrap();
    let module = |kind, package, path: &str, file: Option<PathBuf>| Module {
        kind,
        package,
        file,
        path: path.to_owned(),
        origin: origin.clone(),
    };
    let source = module(Kind::Source, true, "demo/__init__.py", Some(folder.join("demo.py")));
    tree.modules.insert("demo".to_owned(), source);
    let fast = module(Kind::Extension, false, "demo/fast.so", Some(program));
    tree.modules.insert("demo.fast".to_owned(), fast);
    tree.modules.insert("spread".to_owned(), module(Kind::Namespace, true, "spread", None));
    tree.modules.insert("sys".to_owned(), module(Kind::Interpreter, false, "sys", None));
    let resource = |bytes: &[u8]| Resource {
        content: Content::Bytes(bytes.to_vec()),
        origin: origin.clone(),
        package: None,
    };
    tree.resources.insert("demo/page.html".to_owned(), resource(b"<p>"));
    let metadata = "demo-1.dist-info/METADATA";
    tree.resources.insert(metadata.to_owned(), resource(b"Name: demo\n\nA demonstration.\n"));
    tree.resources.insert("demo-1.dist-info/sboms/x.json".to_owned(), resource(b"{}"));
    let record = "../bin/demo,sha256=a,1\ndemo/__init__.py,sha256=b,2\ndemo/fast.so,sha256=c,3\n\
                  demo/gone.py,sha256=d,4\ndemo/page.html,sha256=e,5\ndemo-1.dist-info/METADATA,sha256=f,6\n\
                  demo-1.dist-info/sboms/x.json,sha256=a,2\ndemo-1.dist-info/RECORD,,\n";
    tree.resources.insert("demo-1.dist-info/RECORD".to_owned(), resource(record.as_bytes()));
    let dropped = ["tkinter", "tkinter.ttk", "demo.gone"];
    let dropped = dropped.map(|name| (name.to_owned(), "not reached from demo".to_owned()));
    compiled.kept.dropped.extend(dropped);
    let compiled = compile::run(plan, compiled.kept.into()).unwrap();
    Sealed { compiled, ..Sealed::default() }
}

#[test]
fn what_is_packed_can_be_read_by_the_launcher() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path());
    let packed = run(&plan, sealed(&plan, folder.path())).unwrap();
    let payload = Payload::open(&packed.payload).unwrap();

    let demo = payload.module("demo").unwrap();
    assert_eq!((demo.filename, demo.package), ("demo/__init__.py", true));
    assert_eq!(demo.file.unwrap().path, "demo/__init__.pyc");
    let pyc = demo.file.unwrap().bytes().unwrap();
    assert_eq!(pyc[..2], plan.interpreter.magic.to_le_bytes());
    let fast = payload.module("demo.fast").unwrap();
    assert_eq!(fast.kind, pyrmware_payload::Kind::Extension);
    assert!(
        fast.file.unwrap().len() < std::fs::read(std::env::current_exe().unwrap()).unwrap().len()
    );
    assert!(payload.module("spread").unwrap().file.is_none());
    assert!(payload.module("sys").is_none(), "libpython has it");

    let record = payload.file("demo-1.dist-info/RECORD").unwrap().bytes().unwrap();
    let expected = "demo/__init__.py,,\ndemo/fast.so,,\ndemo/page.html,sha256=e,5\n\
                    demo-1.dist-info/METADATA,,\ndemo-1.dist-info/RECORD,,\n";
    assert_eq!(String::from_utf8_lossy(record), expected);
    let metadata = payload.file("demo-1.dist-info/METADATA").unwrap().bytes().unwrap();
    assert_eq!(metadata, b"Name: demo\n");
    assert!(payload.file("demo-1.dist-info/sboms/x.json").is_none());
    assert_eq!(payload.setting(keys::ENTRY), Ok("hello"));
    assert_eq!(payload.setting(keys::MAGIC), Ok(plan.interpreter.magic.to_string().as_str()));
    assert_eq!(payload.setting(keys::LOCKED_DOWN), Ok("false"));
    // Below a package that was dropped nothing can be asked for.
    assert_eq!(payload.pruned("tkinter"), Some("not reached from demo"));
    assert_eq!(payload.pruned("tkinter.ttk"), None);
    assert_eq!(payload.pruned("demo.gone"), Some("not reached from demo"));
    assert_eq!(packed.symbols.keys().collect::<Vec<_>>(), ["demo/__init__.py"]);
    assert!(packed.sidecars.is_empty());
}

#[test]
fn sidecars_stay_out_of_the_payload() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = plan(folder.path());
    plan.config.device.extensions = Extensions::Sidecar;
    let packed = run(&plan, sealed(&plan, folder.path())).unwrap();
    assert_eq!(packed.sidecars.keys().collect::<Vec<_>>(), ["lib/demo/fast.so"]);
    let payload = Payload::open(&packed.payload).unwrap();
    let fast = payload.module("demo.fast").unwrap();
    assert!(fast.sidecar && fast.file.is_none());
    assert_eq!(fast.filename, "demo/fast.so");
}

#[test]
fn the_same_content_is_the_same_payload() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path());
    let packed = || run(&plan, sealed(&plan, folder.path())).unwrap().payload;
    assert!(packed() == packed());
}

#[test]
fn two_files_with_one_path_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path());
    let complaint = |path: &str| {
        let mut sealed = sealed(&plan, folder.path());
        let tree = &mut sealed.compiled.kept.graph.tree;
        let page = tree.resources["demo/page.html"].clone();
        tree.resources.insert(path.to_owned(), page);
        format!("{:#}", run(&plan, sealed).unwrap_err())
    };
    assert_eq!(
        complaint("demo/__init__.pyc"),
        "packing the payload: two files with the path \"demo/__init__.pyc\""
    );
    assert_eq!(
        complaint("demo/page.html/x"),
        "packing the payload: \"demo/page.html\" is both a file and a folder"
    );
    assert_eq!(
        complaint(MANIFEST),
        "packing the payload: \".pyrmware-manifest\" is no path for a payload entry"
    );
}
