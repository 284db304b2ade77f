//! Small made-up installations for the tests of collect, scan and prune.

use std::collections::BTreeSet;
use std::path::Path;

use pyrmware_payload::Entry;
use tempfile::TempDir;

use crate::config::{
    Budget, Config, Device, Extensions, Project, Protect, Prune, Resolution, Service,
};
use crate::dist::resolve::{LinkPlan, Plan};
use crate::paths::Paths;
use crate::python::{Interpreter, Libraries};

/// A project in `app/`, a standard library in `lib/`, dependencies in `site/`, and the plan for them.
pub struct Fixture {
    /// The plan for them.
    pub plan: Plan,
    folder: TempDir,
}

impl Fixture {
    /// Writes the files, whose paths start with one of the three folders.
    pub fn new(entry: &str, files: &[(&str, &str)]) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        for name in ["app", "lib/lib-dynload", "site"] {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let fixture = Fixture { plan: plan(folder.path(), entry), folder };
        for (path, text) in files {
            fixture.write(path, text.as_bytes());
        }
        fixture
    }

    /// Writes one more file.
    pub fn write(&self, path: &str, bytes: &[u8]) {
        let file = self.folder.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }

    /// A distribution with its RECORD.
    pub fn distribution(&self, name: &str, version: &str, files: &[&str]) {
        let info = format!("site/{name}-{version}.dist-info");
        let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nText\n");
        self.write(&format!("{info}/METADATA"), metadata.as_bytes());
        let record: String = files.iter().map(|file| format!("{file},sha256={name},1\n")).collect();
        self.write(&format!("{info}/RECORD"), record.as_bytes());
    }

    /// `[tool.pyrmware.prune]`.
    pub fn prune(mut self, keep: &[&str], drop: &[&str]) -> Fixture {
        let own = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        self.plan.config.project.prune =
            Prune { keep: own(keep), drop: own(drop), ..Prune::default() };
        self
    }

    /// A message without the folder that differs from run to run.
    pub fn plain(&self, error: &anyhow::Error) -> String {
        format!("{error:#}").replace(self.folder.path().to_str().unwrap(), "")
    }
}

/// An ELF file that is nothing but its header.
pub fn elf(machine: u8) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(64, 0);
    (bytes[16], bytes[18], bytes[20], bytes[52]) = (3, machine, 1, 64);
    bytes
}

fn plan(root: &Path, entry: &str) -> Plan {
    let strings =
        |names: &[&str]| -> BTreeSet<String> { names.iter().map(|n| n.to_string()).collect() };
    let project = Project {
        protect: Protect::default(),
        dir: root.join("app"),
        name: "My.App".to_owned(),
        version: "1.0".to_owned(),
        description: "An\nexample".to_owned(),
        license: String::new(),
        maintainer: None,
        requires_python: ">=3.10".to_owned(),
        dependencies: vec!["acme>=1".to_owned()],
        entry_points: Default::default(),
        entry: Entry::parse(entry).unwrap(),
        include: Vec::new(),
        sdists: Vec::new(),
        optimize: crate::config::Optimize {
            lazy_imports: crate::config::LazyImports::Off,
            ..Default::default()
        },
        prune: Prune::default(),
        trace: Default::default(),
        verify: None,
        verify_imports: true,
        budget: Budget::default(),
        leakcheck: Default::default(),
    };
    let device = Device {
        name: "host".to_owned(),
        target: None,
        python: None,
        link: None,
        linker: None,
        host: None,
        runner: Default::default(),
        extensions: Extensions::Auto,
        locked_down: false,
        memory: None,
        service: Service::default(),
        update: None,
        licenses: Default::default(),
        package: Default::default(),
        architecture: Default::default(),
    };
    let config = Config {
        paths: Paths { root: root.to_owned(), target: root.join("target"), app: root.join("none") },
        project,
        device,
        resolution: Resolution::default(),
        builder: None,
        out: root.join("out"),
    };
    let interpreter = Interpreter {
        prefix: root.to_owned(),
        program: root.join("bin/python3"),
        program_libraries: None,
        version: (3, 11),
        full_version: "3.11.2".to_owned(),
        magic: 3495,
        stdlib: root.join("lib"),
        dynload: root.join("lib/lib-dynload"),
        include: root.join("include"),
        ext_suffix: ".cpython-311-x86_64-linux-gnu.so".to_owned(),
        builtins: strings(&["sys", "time"]),
        exports: [("_accel".to_owned(), strings(&["fast", "C"]))].into(),
        frozen: strings(&["os"]),
        libraries: Libraries::default(),
        sysconfig: Default::default(),
        markers: Default::default(),
    };
    Plan {
        config,
        target: "x86_64-unknown-linux-gnu".to_owned(),
        interpreter,
        link: LinkPlan::StaticPic(root.join("libpython3.11.a")),
        cross: None,
        runner: None,
        cargo: "cargo".into(),
        lock: None,
        site: Some(root.join("site")),
        distributions: Vec::new(),
        notes: Vec::new(),
        epoch: 0,
    }
}
