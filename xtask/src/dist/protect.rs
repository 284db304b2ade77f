//! [`Compiled`] -> [`Sealed`]: per package, the form in which its code ships.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};

use super::collect::{Kind, Origin};
use super::compile::Compiled;
use super::resolve::Plan;
use crate::config::Mode;

/// Code in the form in which it ships.
///
/// What tools turned into shared objects is an extension module of [`Compiled`]'s tree now, and what
/// such an object holds besides is not in the tree any more: later stages need not know the tools.
#[derive(Debug, Clone, Default)]
pub struct Sealed {
    /// What ships: bytecode, extension modules, resources.
    pub compiled: Compiled,
    /// Every module that does not ship as plain bytecode, those inside another's shared object too.
    pub modes: BTreeMap<String, Mode>,
    /// Sources, for tracebacks, of modules that ship as something else: path inside the payload -> file.
    pub sources: BTreeMap<String, PathBuf>,
}

/// Brings each package into its form.
///
/// # Errors
/// A tool fails or cannot compile a module.
pub fn run(plan: &Plan, compiled: Compiled) -> Result<Sealed> {
    let modes = modes(plan, &compiled);
    if let Some((module, mode)) = modes.iter().next() {
        bail!("module {module} is to be protected by {mode:?}, which this version cannot do");
    }
    Ok(Sealed { compiled, modes, sources: BTreeMap::new() })
}

/// The modules with code that are not to ship as bytecode.
fn modes(plan: &Plan, compiled: &Compiled) -> BTreeMap<String, Mode> {
    let protect = &plan.config.project.protect;
    let modules = compiled.kept.graph.tree.modules.iter();
    let with_code =
        modules.filter(|(_, module)| matches!(module.kind, Kind::Source | Kind::Bytecode));
    with_code
        .map(|(name, module)| {
            (name.clone(), protect.mode(name, module.origin == Origin::Application))
        })
        .filter(|(_, mode)| *mode != Mode::Bytecode)
        .collect()
}
