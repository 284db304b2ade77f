//! [`Packed`] -> [`Image`]: cargo builds the launcher around the payload.

mod cargo;
mod libpython;
mod rustflags;
pub mod scrub;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use memchr::memmem;
use sha2::{Digest, Sha256};

use self::scrub::{Forbidden, Leak};
use super::pack::{self, Packed};
use super::resolve::{LinkPlan, Plan};

/// A complete image folder, staged aside: [`super::report`] adds its files, then it replaces the previous one.
#[derive(Debug)]
pub struct Image {
    /// What is inside.
    pub packed: Packed,
    /// The folder that is being staged, beside the final one.
    pub stage: PathBuf,
    /// The launcher inside it.
    pub launcher: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// Lower-case hex SHA-256 of the launcher.
    pub sha256: String,
    /// What verify saw and the user should know; it ends up in the report.
    pub warnings: Vec<String>,
}

/// Builds the launcher and copies it, with what belongs beside it, into the folder `stage`.
///
/// # Errors
/// Cargo fails (with the compiler's messages), a file cannot be read or written, or a path of the
/// machine that builds is in the launcher.
pub fn run(plan: &Plan, mut packed: Packed, stage: &Path) -> Result<Image> {
    let built = cargo::build(plan, &packed.payload)?;
    let mut launcher = read(&built)?;
    let payload = read(&packed.payload)?;
    let inside = memmem::find(&launcher, &payload).with_context(|| {
        format!("the payload is not in {}, which cargo says it built", built.display())
    })?;
    let inside = inside..inside + payload.len();
    // The payload is left alone: its checksums hold, and pack has seen to its files.
    scrub::overwrite(&mut launcher[..inside.start], &plan.interpreter.prefix);
    scrub::overwrite(&mut launcher[inside.end..], &plan.interpreter.prefix);
    check(plan, &launcher, inside, &payload)?;

    if let LinkPlan::Shared(library) = &plan.link {
        packed.sidecars.insert(libpython::soname(library)?, library.clone());
    }
    for (path, file) in &packed.sidecars {
        let bytes = pack::shared_object(&read(file)?, &plan.interpreter.prefix);
        place(&stage.join(path), &bytes)?;
    }
    let path = stage.join(&plan.config.project.name);
    place(&path, &launcher)?;
    let sha256 = Sha256::digest(&launcher).iter().map(|byte| format!("{byte:02x}")).collect();
    let bytes = launcher.len() as u64;
    let warnings = Vec::new();
    Ok(Image { packed, stage: stage.to_owned(), launcher: path, bytes, sha256, warnings })
}

/// Nothing in the launcher may name a folder of the machine that builds.
fn check(
    plan: &Plan,
    launcher: &[u8],
    inside: std::ops::Range<usize>,
    payload: &[u8],
) -> Result<()> {
    let forbidden = forbidden(plan);
    let around = [&launcher[..inside.start], &launcher[inside.end..]];
    if let Some(leak) = around.iter().flat_map(|part| scrub::leaks(part, &forbidden)).next() {
        bail!(
            "the launcher holds a path of this machine, {} ({}), in {:?}; \
             if a build script or a flag of yours brings it in, map it with --remap-path-prefix in RUSTFLAGS",
            leak.path.display(),
            leak.what,
            leak.around,
        );
    }
    // An application may well speak of /app or /root: only longer paths are taken for this machine's.
    let deep: Vec<Forbidden> =
        forbidden.into_iter().filter(|entry| entry.path.components().count() > 2).collect();
    match scrub::leaks(payload, &deep).into_iter().next() {
        None => Ok(()),
        Some(leak) => bail!(
            "{} in the payload holds a path of this machine, {} ({}), in {:?}; \
             build or install it elsewhere, or leave it out",
            entry_at(payload, &leak),
            leak.path.display(),
            leak.what,
            leak.around,
        ),
    }
}

/// The payload's file in which a leak is.
fn entry_at(payload: &[u8], leak: &Leak) -> String {
    let at = payload[leak.at..].as_ptr();
    let Ok(payload) = pyrmware_payload::Payload::open(payload) else { return "a file".to_owned() };
    let inside = |bytes: &[u8]| bytes.as_ptr_range().contains(&at);
    let file = payload.files().find(|file| file.bytes().is_ok_and(inside));
    file.map_or("the manifest".to_owned(), |file| file.path.to_owned())
}

/// The folders of this machine that must not be in an image, the most specific first.
fn forbidden(plan: &Plan) -> Vec<Forbidden> {
    let paths = &plan.config.paths;
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let folders = [
        ("cargo's target folder", Some(paths.target.clone())),
        ("the workspace", Some(paths.root.clone())),
        ("the application's folder", Some(plan.config.project.dir.clone())),
        ("cargo's home", cargo::home()),
        ("rustup's home", cargo::rustup_home()),
        ("the interpreter's prefix", Some(plan.interpreter.prefix.clone())),
        ("the home folder", home),
    ];
    folders.into_iter().filter_map(|(what, path)| Some(Forbidden { what, path: path? })).collect()
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("reading {}", file.display()))
}

/// Writes a file of the image, aside and renamed; programs and libraries are executable.
fn place(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let act = || format!("writing {}", path.display());
    let folder = path.parent().with_context(act)?;
    std::fs::create_dir_all(folder).with_context(act)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(act)?;
    file.write_all(bytes).with_context(act)?;
    let executable = std::fs::Permissions::from_mode(0o755);
    file.as_file().set_permissions(executable).with_context(act)?;
    file.persist(path).with_context(act)?;
    Ok(())
}
