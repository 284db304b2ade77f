//! [`Sealed`] -> [`Packed`]: one ZIP with a manifest, through one gate.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::protect::Sealed;
use super::resolve::Plan;

/// The payload as a file, and what goes beside the launcher.
#[derive(Debug, Clone, Default)]
pub struct Packed {
    /// What went in.
    pub sealed: Sealed,
    /// The payload, a ZIP in the cache folder.
    pub payload: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// Lower-case hex SHA-256 of the payload.
    pub sha256: String,
    /// Files beside the launcher, "lib/…" -> source (sidecar extension modules, a shared libpython).
    pub sidecars: BTreeMap<String, PathBuf>,
    /// Sources for tracebacks: path inside the payload -> file; they go into `symbols/`.
    pub symbols: BTreeMap<String, PathBuf>,
}

/// Writes the payload.
///
/// # Errors
/// Not there yet.
pub fn run(_plan: &Plan, _sealed: Sealed) -> anyhow::Result<Packed> {
    anyhow::bail!("pack: not there yet")
}
