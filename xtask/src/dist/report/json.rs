//! `report.json`: what others read about an image.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;

use super::inventory::{ExtensionItem, FileItem, Inventory, ModuleItem};
use crate::dist::Record;
use crate::dist::collect::{Distribution, Origin};
use crate::dist::compile::Compiled;
use crate::dist::link::Image;
use crate::dist::pack::update;
use crate::dist::prune::Kept;
use crate::dist::resolve::{LinkPlan, Plan};
use crate::dist::scan::{Hazard, Site};
use crate::dist::verify::Verified;

/// Built into the launcher, so that no file has it.
const LAUNCHER_MODULE: &str = "_pyrmware";

/// The whole report. Sizes are in bytes.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    app: &'a str,
    version: &'a str,
    /// The build id, which launcher and symbols have too.
    build: &'a str,
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
    /// Shared libraries that the device must have: SONAME -> what needs it, the launcher or paths.
    system_libraries: &'a BTreeMap<String, Vec<String>>,
    /// The release of glibc that the device must have at least: "2.34".
    glibc: Option<&'a str>,
    distributions: Vec<Shipped<'a>>,
    /// Imports by a computed name: module -> places, and whether it is known what they ask for.
    dynamic_imports: &'a BTreeMap<String, Vec<Site>>,
    /// What was done to modules: module -> what is out (docstrings and the like), names that wait until they
    /// are asked for, regular expressions that are compiled.
    transforms: BTreeMap<&'a str, Transforms<'a>>,
    /// The form of every module that is not plain bytecode: module -> `encrypted`, `cython`, `nuitka` or `pyarmor`.
    protect: BTreeMap<&'a str, String>,
    /// Whether the payload is signed.
    signed: bool,
    /// The same payload as an update, a file of the image folder; none: the launcher takes no updates.
    update: Option<String>,
    /// What may not work, or not be the same, without sources, documentation or the rest of a package:
    /// module of application or dependencies -> places.
    hazards: BTreeMap<&'a str, &'a BTreeSet<Hazard>>,
    /// Imports of modules that are nowhere, most of them optional: module -> names.
    missing_imports: BTreeMap<&'a str, Vec<&'a str>>,
    stages: Vec<Stage>,
    notes: Vec<&'a str>,
    /// Modules that ship and could not be imported on the machine that builds -> why. Most could not on
    /// stock Python either.
    import_failures: &'a BTreeMap<String, String>,
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

#[derive(Debug, Default, PartialEq, Serialize)]
struct Transforms<'a> {
    without_docstrings: bool,
    without_assertions: bool,
    /// Tracebacks tell the line in which a function begins.
    without_lines: bool,
    /// Code knows its module, and no file.
    without_file_names: bool,
    /// Local variables have no names.
    without_names: bool,
    lazy: Vec<&'a str>,
    /// Regular expressions that the builder compiled.
    patterns: usize,
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
        verified: &'a Verified,
        record: &Record,
    ) -> Report<'a> {
        let (config, project) = (&plan.config, &plan.config.project);
        let sealed = &image.packed.sealed;
        let kept = &sealed.compiled.kept;
        let tree = &kept.graph.tree;
        let shipped =
            |found: &'a Distribution| Shipped { name: &found.name, version: &found.version };
        let dropped = kept.dropped.iter().map(|(name, reason)| Dropped { name, reason });
        let notes = plan
            .notes
            .iter()
            .chain(&tree.notes)
            .chain(&kept.notes)
            .map(String::as_str)
            .filter(|n| portable(n));
        Report {
            app: &project.name,
            version: &project.version,
            build: &image.packed.build,
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
                compiled: sealed.compiled.fresh,
            },
            extensions: &inventory.extensions,
            resources: &inventory.resources,
            libraries: &inventory.libraries,
            sidecars: &inventory.sidecars,
            system_libraries: &inventory.system_libraries,
            glibc: inventory.glibc.as_deref(),
            distributions: inventory.distributions.values().map(shipped).collect(),
            dynamic_imports: &kept.graph.dynamic,
            transforms: transforms(&sealed.compiled),
            protect: sealed
                .modes
                .iter()
                .map(|(name, mode)| (name.as_str(), mode.to_string()))
                .collect(),
            signed: sealed.signer.is_some(),
            update: config.device.update.as_ref().map(|_| update::file_name(project)),
            hazards: hazards(kept),
            missing_imports: missing(&kept.graph.missing),
            stages: stages(record),
            notes: notes.collect(),
            import_failures: &verified.import_failures,
            warnings: &verified.warnings,
        }
    }
}

fn transforms(compiled: &Compiled) -> BTreeMap<&str, Transforms<'_>> {
    let counts = compiled.patterns.as_ref().map(|patterns| &patterns.counts);
    let done = compiled.forms.iter().map(|(name, form)| {
        let lazy = form.defer.iter().flat_map(|deferral| &deferral.names);
        let done = Transforms {
            without_docstrings: !form.docstrings,
            without_assertions: !form.assertions,
            without_lines: !form.lines,
            without_file_names: !form.file_names,
            without_names: !form.names,
            lazy: lazy.map(String::as_str).collect(),
            patterns: counts.and_then(|counts| counts.get(name)).copied().unwrap_or(0),
        };
        (name.as_str(), done)
    });
    done.filter(|(_, done)| *done != Transforms::default()).collect()
}

fn hazards(kept: &Kept) -> BTreeMap<&str, &BTreeSet<Hazard>> {
    let tree = &kept.graph.tree;
    let own = |name: &str| {
        let module = tree.modules.get(name);
        module.is_some_and(|m| !matches!(m.origin, Origin::Stdlib | Origin::Runtime))
    };
    let found = kept.graph.hazards.iter().filter(|(name, _)| own(name));
    found.map(|(name, hazards)| (name.as_str(), hazards)).collect()
}

/// Without the module that the launcher itself puts into `sys.modules`.
fn missing(found: &BTreeMap<String, Vec<String>>) -> BTreeMap<&str, Vec<&str>> {
    found
        .iter()
        .map(|(module, names)| {
            let names = names.iter().map(String::as_str).filter(|name| *name != LAUNCHER_MODULE);
            (module.as_str(), names.collect::<Vec<_>>())
        })
        .filter(|(_, names)| !names.is_empty())
        .collect()
}

/// Whether a note says nothing about folders of the machine that builds (which it has seen already).
fn portable(note: &str) -> bool {
    !note.split([' ', '(', '`', '"', '=']).any(|word| word.starts_with('/'))
}

fn link(link: &LinkPlan) -> &'static str {
    match link {
        LinkPlan::StaticPic(_) => "static",
        LinkPlan::StaticFixed(_) => "static-fixed",
        LinkPlan::Shared(_) => "shared",
        LinkPlan::System(_) => "system",
    }
}

fn bytes(plan: &Plan, image: &Image, inventory: &Inventory) -> Bytes {
    let payload = image.packed.payload.len() as u64;
    let program = image.bytes.saturating_sub(payload);
    let interpreter = match &plan.link {
        LinkPlan::Shared(_) => inventory
            .sidecars
            .iter()
            .filter(|(path, _)| path.starts_with("libpython"))
            .map(|(_, bytes)| bytes)
            .sum(),
        LinkPlan::System(_) => 0,
        LinkPlan::StaticPic(_) | LinkPlan::StaticFixed(_) => program,
    };
    Bytes { launcher: image.bytes, payload, interpreter }
}

fn stages(record: &Record) -> Vec<Stage> {
    let milliseconds = |seconds: f64| (seconds * 1000.0).round() / 1000.0;
    record
        .stages
        .iter()
        .map(|(name, took)| Stage { name, seconds: milliseconds(took.as_secs_f64()) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_launcher_has_built_in_is_not_missing() {
        let found = BTreeMap::from([
            ("a".to_owned(), vec!["_pyrmware".to_owned()]),
            ("b".to_owned(), vec!["_pyrmware".to_owned(), "_winapi".to_owned()]),
        ]);
        assert_eq!(missing(&found), BTreeMap::from([("b", vec!["_winapi"])]));
    }

    #[test]
    fn notes_about_folders_of_this_machine_are_not_for_the_report() {
        assert!(portable("a.py of x hides a.py of y; and/or"));
        assert!(!portable("Python 3.11.2 of /usr, the first on PATH"));
        assert!(!portable("it is older (/home/dev/x)"));
    }
}
