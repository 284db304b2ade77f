//! [`Packed`] -> [`Image`]: cargo builds the launcher around the payload.

use std::path::{Path, PathBuf};

use super::pack::Packed;
use super::resolve::Plan;

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

/// Builds the launcher into `stage`, an empty folder.
///
/// # Errors
/// Not there yet.
pub fn run(_plan: &Plan, _packed: Packed, _stage: &Path) -> anyhow::Result<Image> {
    anyhow::bail!("link: not there yet")
}
