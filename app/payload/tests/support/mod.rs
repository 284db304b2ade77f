//! A small payload with one of everything.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;

use pyrmware_payload::{Kind, LoadRecord, Manifest, ModuleRecord, Starters, Writer, keys};

/// Writes a payload of these files.
pub fn write(files: &[(&str, &[u8])], manifest: &Manifest) -> Vec<u8> {
    let mut writer = Writer::new();
    for (path, bytes) in files {
        writer.add(path, bytes.to_vec()).unwrap();
    }
    writer.finish(manifest).unwrap()
}

/// Writes a payload with files only.
pub fn files(paths: &[&str]) -> Vec<u8> {
    let files: Vec<_> = paths.iter().map(|path| (*path, path.as_bytes())).collect();
    write(&files, &Manifest::default())
}

/// A module whose bytes are in the payload.
pub fn module(kind: Kind, package: bool, filename: &str, file: Option<&str>) -> ModuleRecord {
    ModuleRecord {
        kind,
        package,
        sidecar: false,
        eager: false,
        filename: filename.to_owned(),
        file: file.map(str::to_owned),
        libraries: Vec::new(),
    }
}

/// The files of [`small`].
pub const FILES: [(&str, &[u8]); 5] = [
    ("app/__init__.pyc", b"package"),
    ("app/_fast.so", b"\x7fELF extension"),
    ("app/data/text", b""),
    ("app/main.pyc", b"main"),
    ("libs/libz.so.1", b"\x7fELF library"),
];

/// The manifest of [`small`].
pub fn manifest() -> Manifest {
    let mut fast = module(Kind::Extension, false, "app/_fast.so", Some("app/_fast.so"));
    fast.libraries = vec!["libs/libz.so.1".to_owned()];
    let mut beside = module(Kind::Extension, false, "app/_beside.so", None);
    beside.sidecar = true;
    let modules = [
        ("app", module(Kind::Bytecode, true, "app/__init__.py", Some("app/__init__.pyc"))),
        ("app._beside", beside),
        ("app._fast", fast),
        ("app.main", module(Kind::Bytecode, false, "app/main.py", Some("app/main.pyc"))),
        ("spread", module(Kind::Namespace, true, "spread", None)),
    ];
    let text = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    Manifest {
        settings: BTreeMap::from([(keys::APP, "small"), (keys::MAGIC, "3495")].map(text)),
        modules: modules.map(|(name, module)| (name.to_owned(), module)).into(),
        pruned: BTreeMap::from([("tkinter", "drop"), ("turtle", "drop")].map(text)),
    }
}

/// What is read of `app/_fast.so` when it is loaded.
pub fn load() -> LoadRecord {
    let starters = Starters { init: 1, init_entry: 2, array: 3, array_bytes: 4, array_entry: 5 };
    LoadRecord { parts: vec![(0, 4), (6, 3)], starters }
}

/// A payload with one of everything.
pub fn small() -> Vec<u8> {
    let mut writer = Writer::new();
    for (path, bytes) in FILES {
        writer.add(path, bytes.to_vec()).unwrap();
    }
    writer.load("app/_fast.so", load());
    writer.finish(&manifest()).unwrap()
}
