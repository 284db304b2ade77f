//! The same payload as an update for launchers that are on devices already.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use pyrmware_payload::keys;
use sha2::{Digest, Sha256};

use super::Packed;
use crate::config::{Project, Update};
use crate::dist::compile::Compiled;
use crate::dist::hex;
use crate::dist::resolve::{LinkPlan, Plan};
use crate::python::version::Version;

/// The importer's Python half, which calls what the launcher has.
const RUNTIME: &str = "_pyrmware_runtime";

/// The file's name in the image folder.
pub fn file_name(project: &Project) -> String {
    format!("{}-{}.update", project.name, project.version)
}

/// What the manifest says of updates.
pub(super) fn settings(
    plan: &Plan,
    compiled: &Compiled,
    update: &Update,
) -> Result<Vec<(&'static str, String)>> {
    let version: Version = plan.config.project.version.parse()?;
    let mut all = Vec::from(update.settings());
    all.push((keys::LAUNCHER, launcher(plan, compiled)?));
    all.push((keys::VERSION_ORDER, version.order()));
    Ok(all)
}

/// What a payload needs of its launcher: the interpreter, modules inside that, and what the importer calls.
fn launcher(plan: &Plan, compiled: &Compiled) -> Result<String> {
    let interpreter = &plan.interpreter;
    let mut digest = Sha256::new();
    let own = !plan.link.is_system();
    for name in interpreter.builtins.iter().chain(&interpreter.frozen).filter(|_| own) {
        digest.update(format!("{name}\n"));
    }
    for (name, module) in &compiled.kept.graph.tree.modules {
        if let (true, Some(file)) = (name.split('.').next() == Some(RUNTIME), &module.file) {
            let text = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
            digest.update(format!("{name} {}\n", text.len()));
            digest.update(text);
        }
    }
    let link = match plan.link {
        LinkPlan::Shared(_) => "shared",
        LinkPlan::System(_) => "system",
        LinkPlan::StaticPic(_) | LinkPlan::StaticFixed(_) => "static",
    };
    // The device's own may be of a later release by then.
    let python = if own { interpreter.full_version.clone() } else { interpreter.short_version() };
    let target = &plan.target;
    Ok(format!("{target} Python {python} {link} {}", &hex(&digest.finalize())[..16]))
}

/// Writes the update into the image folder, where the launcher takes updates.
///
/// # Errors
/// It cannot be written.
pub fn write(plan: &Plan, packed: &Packed, stage: &Path) -> Result<()> {
    if plan.config.device.update.is_none() {
        return Ok(());
    }
    let path = stage.join(file_name(&plan.config.project));
    fs::write(&path, &packed.payload).with_context(|| format!("cannot write {}", path.display()))
}
