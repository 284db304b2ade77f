//! What is in an image, with sizes and reasons: what all reports are made from.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use pyrmware_payload::{Payload, SIDECAR_DIR};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::dist::collect::{
    Distribution, Kind, Module, Object, Origin, Resource, device, elf, names,
};
use crate::dist::hex;
use crate::dist::link::Image;
use crate::dist::prune::Kept;
use crate::dist::resolve::Plan;
use crate::dist::scan::{Edge, EdgeKind};

use super::sizes;

/// A module that ships.
#[derive(Debug, Serialize)]
pub struct ModuleItem {
    /// Dotted name.
    pub name: String,
    /// `bytecode`, `extension` or `namespace`.
    pub kind: &'static str,
    #[serde(flatten)]
    pub owner: Owner,
    /// What people call the package that it belongs to.
    pub package: String,
    /// As it ships; 0 where it has no file of its own.
    pub bytes: u64,
    /// Why it is in, one clause.
    pub reason: String,
    /// The module that the reason names, on the shortest way from where the program starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub importer: Option<String>,
}

/// A file that ships and is no module.
#[derive(Debug, Serialize)]
pub struct FileItem {
    /// Path inside the payload, or beside the launcher.
    pub path: String,
    #[serde(flatten)]
    pub owner: Owner,
    pub bytes: u64,
}

/// An extension module that ships.
#[derive(Debug, Serialize)]
pub struct ExtensionItem {
    /// Dotted name.
    pub name: String,
    pub bytes: u64,
    /// `payload`, or `sidecar`: beside the launcher.
    pub place: &'static str,
}

/// Who brought something.
#[derive(Debug, Clone, Serialize)]
pub struct Owner {
    /// `application`, `dependency`, `stdlib` or `runtime`.
    pub origin: &'static str,
    /// The dependency's normalised name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distribution: Option<String>,
}

/// Everything that ships.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Modules, save those inside libpython.
    pub modules: Vec<ModuleItem>,
    /// Data of packages, metadata of distributions.
    pub resources: Vec<FileItem>,
    /// Shared libraries that extension modules bring.
    pub libraries: Vec<FileItem>,
    /// Those of [`Inventory::modules`] that are shared objects.
    pub extensions: Vec<ExtensionItem>,
    /// Files beside the launcher; those of modules and libraries are listed there too.
    pub sidecars: BTreeMap<String, u64>,
    /// Lower-case hex SHA-256 of `libraries`, by path.
    pub hashes: BTreeMap<String, String>,
    /// Shared libraries that the device must have: SONAME -> what needs it, paths inside the payload or
    /// beside the launcher, or the launcher's own name.
    pub system_libraries: BTreeMap<String, Vec<String>>,
    /// The release of glibc that all of it needs at least: "2.34".
    pub glibc: Option<String>,
    /// Dependencies of which anything ships, by normalised name.
    pub distributions: BTreeMap<String, Distribution>,
}

impl Inventory {
    /// Reads it off the payload and the stage: sizes are those of what ships, not of where it came from.
    pub fn of(plan: &Plan, image: &Image) -> Result<Inventory> {
        let app = names::normalise(&plan.config.project.name);
        let kept = &image.packed.sealed.compiled.kept;
        let tree = &kept.graph.tree;
        let payload = Payload::open(&image.packed.payload)
            .context("cannot read the payload that was just packed")?;

        let mut modules = Vec::new();
        let mut extensions = Vec::new();
        // Modules inside libpython stay known to the tree whether or not anything asks for them.
        let ships = |module: &&Module| module.kind != Kind::Interpreter;
        for (name, module) in tree.modules.iter().filter(|(_, module)| ships(module)) {
            let record = payload.module(name);
            let sidecar = record.is_some_and(|record| record.sidecar);
            let bytes = match record {
                Some(record) if sidecar => {
                    size(&image.stage.join(SIDECAR_DIR).join(record.filename))?
                }
                Some(record) => record.file.map_or(0, |file| file.len() as u64),
                None => 0,
            };
            if module.kind == Kind::Extension {
                let place = if sidecar { "sidecar" } else { "payload" };
                extensions.push(ExtensionItem { name: name.clone(), bytes, place });
            }
            let project = &plan.config.project;
            modules.push(module_item(name, module, bytes, kept, &project.name));
        }
        let sidecars = image
            .packed
            .sidecars
            .keys()
            .map(|path| Ok((path.clone(), size(&image.stage.join(path))?)))
            .collect::<Result<_>>()?;
        let libraries = files(&tree.libraries, &payload, &sidecars);
        let programs = programs(image, &sidecars)?;
        let glibc = device::needed(tree.objects.values().chain(programs.values()));
        let hash = |library: &FileItem| {
            Ok((library.path.clone(), hash(&library.path, &payload, &image.stage)?))
        };
        Ok(Inventory {
            modules,
            resources: files(&tree.resources, &payload, &sidecars),
            hashes: libraries.iter().map(hash).collect::<Result<_>>()?,
            system_libraries: system_libraries(image, &programs),
            glibc: glibc.map(|(major, minor)| format!("{major}.{minor}")),
            libraries,
            extensions,
            sidecars,
            distributions: tree
                .distributions
                .iter()
                .filter(|(name, _)| **name != app)
                .map(|(name, found)| (name.clone(), found.clone()))
                .collect(),
        })
    }
}

fn module_item(name: &str, module: &Module, bytes: u64, kept: &Kept, app: &str) -> ModuleItem {
    let kind = match module.kind {
        Kind::Source | Kind::Bytecode => "bytecode",
        Kind::Extension => "extension",
        Kind::Namespace | Kind::Interpreter => "namespace",
    };
    let (reason, importer) = match kept.reason.get(name) {
        Some(Some((importer, edge))) => (reached(importer, edge), Some(importer.clone())),
        Some(None) => {
            let root = kept.graph.roots.get(name).cloned();
            let traced = || kept.order.iter().any(|seen| seen == name);
            let reason = root.unwrap_or_else(|| match traced() {
                true => "a trace has seen it".into(),
                false => "where it starts".into(),
            });
            (reason, None)
        }
        None => ("it belongs to what is in".into(), None),
    };
    ModuleItem {
        name: name.into(),
        kind,
        owner: Owner::of(&module.origin),
        package: sizes::package(Some(&module.origin), Some(name), app).to_owned(),
        bytes,
        reason,
        importer,
    }
}

fn reached(importer: &str, edge: &Edge) -> String {
    let how = match edge.kind {
        EdgeKind::TopLevel => "imported by",
        EdgeKind::Guarded => "imported, if it is there, by",
        EdgeKind::InFunction => "imported in a function of",
        EdgeKind::Conditional => "imported under a condition by",
        EdgeKind::TypeChecking => "imported for type checking by",
        EdgeKind::String => "named in a string of",
        EdgeKind::Extension => "named in the extension module",
        EdgeKind::Rule => "needed, by a rule, by",
    };
    match edge.line {
        0 => format!("{how} {importer}"),
        line => format!("{how} {importer}, line {line}"),
    }
}

impl Owner {
    fn of(origin: &Origin) -> Owner {
        let (origin, distribution) = match origin {
            Origin::Application => ("application", None),
            Origin::Dependency(name) => ("dependency", Some(name.clone())),
            Origin::Stdlib => ("stdlib", None),
            Origin::Runtime => ("runtime", None),
        };
        Owner { origin, distribution }
    }
}

fn files(
    resources: &BTreeMap<String, Resource>,
    payload: &Payload<'_>,
    sidecars: &BTreeMap<String, u64>,
) -> Vec<FileItem> {
    let aside = |path: &str| sidecars.get(&format!("{SIDECAR_DIR}/{path}")).copied();
    let bytes = |path: &str| match payload.file(path) {
        Some(file) => file.len() as u64,
        None => aside(path).unwrap_or(0),
    };
    resources
        .iter()
        .map(|(path, resource)| FileItem {
            path: path.clone(),
            owner: Owner::of(&resource.origin),
            bytes: bytes(path),
        })
        .collect()
}

/// The launcher, and beside it libpython: the tree knows what is in the folder of extension modules.
fn programs(image: &Image, sidecars: &BTreeMap<String, u64>) -> Result<BTreeMap<String, Object>> {
    let libpython = sidecars.keys().filter(|path| !path.contains('/'));
    let beside = libpython.map(|path| image.stage.join(path));
    std::iter::once(image.launcher.clone())
        .chain(beside)
        .map(|file| {
            let failed = || format!("cannot read what {} needs", file.display());
            let headers = elf::open(&file)?.with_context(failed)?;
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok((name, headers.object))
        })
        .collect()
}

/// What the launcher, its extension modules and what is beside it ask for, and do not bring.
fn system_libraries(
    image: &Image,
    programs: &BTreeMap<String, Object>,
) -> BTreeMap<String, Vec<String>> {
    let mut system = image.packed.sealed.compiled.kept.graph.tree.system_libraries();
    for (name, object) in programs {
        for library in &object.needed {
            system.entry(library.clone()).or_default().insert(0, name.clone());
        }
    }
    system.retain(|library, _| !programs.contains_key(library));
    if system.contains_key("libc.so.6") {
        // The GNU C library loads it when it ends a thread from within, as Python does with those that
        // are left at its own end.
        system.entry("libgcc_s.so.1".to_owned()).or_default().push("libc.so.6".to_owned());
    }
    system
}

/// SHA-256 of a library as it ships.
fn hash(path: &str, payload: &Payload<'_>, stage: &Path) -> Result<String> {
    let digest = match payload.file(path) {
        Some(file) => Sha256::digest(
            file.bytes().with_context(|| format!("cannot read {path} in the payload"))?,
        ),
        None => {
            let file = stage.join(SIDECAR_DIR).join(path);
            let bytes =
                fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            Sha256::digest(bytes)
        }
    };
    Ok(hex(&digest))
}

fn size(file: &Path) -> Result<u64> {
    let metadata = fs::metadata(file)
        .with_context(|| format!("cannot read the size of {}", file.display()))?;
    Ok(metadata.len())
}
