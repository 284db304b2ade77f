//! [`Compiled`] -> [`Sealed`]: per package, the form in which its code ships.

use super::compile::Compiled;
use super::resolve::Plan;

/// Code in the form in which it ships. Bytecode is the only form so far: nothing changes.
#[derive(Debug, Clone, Default)]
pub struct Sealed {
    /// What was compiled.
    pub compiled: Compiled,
}

/// Brings code into the form in which it ships.
///
/// # Errors
/// Not there yet.
pub fn run(_plan: &Plan, _compiled: Compiled) -> anyhow::Result<Sealed> {
    anyhow::bail!("protect: not there yet")
}
