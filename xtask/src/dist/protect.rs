//! [`Compiled`] -> [`Sealed`]: per package, the form in which its code ships.

use super::compile::Compiled;

/// Code in the form in which it ships. Bytecode is the only form so far: nothing changes.
#[derive(Debug, Clone, Default)]
pub struct Sealed {
    /// What was compiled.
    pub compiled: Compiled,
}
