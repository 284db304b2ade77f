//! No launcher names a folder of the machine that builds it.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::cargo;
use super::scrub::{self, Forbidden, Leak};
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

/// Complains about files of the payload that name this machine's folders.
///
/// # Errors
/// One does.
pub fn check_payload(plan: &Plan, payload: &[u8]) -> Result<()> {
    // An application may well speak of /app or /root: only longer paths are taken for this machine's.
    let forbidden: Vec<Forbidden> =
        ours(plan).into_iter().chain(others(plan)).filter(|entry| is_deep(&entry.path)).collect();
    match scrub::leaks(payload, &forbidden).first() {
        None => Ok(()),
        Some(leak) => bail!(
            "{} in the payload holds a path of this machine, {} ({}), in {:?}; build or install it \
             elsewhere, or leave it out",
            entry_at(payload, leak),
            leak.path.display(),
            leak.what,
            leak.around,
        ),
    }
}

/// Folders that may come in through what this workspace compiles, the most specific first.
fn ours(plan: &Plan) -> Vec<Forbidden> {
    let paths = &plan.config.paths;
    named([
        ("cargo's target folder", Some(paths.target.clone())),
        ("the workspace", Some(paths.root.clone())),
        ("the application's folder", Some(plan.config.project.dir.clone())),
        ("cargo's home", cargo::home()),
        ("rustup's home", cargo::rustup_home()),
    ])
}

/// Folders that may come in through what others compiled.
fn others(plan: &Plan) -> Vec<Forbidden> {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| is_deep(home));
    let mut others = interpreter(plan);
    others.extend(named([("the home folder", home)]));
    others
}

/// Folders in which the interpreter is, was meant to be, and was compiled.
pub fn interpreter(plan: &Plan) -> Vec<Forbidden> {
    let interpreter = &plan.interpreter;
    let variable = |name| interpreter.sysconfig.get(name).map(PathBuf::from);
    // A build that was moved, or is reached through a link, still carries the prefix that it was
    // configured for. Debian's LIBDIR is a folder further down, and every machine has that.
    let configured = variable("LIBDIR").and_then(|lib| lib.parent().map(Path::to_owned));
    let configured = configured.filter(|prefix| !prefix.starts_with("/usr"));
    let compiled = |name| variable(name).filter(|folder| is_deep(folder));
    named([
        ("the interpreter's prefix", Some(interpreter.prefix.clone())),
        ("the interpreter's configured prefix", configured),
        ("the folder in which the interpreter was built", compiled("abs_builddir")),
        ("the folder of the interpreter's sources", compiled("abs_srcdir")),
    ])
}

fn named<const N: usize>(folders: [(&'static str, Option<PathBuf>); N]) -> Vec<Forbidden> {
    let named = |(what, path): (_, Option<PathBuf>)| Some(Forbidden { what, path: path? });
    folders.into_iter().filter_map(named).collect()
}

/// Whether a path has two names at least: /home/me, not /root.
fn is_deep(path: &Path) -> bool {
    path.components().count() > 2
}

/// The payload's file in which a leak is.
fn entry_at(payload: &[u8], leak: &Leak) -> String {
    let at = payload[leak.at..].as_ptr();
    let Ok(payload) = pyrmware_payload::Payload::open(payload) else { return "a file".to_owned() };
    let inside = |bytes: &[u8]| bytes.as_ptr_range().contains(&at);
    let file = payload.files().find(|file| file.bytes().is_ok_and(inside));
    file.map_or("the manifest".to_owned(), |file| file.path.to_owned())
}
