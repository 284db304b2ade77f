//! [`Kept`] -> [`Compiled`]: bytecode for the target's magic, byte-reproducible, cached by content.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::prune::Kept;
use super::resolve::Plan;

/// Kept, with bytecode.
#[derive(Debug, Clone, Default)]
pub struct Compiled {
    /// What ships.
    pub kept: Kept,
    /// Module -> its `.pyc` in the cache (unchecked-hash header, canonical marshal).
    pub bytecode: BTreeMap<String, PathBuf>,
    /// How many were compiled now rather than found in the cache.
    pub fresh: usize,
}

/// Compiles what ships.
///
/// # Errors
/// Not there yet.
pub fn run(_plan: &Plan, _kept: Kept) -> anyhow::Result<Compiled> {
    anyhow::bail!("compile: not there yet")
}
