//! Unpacks the locked distributions into a folder that is addressed by what went in.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::Plan;
use super::requirements::{self, Pin};
use super::tool::Tool;

/// The folder with the pins installed; made where it is not there.
pub(super) fn site(plan: &Plan, pins: &[Pin], options: &[String]) -> Result<PathBuf> {
    let text = requirements::write(pins, options);
    let sites = plan.config.paths.cache().join("site");
    let site = sites.join(key(plan, &text));
    if site.is_dir() {
        return Ok(site);
    }
    std::fs::create_dir_all(&sites).with_context(|| format!("cannot make {}", sites.display()))?;
    let aside = tempfile::Builder::new().prefix(".new-").tempdir_in(&sites)?;
    let file = aside.path().join("requirements.txt");
    std::fs::write(&file, &text)?;
    let folder = aside.path().join("site");
    std::fs::create_dir(&folder)?;

    let tool = Tool::find(&plan.config.paths, &plan.interpreter)?;
    let mut command = tool.install(&plan.interpreter, &plan.config.project.dir);
    command.args(["--no-deps", "--require-hashes", "--target"]).arg(&folder);
    // Named one by one: what is not named may come as a wheel or as source.
    for pin in pins.iter().filter(|pin| !plan.config.project.sdists.contains(&pin.name)) {
        command.args(["--only-binary", &pin.name]);
    }
    command.arg("--requirement").arg(&file).stdin(Stdio::null());
    command.env("SOURCE_DATE_EPOCH", plan.epoch.to_string());
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!(
            "cannot install the dependencies: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    match std::fs::rename(&folder, &site) {
        Ok(()) => Ok(site),
        // Another run was faster.
        Err(_) if site.is_dir() => Ok(site),
        Err(error) => Err(error).with_context(|| format!("cannot write {}", site.display())),
    }
}

/// Everything that the content of the folder depends on.
fn key(plan: &Plan, requirements: &str) -> String {
    let mut sdists = plan.config.project.sdists.clone();
    sdists.sort();
    let parts =
        ["1", &plan.target, &plan.interpreter.short_version(), &sdists.join(" "), requirements];
    let digest = Sha256::digest(parts.join("\n"));
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
