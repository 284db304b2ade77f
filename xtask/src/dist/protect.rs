//! [`Compiled`] -> [`Sealed`]: per package, the form in which its code ships.

use anyhow::Result;

use super::compile::Compiled;
use super::resolve::Plan;

/// Code in the form in which it ships. Bytecode is the only form so far: nothing changes.
#[derive(Debug, Clone, Default)]
pub struct Sealed {
    /// What was compiled.
    pub compiled: Compiled,
}

/// Seals nothing yet.
///
/// # Errors
/// None so far.
pub fn run(_plan: &Plan, compiled: Compiled) -> Result<Sealed> {
    Ok(Sealed { compiled })
}
