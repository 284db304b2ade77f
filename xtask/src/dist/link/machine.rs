//! No launcher names a folder of the machine that builds it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use pyrmware_payload::Payload;

use super::cargo;
use super::scrub::{self, Forbidden};
use crate::dist::collect::Origin;
use crate::dist::pack::{Packed, packed_path};
use crate::dist::resolve::Plan;

/// Takes the machine's folders out of the launcher; `parts` are what surrounds the payload, which has
/// checksums of its own.
///
/// # Errors
/// One is in there that only Rust code or a flag can have brought: that is to be mended, not overwritten.
pub fn clean(plan: &Plan, parts: [&mut [u8]; 2]) -> Result<()> {
    for part in parts {
        complain(part, &ours(plan))?;
        scrub::overwrite_all(part, &others(plan));
        complain(part, &others(plan))?;
    }
    Ok(())
}

fn complain(part: &[u8], forbidden: &[Forbidden]) -> Result<()> {
    match scrub::leaks(part, forbidden).first() {
        None => Ok(()),
        Some(leak) => bail!(
            "the launcher holds a path of this machine, {} ({}), in {:?}; if a build script or a flag of \
             yours brings it in, map it with --remap-path-prefix in RUSTFLAGS",
            leak.path.display(),
            leak.what,
            leak.around,
        ),
    }
}

/// Complains about files of the payload that name this machine's folders. What a wheel holds was there
/// before it came here: a folder that its builder and this machine call alike says nothing about this one,
/// so of dependencies only this very workspace is looked for.
///
/// # Errors
/// A file does, or the payload cannot be read.
pub fn check_payload(plan: &Plan, packed: &Packed) -> Result<()> {
    let workspace: Vec<Forbidden> = workspace(plan).into_iter().filter(is_deep).collect();
    // An application may well speak of /app or /root: only longer paths are taken for this machine's.
    let all: Vec<Forbidden> = ours(plan).into_iter().chain(others(plan)).filter(is_deep).collect();
    let foreign = foreign(packed);
    let payload =
        Payload::open(&packed.payload).context("reading the payload that was just packed")?;
    for file in payload.files() {
        let forbidden = if foreign.contains(file.path) { &workspace } else { &all };
        if let Some(leak) = scrub::leaks(file.bytes()?, forbidden).first() {
            bail!(
                "{} in the payload holds a path of this machine, {} ({}), in {:?}; build or install it \
                 elsewhere, or leave it out",
                file.path,
                leak.path.display(),
                leak.what,
                leak.around,
            );
        }
    }
    Ok(())
}

/// Paths in the payload of what comes from dependencies.
fn foreign(packed: &Packed) -> BTreeSet<String> {
    let tree = &packed.sealed.compiled.kept.graph.tree;
    let foreign = |origin: &Origin| matches!(origin, Origin::Dependency(_));
    let files = tree.resources.iter().chain(&tree.libraries);
    let files = files.filter(|(_, file)| foreign(&file.origin)).map(|(path, _)| path.clone());
    let modules = tree.modules.values().filter(|module| foreign(&module.origin));
    files.chain(modules.map(|module| packed_path(&module.path))).collect()
}

/// This very workspace, the most specific first.
fn workspace(plan: &Plan) -> Vec<Forbidden> {
    let paths = &plan.config.paths;
    named([
        ("cargo's target folder", Some(paths.target.clone())),
        ("the workspace", Some(paths.root.clone())),
        ("the application's folder", Some(plan.config.project.dir.clone())),
    ])
}

/// Folders that may come in through what this workspace compiles.
fn ours(plan: &Plan) -> Vec<Forbidden> {
    let homes = named([("cargo's home", cargo::home()), ("rustup's home", cargo::rustup_home())]);
    workspace(plan).into_iter().chain(homes).collect()
}

/// Folders that may come in through what others compiled.
fn others(plan: &Plan) -> Vec<Forbidden> {
    let home = named([("the home folder", std::env::var_os("HOME").map(PathBuf::from))]);
    interpreter(plan).into_iter().chain(home.into_iter().filter(is_deep)).collect()
}

/// Folders in which the interpreter is, was meant to be, and was compiled.
pub fn interpreter(plan: &Plan) -> Vec<Forbidden> {
    if plan.link.is_system() {
        // They are the device's, and the launcher has to name them.
        return Vec::new();
    }
    let interpreter = &plan.interpreter;
    let variable = |name| interpreter.sysconfig.get(name).map(PathBuf::from);
    // A build that was moved, or is reached through a link, still carries the prefix that it was
    // configured for. Debian's LIBDIR is a folder further down, and every machine has that.
    let configured = variable("LIBDIR").and_then(|lib| lib.parent().map(Path::to_owned));
    let configured = configured.filter(|prefix| !prefix.starts_with("/usr"));
    let compiled = named([
        ("the folder in which the interpreter was built", variable("abs_builddir")),
        ("the folder of the interpreter's sources", variable("abs_srcdir")),
    ]);
    let lives = named([
        ("the interpreter's prefix", Some(interpreter.prefix.clone())),
        ("the interpreter's configured prefix", configured),
    ]);
    lives.into_iter().chain(compiled.into_iter().filter(is_deep)).collect()
}

fn named<const N: usize>(folders: [(&'static str, Option<PathBuf>); N]) -> Vec<Forbidden> {
    let named = |(what, path): (_, Option<PathBuf>)| Some(Forbidden { what, path: path? });
    folders.into_iter().filter_map(named).collect()
}

/// Whether a path has two names at least: /home/me, not /root.
fn is_deep(folder: &Forbidden) -> bool {
    folder.path.components().count() > 2
}
