//! [`Compiled`] -> [`Sealed`]: per package, the form in which its code ships.

mod cython;
mod keys;
mod native;
mod nuitka;
mod pyarmor;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};

use super::collect::{Kind, Module, Origin, Tree};
use super::compile::Compiled;
use super::resolve::Plan;
use crate::config::{Extensions, Mode};
use crate::paths::Paths;
use keys::KEY_FILE;
pub use keys::Signer;
pub use native::try_compiler;
use pyrmware_payload::{Entry, Key};

/// The folder of the cache in which is what tools have made of modules.
const MADE: &str = "native";
/// The one in which is what Nuitka has learned of C compilers, and a ccache.
const NUITKA: &str = "nuitka";

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
    /// What tracebacks call some of `sources`, where that is not their path below the launcher -> that path.
    pub called: BTreeMap<String, String>,
    /// With what encrypted modules are to be encrypted.
    pub secret: Option<Secret>,
    /// Who signs the payload.
    pub signer: Option<Arc<Signer>>,
    /// What could not be protected as it was to be, and why.
    pub notes: Vec<String>,
}

impl Sealed {
    /// What a launcher needs in its environment on the machine that builds: the key, which the device has
    /// elsewhere.
    pub fn environment(&self) -> Vec<(&'static str, &str)> {
        let Some(Secret::Given(_, file)) = &self.secret else { return Vec::new() };
        file.to_str().map(|file| (KEY_FILE, file)).into_iter().collect()
    }

    /// The launcher's cargo features that it takes.
    pub fn features(&self) -> Vec<&'static str> {
        let features = [("encrypted", self.secret.is_some()), ("signed", self.signer.is_some())];
        features.into_iter().filter(|(_, asked)| *asked).map(|(feature, _)| feature).collect()
    }

    /// What the user should know of the protection that was asked for.
    pub fn warnings(&self, plan: &Plan) -> Vec<String> {
        let mut warnings = self.notes.clone();
        if matches!(self.secret, Some(Secret::Embedded)) {
            warnings.push(
                "the key of the encrypted modules is in the launcher itself: whoever has it can \
                 read them; this is obfuscation"
                    .to_owned(),
            );
        }
        if self.secret.is_some() && !plan.config.device.locked_down {
            warnings.push(
                "modules are encrypted and the launcher is not locked down: whoever starts it where \
                 the key is can have it run other code, which sees them; set locked-down = true in \
                 [package.metadata.pyrmware]"
                    .to_owned(),
            );
        }
        if self.signer.is_some() && plan.config.device.extensions == Extensions::Sidecar {
            warnings.push(
                "extension modules beside the launcher are not part of the signed payload: \
                 extensions = \"memfd\" keeps them in it"
                    .to_owned(),
            );
        }
        warnings
    }
}

/// The key of encrypted modules.
#[derive(Debug, Clone)]
pub enum Secret {
    /// The user's, and the file that has it.
    Given(Arc<Key>, PathBuf),
    /// One that is made from the build id and goes into the payload.
    Embedded,
}

/// Forgets what tools have made of modules; it is made again when it is needed.
///
/// # Errors
/// What is there cannot be removed.
pub fn forget(paths: &Paths) -> Result<()> {
    for made in [MADE, NUITKA].map(|folder| paths.cache().join(folder)) {
        if made.exists() {
            std::fs::remove_dir_all(&made)
                .with_context(|| format!("cannot remove {}", made.display()))?;
        }
    }
    Ok(())
}

/// The form in which a module is to ship.
pub fn mode(plan: &Plan, name: &str, module: &Module) -> Mode {
    plan.config.project.protect.mode(name, module.origin == Origin::Application)
}

/// Brings each package into its form.
///
/// # Errors
/// A tool fails or cannot compile a module.
pub fn run(plan: &Plan, compiled: Compiled) -> Result<Sealed> {
    let (modes, notes) = modes(plan, &compiled);
    let protect = &plan.config.project.protect;
    let secret = match modes.values().any(|mode| *mode == Mode::Encrypted) {
        true => Some(keys::secret(protect)?),
        false => None,
    };
    let signer = protect.sign.as_deref().map(Signer::load).transpose()?.map(Arc::new);
    let mut sealed = Sealed { compiled, modes, secret, signer, notes, ..Sealed::default() };
    native::run(plan, &mut sealed)?;
    Ok(sealed)
}

/// What tools will do, for the progress line: "8 by Cython 3.3.1".
pub fn describe(plan: &Plan, compiled: &Compiled) -> Option<String> {
    native::describe(&modes(plan, compiled).0)
}

/// What the code that tools make imports besides what is in its source: module -> why.
pub fn needs(plan: &Plan, tree: &Tree) -> BTreeMap<String, String> {
    let modes: BTreeSet<Mode> = tree
        .modules
        .iter()
        .filter(|(_, module)| matches!(module.kind, Kind::Source | Kind::Bytecode))
        .map(|(name, module)| mode(plan, name, module))
        .collect();
    let needed = native::needs(&modes, plan.interpreter.version);
    let needed = needed.filter(|(name, _)| tree.modules.contains_key(name));
    needed.collect()
}

/// The modules with code that are not to ship as bytecode; and what has to, though it is not to.
fn modes(plan: &Plan, compiled: &Compiled) -> (BTreeMap<String, Mode>, Vec<String>) {
    let modules = compiled.kept.graph.tree.modules.iter();
    let with_code =
        modules.filter(|(_, module)| matches!(module.kind, Kind::Source | Kind::Bytecode));
    let (mut modes, mut notes) = (BTreeMap::new(), Vec::new());
    for (name, module) in with_code {
        let mode = mode(plan, name, module);
        if mode == Mode::Bytecode {
            continue;
        }
        if native::is_shared_object(mode) && runs_as_main(plan, name, module) {
            notes.push(format!(
                "module {name} runs as __main__, which no shared object can: it is bytecode, not {mode}; \
                 what is to be hidden belongs into another module"
            ));
            continue;
        }
        modes.insert(name.clone(), mode);
    }
    (modes, notes)
}

/// Whether `python -m` or the entry has a module's code run as that of `__main__`.
fn runs_as_main(plan: &Plan, name: &str, module: &Module) -> bool {
    let is_entry = matches!(&plan.config.project.entry, Entry::Module(entry) if entry == name);
    name == "__main__" || name.ends_with(".__main__") || (is_entry && !module.package)
}
