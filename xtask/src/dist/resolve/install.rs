//! Unpacks the locked distributions into a folder that is addressed by what went in.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::explain::Act;
use super::lock::Locked;
use super::requirements::Pin;
use super::tool::{Tool, Tools};
use super::{normalise, requirements, wheels};
use crate::container;
use crate::dist::hex;
use crate::python::host_tool_python;

/// The folder with the locked distributions installed for `target`; made where it is not there.
pub(super) fn site(tools: &Tools, target: &str, locked: &Locked) -> Result<PathBuf> {
    let text = requirements::write(&locked.pins, &locked.options);
    let sites = tools.config.paths.cache().join("site");
    let site = sites.join(key(tools, target, &text));
    if site.is_dir() {
        return Ok(site);
    }
    std::fs::create_dir_all(&sites).with_context(|| format!("cannot make {}", sites.display()))?;
    let aside = tempfile::Builder::new().prefix(".new-").tempdir_in(&sites);
    let aside = aside.with_context(|| format!("cannot write into {}", sites.display()))?;
    let folder = aside.path().join("site");
    // Made here: nothing may be left to install once markers have spoken.
    std::fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let name = locked.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let to_folder = || ["--no-deps".into(), "--target".into(), folder.clone().into_os_string()];
    let elsewhere = |pin: &&Pin| tools.config.builder.is_some() && tools.sdists.contains(&pin.name);
    let (built, fetched): (Vec<_>, Vec<_>) = locked.pins.iter().partition(elsewhere);
    if !fetched.is_empty() {
        let mut arguments: Vec<OsString> = to_folder().into();
        arguments.push("--require-hashes".into());
        // Named one by one: what is not named may be built.
        for pin in fetched.iter().filter(|pin| !tools.sdists.contains(&pin.name)) {
            arguments.extend(["--only-binary".into(), pin.name.clone().into()]);
        }
        let file = write_requirements(aside.path(), "requirements.txt", &fetched, locked)?;
        arguments.extend(["--requirement".into(), file.into()]);
        let (tool, platform) = tool(tools, built.is_empty() && !tools.sdists.is_empty())?;
        arguments.extend(how(&tool).iter().map(OsString::from));
        arguments.extend(platform);
        tools.run_with(&tool, "install", &arguments, &Act::Install(name.clone()))?;
    }
    if let (Some(builder), false) = (&tools.config.builder, built.is_empty()) {
        let file = "sources.txt";
        write_requirements(aside.path(), file, &built, locked)?;
        let python = tools.interpreter.short_version();
        let wheels = container::wheels(builder, &python, aside.path(), file, tools.epoch)?;
        let (tool, platform) = tool(tools, true)?;
        let mut arguments: Vec<OsString> = to_folder().into();
        arguments.extend(how(&tool).iter().map(OsString::from));
        arguments.extend(platform);
        arguments.extend(wheels.into_iter().map(PathBuf::into_os_string));
        tools.run_with(&tool, "install", &arguments, &Act::Install(name))?;
    }
    normalise::folder(&folder)?;
    match std::fs::rename(&folder, &site) {
        // Another run was faster.
        Err(error) if !site.is_dir() => {
            Err(error).with_context(|| format!("cannot write {}", site.display()))
        }
        _ => Ok(site),
    }
}

/// Writes the requirements of some packages into a file, and gives its path.
fn write_requirements(
    folder: &Path,
    name: &str,
    pins: &[&Pin],
    locked: &Locked,
) -> Result<PathBuf> {
    let file = folder.join(name);
    let text = requirements::write(pins.iter().copied(), &locked.options);
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// Who installs, and what it is told of the machine that the packages are for; `from_source`: some are, or were,
/// built from source.
fn tool(tools: &Tools, from_source: bool) -> Result<(Tool, Vec<OsString>)> {
    let tool = tools.get()?.clone();
    let Some(cross) = tools.cross else { return Ok((tool, Vec::new())) };
    // What is built from source has a tag of the machine alone, `linux_armv7l`, which pip takes when it is told to.
    let known = wheels::for_uv(cross, tools.interpreter).filter(|_| tool.is_uv() && !from_source);
    match known {
        Some(platform) => Ok((tool, platform)),
        None => {
            let pip = Tool::Pip(host_tool_python(tools.interpreter)?);
            Ok((pip, wheels::for_pip(cross, tools.interpreter)))
        }
    }
}

/// How each tool is kept from doing more than to unpack.
fn how(tool: &Tool) -> &'static [&'static str] {
    match tool.is_uv() {
        true => &["--link-mode", "copy", "--no-compile-bytecode"],
        false => &["--quiet", "--no-compile", "--ignore-installed", "--no-warn-script-location"],
    }
}

/// Everything that the content of the folder depends on.
fn key(tools: &Tools, target: &str, requirements: &str) -> String {
    // What is built from source can depend on the very interpreter.
    let python = match tools.sdists.is_empty() {
        true => tools.interpreter.short_version(),
        false => {
            format!("{} {}", tools.interpreter.full_version, tools.interpreter.prefix.display())
        }
    };
    let wheels = tools.cross.map(wheels::tags).unwrap_or_default();
    let sdists = tools.sdists.join(" ");
    let image = tools.config.builder.as_ref().map(|builder| &*builder.id).unwrap_or_default();
    let parts = [normalise::VERSION, target, &wheels, &python, &sdists, image, requirements];
    hex(&Sha256::digest(parts.join("\n")))[..32].to_owned()
}
