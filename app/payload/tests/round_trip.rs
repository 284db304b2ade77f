//! What is written is what is read.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use pyrmware_payload::{Fault, Kind, Manifest, ModuleRecord, Payload, WriteError, Writer, keys};
use support::{FILES, files, manifest, module, small, write};

#[test]
fn a_small_payload() {
    let bytes = small();
    let payload = Payload::open(&bytes).unwrap();
    assert_eq!(payload.setting(keys::APP), Ok("small"));
    assert_eq!(
        payload.setting(keys::ENTRY),
        Err(Fault::MissingSetting { key: keys::ENTRY.to_owned() })
    );
    for (path, content) in FILES {
        assert_eq!(payload.file(path).unwrap().bytes(), Ok(content), "{path}");
    }
    assert!(payload.file("app/main.py").is_none());

    let app = payload.module("app").unwrap();
    assert_eq!((app.kind, app.package, app.sidecar), (Kind::Bytecode, true, false));
    assert_eq!(app.filename, "app/__init__.py");
    assert_eq!(app.file.unwrap().bytes(), Ok(&b"package"[..]));
    let fast = payload.module("app._fast").unwrap();
    assert_eq!(fast.kind, Kind::Extension);
    let libraries: Vec<_> = payload.libraries(&fast).map(|file| file.path).collect();
    assert_eq!(libraries, ["libs/libz.so.1"]);
    let beside = payload.module("app._beside").unwrap();
    assert!(beside.sidecar && beside.file.is_none());
    assert_eq!(payload.module("spread").unwrap().kind, Kind::Namespace);
    assert!(payload.module("spre").is_none());

    let names = |package| payload.submodules(package).map(|m| m.name).collect::<Vec<_>>();
    assert_eq!(names(""), ["app", "spread"]);
    assert_eq!(names("app"), ["app._beside", "app._fast", "app.main"]);
    assert_eq!(names("ap"), [""; 0]);
    assert_eq!(payload.pruned("turtle"), Some("drop"));
    assert_eq!(payload.pruned("app"), None);
}

#[test]
fn folders_list_what_is_directly_inside() {
    // '-' and '.' sort before '/', '0' right after it.
    let bytes = files(&["a-b/x", "a.b", "a/b/c", "a/b0", "a/x", "a0", "ab/x", "z/y/x/w"]);
    let payload = Payload::open(&bytes).unwrap();
    let list = |path| payload.folder(path).map(|entries| entries.collect::<Vec<_>>());
    let top =
        [("a-b", true), ("a.b", false), ("a", true), ("a0", false), ("ab", true), ("z", true)];
    assert_eq!(list("").unwrap(), top);
    assert_eq!(list("a").unwrap(), [("b", true), ("b0", false), ("x", false)]);
    assert_eq!(list("a/b").unwrap(), [("c", false)]);
    assert_eq!(list("z/y").unwrap(), [("x", true)]);
    for not_a_folder in ["a.b", "a/x", "a/", "/", "a/b/c", "b", "z/y/x/w"] {
        assert_eq!(list(not_a_folder), None, "{not_a_folder}");
    }
    let empty = files(&[]);
    assert_eq!(Payload::open(&empty).unwrap().folder("").unwrap().count(), 0);
}

#[test]
fn any_zip_reader_can_read_it() {
    let bytes = small();
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(&bytes)).unwrap();
    let names: Vec<_> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    let mut expected: Vec<_> = FILES.iter().map(|(path, _)| *path).collect();
    expected.sort_by_key(|path| path.contains(".so"));
    assert_eq!(names, [&expected[..], &[pyrmware_payload::MANIFEST]].concat());
    for i in 0..zip.len() {
        let mut entry = zip.by_index(i).unwrap();
        assert_eq!(entry.compression(), zip::CompressionMethod::Stored);
        let name = entry.name().unwrap().into_owned();
        if name.contains(".so") {
            assert_eq!(entry.data_start().unwrap() % 4096, 0, "{name}");
        }
        // Reading to the end checks the checksum.
        entry.read_to_end(&mut Vec::new()).unwrap();
    }
}

#[test]
fn the_same_content_gives_the_same_bytes_in_whatever_order_it_is_added() {
    let mut writer = Writer::new();
    for (path, bytes) in FILES.iter().rev() {
        writer.add(path, bytes.to_vec()).unwrap();
    }
    writer.load("app/_fast.so", support::load());
    assert!(writer.finish(&manifest()).unwrap() == small());
}

#[test]
fn what_the_dynamic_linker_reads() {
    let bytes = small();
    let payload = Payload::open(&bytes).unwrap();
    let load = payload.file("app/_fast.so").unwrap().load.unwrap();
    let mut parts = Vec::new();
    load.parts(|offset, part| parts.push((offset, part))).unwrap();
    assert_eq!(parts, [(0, &b"\x7fELF"[..]), (6, b"xte")]);
    assert_eq!(load.starters, support::load().starters);
    assert!(payload.file("libs/libz.so.1").unwrap().load.is_none());
}

#[test]
fn the_writer_refuses() {
    let refusal = |paths: &[&str]| {
        let mut writer = Writer::new();
        let added = paths.iter().try_for_each(|path| writer.add(path, Vec::new()));
        added.and_then(|()| writer.finish(&Manifest::default())).unwrap_err().to_string()
    };
    assert_eq!(refusal(&["a", "a"]), r#"two files with the path "a""#);
    for path in ["", "/a", "a/", "a//b", "./a", "a/../b", "a\\b", "a\0", ".pyrmware-manifest"] {
        assert_eq!(refusal(&[path]), format!("{path:?} is no path for a payload entry"));
    }
    assert_eq!(refusal(&["a/b", "a.b", "a"]), r#""a" is both a file and a folder"#);
    assert_eq!(refusal(&["a", "a/b/c"]), r#""a" is both a file and a folder"#);

    let mut writer = Writer::new();
    writer.add("a.so", b"\x7fELF".into()).unwrap();
    writer.load("a.so", support::load());
    let error = writer.finish(&Manifest::default()).unwrap_err();
    assert_eq!(error.to_string(), r#""a.so" is shorter than a part of it"#);

    let mut manifest = Manifest::default();
    manifest.modules.insert("m".into(), module(Kind::Bytecode, false, "m.py", Some("m.pyc")));
    let error = Writer::new().finish(&manifest).unwrap_err();
    assert!(matches!(error, WriteError::NoSuchFile(..)));
    assert_eq!(
        error.to_string(),
        r#"module m names the file "m.pyc", which is not in the payload"#
    );
}

fn paths() -> impl Strategy<Value = String> {
    // A small alphabet around '/', so that prefixes and neighbours collide often.
    vec("[ab.0-]{1,3}", 1..4).prop_map(|parts| parts.join("/"))
}

fn contents() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    btree_map(paths(), vec(any::<u8>(), 0..40), 0..12).prop_map(|mut files| {
        let plain = |path: &str| !path.split('/').any(|part| matches!(part, "." | ".."));
        let all: BTreeSet<String> = files.keys().cloned().collect();
        let folder = |path: &str| all.iter().any(|other| other.starts_with(&format!("{path}/")));
        files.retain(|path, _| plain(path) && !folder(path));
        files
    })
}

/// The folder's listing, the slow way.
fn listing(files: &BTreeMap<String, Vec<u8>>, folder: &str) -> BTreeMap<String, bool> {
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let inside = files.keys().filter_map(|path| path.strip_prefix(&prefix));
    inside
        .map(|rest| match rest.split_once('/') {
            Some((name, _)) => (name.to_owned(), true),
            None => (rest.to_owned(), false),
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn files_and_folders(contents in contents()) {
        let list: Vec<_> =
            contents.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
        let bytes = write(&list, &Manifest::default());
        let payload = Payload::open(&bytes).unwrap();
        let read: BTreeMap<_, _> =
            payload.files().map(|file| (file.path.to_owned(), file.bytes().unwrap().to_vec())).collect();
        prop_assert_eq!(&read, &contents);
        let folders = contents.keys().flat_map(|path| {
            path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect::<Vec<_>>()
        });
        for folder in folders.chain([String::new()]) {
            let entries: Vec<_> = payload.folder(&folder).unwrap().collect();
            let expected = listing(&contents, &folder);
            prop_assert_eq!(entries.len(), expected.len(), "{} has {:?}", &folder, &entries);
            for (name, is_folder) in entries {
                prop_assert_eq!(expected.get(name), Some(&is_folder));
            }
        }
        for path in contents.keys() {
            prop_assert!(payload.folder(path).is_none());
        }
    }

    #[test]
    fn modules(names in btree_map("[a-c](\\.[a-c_]{1,2}){0,3}", any::<(u8, bool)>(), 0..20)) {
        let mut manifest = Manifest::default();
        for (name, (kind, package)) in &names {
            let kind = [Kind::Bytecode, Kind::Extension, Kind::Namespace][usize::from(kind % 3)];
            let record = ModuleRecord { sidecar: *package, ..module(kind, *package, name, None) };
            manifest.modules.insert(name.clone(), record);
            manifest.pruned.insert(format!("{name}x"), name.clone());
        }
        let bytes = write(&[], &manifest);
        let payload = Payload::open(&bytes).unwrap();
        prop_assert!(payload.modules().map(|module| module.name).eq(names.keys()));
        for (name, record) in &manifest.modules {
            let module = payload.module(name).unwrap();
            prop_assert_eq!(module.kind, record.kind);
            prop_assert_eq!((module.package, module.sidecar), (record.package, record.sidecar));
            prop_assert_eq!(module.filename, name);
            let dotted = format!("{name}.");
            let inside = names.keys().filter(|other| {
                other.strip_prefix(&dotted).is_some_and(|rest| !rest.contains('.'))
            });
            prop_assert!(payload.submodules(name).map(|module| module.name).eq(inside));
            let pruned = format!("{name}x");
            prop_assert_eq!(payload.pruned(&pruned), Some(name.as_str()));
        }
    }
}

#[test]
fn what_is_read_first_lies_first_and_shared_objects_last() {
    let mut writer = Writer::new();
    let names = ["a.pyc", "b.so", "c.so", "d.pyc", "e.pyc", "f"];
    for name in names {
        let content = if name.ends_with(".so") { "\x7fELF" } else { name };
        writer.add(name, content.into()).unwrap();
    }
    writer.read_first(["e.pyc", "gone.pyc", "c.so", "a.pyc"].map(str::to_owned).into());
    let bytes = writer.finish(&Manifest::default()).unwrap();
    let payload = Payload::open(&bytes).unwrap();
    let mut files: Vec<_> = payload.files().collect();
    assert_eq!(files.iter().map(|file| file.path).collect::<Vec<_>>(), names);
    files.sort_by_key(|file| file.bytes().unwrap().as_ptr());
    let order: Vec<_> = files.iter().map(|file| file.path).collect();
    assert_eq!(order, ["e.pyc", "a.pyc", "d.pyc", "f", "c.so", "b.so"]);
}
