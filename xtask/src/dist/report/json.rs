//! `report.json`: what others read about an image.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::inventory::{ExtensionItem, FileItem, Inventory, ModuleItem};
use crate::dist::Record;
use crate::dist::collect::Distribution;
use crate::dist::link::Image;
use crate::dist::resolve::{LinkPlan, Plan};

/// The whole report. Sizes are in bytes.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    app: &'a str,
    version: &'a str,
    description: &'a str,
    entry: String,
    device: &'a str,
    target: &'a str,
    /// "3.11.7".
    python: &'a str,
    /// How libpython got in: `static`, `static-fixed` (no address randomisation) or `shared`.
    link: &'static str,
    /// Absolute path in the image folder.
    launcher: PathBuf,
    /// Of the launcher.
    sha256: &'a str,
    bytes: Bytes,
    modules: Modules<'a>,
    extensions: &'a [ExtensionItem],
    resources: &'a [FileItem],
    libraries: &'a [FileItem],
    /// Files beside the launcher -> size.
    sidecars: &'a BTreeMap<String, u64>,
    /// Shared libraries that the device must have: SONAME -> payload paths that need it.
    system_libraries: BTreeMap<String, Vec<String>>,
    distributions: Vec<Shipped<'a>>,
    /// Imports by a computed name that nobody could read: module -> lines.
    dynamic_imports: &'a BTreeMap<String, Vec<u32>>,
    /// Imports of modules that are nowhere, most of them optional: module -> names.
    missing_imports: &'a BTreeMap<String, Vec<String>>,
    stages: Vec<Stage>,
    notes: Vec<&'a str>,
    warnings: &'a [String],
}

#[derive(Debug, Serialize)]
struct Bytes {
    launcher: u64,
    payload: u64,
    /// A shared libpython's; linked statically, what the launcher has besides its payload.
    interpreter: u64,
}

#[derive(Debug, Serialize)]
struct Modules<'a> {
    kept: &'a [ModuleItem],
    dropped: Vec<Dropped<'a>>,
    /// How many were compiled for this image rather than found in the cache.
    compiled: usize,
}

#[derive(Debug, Serialize)]
struct Dropped<'a> {
    name: &'a str,
    reason: &'a str,
}

#[derive(Debug, Serialize)]
struct Shipped<'a> {
    name: &'a str,
    version: &'a str,
}

#[derive(Debug, Serialize)]
struct Stage {
    name: &'static str,
    seconds: f64,
}

impl<'a> Report<'a> {
    /// Puts together what is known about an image.
    pub fn new(
        plan: &'a Plan,
        image: &'a Image,
        inventory: &'a Inventory,
        record: &Record,
    ) -> Report<'a> {
        let (config, project) = (&plan.config, &plan.config.project);
        let kept = &image.packed.sealed.compiled.kept;
        let tree = &kept.graph.tree;
        let shipped =
            |found: &'a Distribution| Shipped { name: &found.name, version: &found.version };
        let dropped = kept.dropped.iter().map(|(name, reason)| Dropped { name, reason });
        let notes = plan.notes.iter().chain(&tree.notes).map(String::as_str);
        Report {
            app: &project.name,
            version: &project.version,
            description: &project.description,
            entry: project.entry.to_string(),
            device: &config.device.name,
            target: &plan.target,
            python: &plan.interpreter.full_version,
            link: link(&plan.link),
            launcher: config.out.join(&project.name),
            sha256: &image.sha256,
            bytes: bytes(plan, image, inventory),
            modules: Modules {
                kept: &inventory.modules,
                dropped: dropped.collect(),
                compiled: image.packed.sealed.compiled.fresh,
            },
            extensions: &inventory.extensions,
            resources: &inventory.resources,
            libraries: &inventory.libraries,
            sidecars: &inventory.sidecars,
            system_libraries: tree.system_libraries(),
            distributions: inventory.distributions.values().map(shipped).collect(),
            dynamic_imports: &kept.graph.dynamic,
            missing_imports: &kept.graph.missing,
            stages: stages(record),
            notes: notes.collect(),
            warnings: &image.warnings,
        }
    }
}

fn link(link: &LinkPlan) -> &'static str {
    match link {
        LinkPlan::StaticPic(_) => "static",
        LinkPlan::StaticFixed(_) => "static-fixed",
        LinkPlan::Shared(_) => "shared",
    }
}

fn bytes(plan: &Plan, image: &Image, inventory: &Inventory) -> Bytes {
    let program = image.bytes.saturating_sub(image.packed.bytes);
    let interpreter = match &plan.link {
        LinkPlan::Shared(_) => inventory
            .sidecars
            .iter()
            .filter(|(path, _)| path.starts_with("libpython"))
            .map(|(_, bytes)| bytes)
            .sum(),
        _ => program,
    };
    Bytes { launcher: image.bytes, payload: image.packed.bytes, interpreter }
}

fn stages(record: &Record) -> Vec<Stage> {
    let milliseconds = |seconds: f64| (seconds * 1000.0).round() / 1000.0;
    record
        .stages
        .iter()
        .map(|(name, took)| Stage { name, seconds: milliseconds(took.as_secs_f64()) })
        .collect()
}
