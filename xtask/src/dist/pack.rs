//! [`Sealed`] -> [`Packed`]: one ZIP with a manifest, through one gate.

mod build;
mod documents;
pub mod elf;
mod libraries;
mod load;
mod order;
mod preload;
mod record;
mod seal;
mod strip;
#[cfg(test)]
mod tests;
pub mod update;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pyrmware_payload::{Manifest, ModuleRecord, PATTERNS, SIDECAR_DIR, Writer, keys};

use self::libraries::Libraries;
use self::record::Shipped;
use super::collect::{Content, Kind, Module, Origin, Resource};
use super::compile::Compiled;
use super::link::machine;
use super::link::scrub::{self, Forbidden};
use super::protect::Sealed;
use super::prune::Kept;
use super::resolve::Plan;
use crate::config::{Docstrings, Extensions};

/// The payload, and what goes beside the launcher.
#[derive(Debug, Clone, Default)]
pub struct Packed {
    /// What went in.
    pub sealed: Sealed,
    /// The payload, a ZIP.
    pub payload: Vec<u8>,
    /// The build id, which the payload has too.
    pub build: String,
    /// Files beside the launcher, "lib/…" -> source (sidecar extension modules, a shared libpython).
    pub sidecars: BTreeMap<String, PathBuf>,
    /// Sources for tracebacks: path inside the payload -> file; they go into `symbols/`.
    pub symbols: BTreeMap<String, PathBuf>,
}

/// Packs what ships.
///
/// # Errors
/// A file cannot be read, two files have one path, an extension module is no ELF file, or
/// the payload is larger than 4 GiB.
pub fn run(plan: &Plan, sealed: Sealed) -> Result<Packed> {
    let mut parts = Parts::new(plan);
    parts.eager = sealed.compiled.eager.clone();
    let tree = &sealed.compiled.kept.graph.tree;
    parts.libraries(&tree.libraries)?;
    for (name, module) in &tree.modules {
        let code = sealed.compiled.bytecode.get(name).map(PathBuf::as_path);
        parts.module(name, module, code).with_context(|| format!("packing module {name}"))?;
    }
    let (records, resources): (Vec<_>, Vec<_>) =
        tree.resources.iter().partition(|(path, _)| path.ends_with(".dist-info/RECORD"));
    for (path, resource) in resources {
        parts.resource(path, resource)?;
    }
    for (path, record) in records {
        parts.record(path, record)?;
    }
    let Parts { mut writer, mut manifest, sidecars, mut symbols, .. } = parts;
    symbols.extend(sealed.sources.clone());
    manifest.settings = settings(plan, &sealed.compiled)?;
    if let Some(patterns) = &sealed.compiled.patterns {
        let (engine, table) = patterns.read()?;
        manifest.settings.insert(keys::PATTERNS.to_owned(), engine);
        writer.add(PATTERNS, table).context("packing the payload")?;
    }
    writer.read_first(read_first(plan, &sealed.compiled.kept));
    manifest.pruned = pruned(&sealed.compiled.kept.dropped);
    let project = &plan.config.project;
    if let Some(key) = project.protect.key.as_ref().filter(|_| sealed.secret.is_some()) {
        manifest.settings.insert(keys::KEY.to_owned(), key.to_string());
        let dumpable = project.protect.dumpable.to_string();
        manifest.settings.insert(keys::KEY_DUMPABLE.to_owned(), dumpable);
    }
    let build = build::id(&writer, &manifest);
    manifest.settings.insert(keys::BUILD.to_owned(), build.clone());
    seal::run(&sealed, &build, &mut writer, &mut manifest);
    if let Some(signer) = &sealed.signer {
        let (signer, comment) =
            (signer.clone(), format!("{} {} build {build}", project.name, project.version));
        writer.sign(Box::new(move |root| signer.sign(root, &comment)));
    }
    let payload = writer.finish(&manifest).context("packing the payload")?;
    Ok(Packed { sealed, payload, build, sidecars, symbols })
}

/// What has been put together so far.
struct Parts {
    writer: Writer<'static>,
    manifest: Manifest,
    known: Libraries,
    /// The interpreter's folders, which shared objects must not name.
    folders: Vec<Forbidden>,
    /// Shared objects go beside the launcher rather than into the payload.
    beside: bool,
    /// Nothing that was written for readers is left out.
    documents: bool,
    sidecars: BTreeMap<String, PathBuf>,
    symbols: BTreeMap<String, PathBuf>,
    /// Modules that the application's start imports when no import is lazy.
    eager: BTreeSet<String>,
    /// What became of the files that distributions list.
    shipped: BTreeMap<String, Shipped>,
}

impl Parts {
    fn new(plan: &Plan) -> Parts {
        Parts {
            folders: machine::interpreter(plan),
            beside: plan.config.device.extensions == Extensions::Sidecar,
            documents: plan.config.project.optimize.shape.docstrings == Some(Docstrings::Keep),
            writer: Writer::new(),
            manifest: Manifest::default(),
            known: Libraries::default(),
            sidecars: BTreeMap::new(),
            symbols: BTreeMap::new(),
            eager: BTreeSet::new(),
            shipped: BTreeMap::new(),
        }
    }

    fn add(&mut self, path: &str, bytes: Vec<u8>) -> Result<()> {
        self.writer.add(path, bytes).context("packing the payload")
    }

    /// Adds a shared object that the launcher loads.
    fn add_loaded(&mut self, path: &str, bytes: Vec<u8>) -> Result<()> {
        if let Some(load) = load::of(&bytes) {
            self.writer.load(path, load);
        }
        self.add(path, bytes)
    }

    fn resource(&mut self, path: &str, resource: &Resource) -> Result<()> {
        let mut bytes = content(resource)?;
        let mut shipped = Shipped::Unchanged;
        if !self.documents {
            if documents::is_one(path, &resource.origin) {
                return Ok(());
            }
            if path.ends_with(".dist-info/METADATA") {
                bytes = documents::undescribed(&String::from_utf8_lossy(&bytes)).into_bytes();
                shipped = Shipped::Changed;
            }
        }
        self.shipped.insert(path.to_owned(), shipped);
        self.add(path, bytes)
    }

    fn libraries(&mut self, libraries: &BTreeMap<String, Resource>) -> Result<()> {
        for (path, library) in libraries {
            let bytes = self.shared_object(path, content(library)?, &library.origin);
            let dynamic =
                elf::dynamic(&bytes).with_context(|| format!("reading the library {path}"))?;
            self.known.add(path, dynamic);
            match &library.content {
                Content::File(file) if self.beside => self.beside(path, file),
                _ => self.add_loaded(path, bytes)?,
            }
        }
        Ok(())
    }

    /// The form in which a shared object ships, whose path in distributions' lists is `path`.
    fn shared_object(&mut self, path: &str, bytes: Vec<u8>, origin: &Origin) -> Vec<u8> {
        // What others built may name the same folder on another machine: it stays as it is.
        let ours = matches!(origin, Origin::Stdlib);
        let out = shared_object(&bytes, if ours { &self.folders } else { &[] });
        let shipped = if out == bytes { Shipped::Unchanged } else { Shipped::Changed };
        self.shipped.insert(path.to_owned(), shipped);
        out
    }

    /// A distribution's list of its files, reduced to what ships.
    fn record(&mut self, path: &str, record: &Resource) -> Result<()> {
        let text =
            String::from_utf8(content(record)?).with_context(|| format!("{path} is not UTF-8"))?;
        self.shipped.insert(path.to_owned(), Shipped::Changed);
        let shipped = |path: &str| self.shipped.get(path).copied().unwrap_or(Shipped::No);
        let reduced = record::reduced(&text, shipped);
        self.add(path, reduced.into_bytes())
    }

    fn beside(&mut self, path: &str, file: &Path) {
        self.sidecars.insert(format!("{SIDECAR_DIR}/{path}"), file.to_owned());
    }

    fn module(&mut self, name: &str, module: &Module, code: Option<&Path>) -> Result<()> {
        let mut record = ModuleRecord {
            kind: pyrmware_payload::Kind::Namespace,
            package: module.package,
            sidecar: false,
            eager: self.eager.contains(name),
            filename: module.path.clone(),
            file: None,
            libraries: Vec::new(),
        };
        match module.kind {
            // libpython has it.
            Kind::Interpreter => return Ok(()),
            Kind::Namespace => {}
            Kind::Source | Kind::Bytecode => {
                let pyc = code.context("it was not compiled")?;
                let path = packed_path(&module.path);
                record.kind = pyrmware_payload::Kind::Bytecode;
                record.filename = path.trim_end_matches('c').to_owned();
                self.shipped.insert(module.path.clone(), Shipped::Changed);
                self.add(&path, read(pyc)?)?;
                record.file = Some(path);
                if let (Kind::Source, Some(file)) = (module.kind, &module.file) {
                    self.symbols.insert(module.path.clone(), file.clone());
                }
            }
            Kind::Extension => {
                let file = module.file.as_deref().context("it has no file")?;
                let bytes = self.shared_object(&module.path, read(file)?, &module.origin);
                let dynamic = elf::dynamic(&bytes)
                    .with_context(|| format!("reading the extension module {}", file.display()))?;
                record.kind = pyrmware_payload::Kind::Extension;
                if self.beside {
                    // The dynamic linker follows $ORIGIN there.
                    record.sidecar = true;
                    self.beside(&module.path, file);
                } else {
                    record.file = Some(module.path.clone());
                    record.libraries = self.known.for_module(&module.path, &dynamic.needed);
                    self.add_loaded(&module.path, bytes)?;
                }
            }
        }
        self.manifest.modules.insert(name.to_owned(), record);
        Ok(())
    }
}

/// The files that a start reads, in the order of first use.
fn read_first(plan: &Plan, kept: &Kept) -> Vec<String> {
    let modules = order::of(kept, plan.config.project.entry.module());
    modules.iter().map(|name| packed_path(&kept.graph.tree.modules[*name].path)).collect()
}

/// The path in the payload of a module's file: bytecode in the place of source.
pub fn packed_path(path: &str) -> String {
    match path.strip_suffix(".py") {
        Some(stem) => format!("{stem}.pyc"),
        None => path.to_owned(),
    }
}

/// A shared object as it ships: without these folders of the interpreter, to which it may have a run
/// path, and without debug information, which the developer still has.
pub fn shared_object(bytes: &[u8], folders: &[Forbidden]) -> Vec<u8> {
    let mut out = strip::stripped(bytes).unwrap_or_else(|| bytes.to_vec());
    scrub::overwrite_all(&mut out, folders);
    out
}

fn settings(plan: &Plan, compiled: &Compiled) -> Result<BTreeMap<String, String>> {
    let project = &plan.config.project;
    let pairs = compiled.kept.done_without();
    let lines: Vec<String> = pairs.map(|(module, asker)| format!("{module} {asker}")).collect();
    let done_without = lines.join("\n");
    let (major, minor) = plan.interpreter.version;
    let device = &plan.config.device;
    let memory = device.memory.iter().flat_map(|memory| memory.settings());
    let service = device.service.settings();
    let preload = match &device.memory {
        Some(memory) if memory.has_zygote() => {
            let configured = device.service.preload.as_deref();
            let names = preload::of(&compiled.kept, &project.entry, configured)?;
            Some((keys::SERVICE_PRELOAD, names))
        }
        _ => None,
    };
    let stdlib = plan.stdlib_on_device().map(|folders| {
        (keys::STDLIB, folders.map(|folder| folder.display().to_string()).join("\n"))
    });
    let all = [
        (keys::APP, project.name.clone()),
        (keys::VERSION, project.version.clone()),
        (keys::ENTRY, project.entry.to_string()),
        (keys::PYTHON, format!("{major}.{minor}")),
        (keys::MAGIC, plan.interpreter.magic.to_string()),
        (keys::TARGET, plan.target.clone()),
        // As for `python3 -O`, which code that is compiled on the device goes by, too.
        (keys::OPTIMIZE, u8::from(project.optimize.shape.assertions == Some(false)).to_string()),
        (keys::LAZY, compiled.lazy().to_string()),
        (keys::LOCKED_DOWN, device.locked_down.to_string()),
        (keys::DONE_WITHOUT, done_without),
    ];
    let update = device.update.as_ref().map(|update| update::settings(plan, compiled, update));
    let update = update.transpose()?.into_iter().flatten();
    let all =
        all.into_iter().chain(stdlib).chain(memory).chain(service).chain(preload).chain(update);
    Ok(all.map(|(key, value)| (key.to_owned(), value)).collect())
}

/// The dropped modules that a program can ask for: below a dropped package the package is asked for
/// first. That leaves a few hundred names instead of thousands.
fn pruned(dropped: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let inside = |name: &str| name.rsplit_once('.').is_some_and(|(up, _)| dropped.contains_key(up));
    dropped
        .iter()
        .filter(|(name, _)| !inside(name))
        .map(|(name, reason)| (name.clone(), reason.clone()))
        .collect()
}

fn content(resource: &Resource) -> Result<Vec<u8>> {
    match &resource.content {
        Content::File(file) => read(file),
        Content::Bytes(bytes) => Ok(bytes.clone()),
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("reading {}", file.display()))
}
