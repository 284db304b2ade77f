//! [`Kept`] -> [`Compiled`]: bytecode for the target's magic, byte-reproducible, cached by content.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::prune::Kept;

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
