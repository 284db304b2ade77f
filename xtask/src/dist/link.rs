//! [`Packed`] -> [`Image`]: cargo builds the launcher around the payload.

mod cargo;
mod libpython;
pub mod machine;
pub(crate) mod rustflags;
pub mod scrub;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use memchr::memmem;
use sha2::{Digest, Sha256};

use super::hex;
use super::pack::{self, Packed, update};
use super::parallel;
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
    /// Digest of what it is made of besides the payload.
    pub code: String,
}

/// Builds the launcher and copies it, with what belongs beside it, into the folder `stage`.
///
/// # Errors
/// Cargo fails (with the compiler's messages), a file cannot be read or written, or a path of the
/// machine that builds is in the launcher.
pub fn run(plan: &Plan, mut packed: Packed, stage: &Path) -> Result<Image> {
    let (built, checked) =
        parallel::both(|| cargo::build(plan, &packed), || machine::check_payload(plan, &packed));
    let cargo::Built { mut launcher, code } = built?;
    checked?;
    let inside = find(&launcher, &packed.payload)
        .context("the payload is not in the launcher that cargo says it built")?;
    let (before, rest) = launcher.split_at_mut(inside);
    let (_, after) = rest.split_at_mut(packed.payload.len());
    machine::clean(plan, [before, after])?;

    if let LinkPlan::Shared(library) = &plan.link {
        packed.sidecars.insert(libpython::soname(library)?, library.clone());
    }
    for (path, file) in &packed.sidecars {
        // What pip installed may have been built for the same prefix elsewhere: it stays as it is.
        let foreign = plan.site.as_ref().is_some_and(|site| file.starts_with(site));
        let folders = if foreign { Vec::new() } else { machine::interpreter(plan) };
        place(&stage.join(path), &pack::shared_object(&read(file)?, &folders))?;
    }
    let path = stage.join(&plan.config.project.name);
    place(&path, &launcher)?;
    let sha256 = hex(&Sha256::digest(&launcher));
    let bytes = launcher.len() as u64;
    update::write(plan, &packed, stage)?;
    Ok(Image { packed, stage: stage.to_owned(), launcher: path, bytes, sha256, code })
}

/// Where the payload is. A search prepares itself for all of what it looks for, which are megabytes here.
fn find(launcher: &[u8], payload: &[u8]) -> Option<usize> {
    let start = &payload[..payload.len().min(4096)];
    memmem::find_iter(launcher, start).find(|at| launcher[*at..].starts_with(payload))
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
