//! [`Compiled`] -> [`Sealed`]: per package, the form in which its code ships.

mod keys;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};

use super::collect::{Kind, Origin};
use super::compile::Compiled;
use super::resolve::Plan;
use crate::config::Mode;
pub use keys::Signer;
use pyrmware_payload::Key;

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
    /// With what encrypted modules are to be encrypted.
    pub secret: Option<Secret>,
    /// Who signs the payload.
    pub signer: Option<Arc<Signer>>,
}

/// The key of encrypted modules.
#[derive(Debug, Clone)]
pub enum Secret {
    /// The user's.
    Given(Arc<Key>),
    /// One that is made from the build id and goes into the payload.
    Embedded,
}

/// Brings each package into its form.
///
/// # Errors
/// A tool fails or cannot compile a module.
pub fn run(plan: &Plan, compiled: Compiled) -> Result<Sealed> {
    let modes = modes(plan, &compiled);
    let later = |mode: &Mode| !matches!(mode, Mode::Bytecode | Mode::Encrypted);
    if let Some((module, mode)) = modes.iter().find(|(_, mode)| later(mode)) {
        bail!("module {module} is to be protected by {mode}, which this version cannot do");
    }
    let protect = &plan.config.project.protect;
    let secret = match modes.values().any(|mode| *mode == Mode::Encrypted) {
        true => Some(keys::secret(protect)?),
        false => None,
    };
    let signer = protect.sign.as_deref().map(Signer::load).transpose()?.map(Arc::new);
    Ok(Sealed { compiled, modes, sources: BTreeMap::new(), secret, signer })
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
