//! Resolves `[project] dependencies` and writes `pylock.toml`.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::explain::Act;
use super::lock::{digest, write_aside};
use super::pylock::{Artifact, Ours, Package, PyLock, Tool};
use super::tool::Tools;
use crate::python::version::Specifier;

/// `created-by` of a lock that is pip's answer.
pub(super) const BY_PIP: &str = "pyrmware with pip";

/// Locks the dependencies into `file` and gives its text.
pub(super) fn write(tools: &Tools, file: &Path) -> Result<String> {
    let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
    let wanted = scratch.path().join("requirements.in");
    std::fs::write(&wanted, tools.config.project.dependencies.join("\n") + "\n")?;
    let text = match tools.get()?.is_uv() {
        true => with_uv(tools, &wanted, file)?,
        false => {
            ensure!(
                tools.cross.is_none(),
                "pip cannot lock the dependencies for another machine, as it asks this one what applies; install uv, \
                 or commit a lock that holds for both"
            );
            with_pip(tools, &wanted, file)?
        }
    };
    write_aside(file, &text)?;
    Ok(text)
}

/// Wheels only, save the packages that may be built.
fn formats(tools: &Tools) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["--only-binary".into(), ":all:".into()];
    for name in &tools.sdists {
        arguments.extend(["--no-binary".into(), name.into()]);
    }
    arguments
}

/// One lock for every platform and every Python that `requires-python` allows.
fn with_uv(tools: &Tools, wanted: &Path, file: &Path) -> Result<String> {
    // Beside the lock, as files are named relative to it; and its name has to say what it is.
    let folder = file.parent().context("a lock is in a folder")?;
    let aside = tempfile::Builder::new().prefix("pylock.new-").suffix(".toml").tempfile_in(folder);
    let aside = aside.with_context(|| format!("cannot write into {}", folder.display()))?;
    let aside = aside.into_temp_path();
    // Versions that are locked stay, where they still do.
    let before = std::fs::read_to_string(file).unwrap_or_default();
    if PyLock::parse(&before).is_ok() {
        std::fs::write(&aside, &before)
            .with_context(|| format!("cannot write {}", aside.display()))?;
    } else {
        // uv reads what is there, and an empty file is no lock.
        std::fs::remove_file(&aside)
            .with_context(|| format!("cannot remove {}", aside.display()))?;
    }
    let mut arguments: Vec<OsString> = [
        "--universal",
        "--no-header",
        "--no-annotate",
        "--generate-hashes",
        "--format",
        "pylock.toml",
    ]
    .map(OsString::from)
    .into();
    arguments.extend(["--python-version".into(), lowest_python(tools)?.into()]);
    arguments.extend(formats(tools));
    arguments.extend(["--output-file".into(), aside.as_os_str().into(), wanted.into()]);
    tools.run("compile", &arguments, &Act::Lock)?;
    let text = std::fs::read_to_string(&aside).context("uv wrote no lock")?;
    let end = if text.ends_with('\n') { "" } else { "\n" };
    Ok(format!("{text}{end}\n[tool.pyrmware]\nrequirements = \"{}\"\n", digest(tools.config)))
}

/// The lowest Python that the lock has to hold for.
fn lowest_python(tools: &Tools) -> Result<String> {
    let specifier: Specifier = tools.config.project.requires_python.parse()?;
    let own = tools.interpreter.version.1;
    let minors =
        if tools.config.project.requires_python.trim().is_empty() { own..=own } else { 10..=own };
    for minor in minors {
        // Of a minor version, any patch will do.
        for patch in 0..=99 {
            let version = format!("3.{minor}.{patch}");
            if specifier.contains(&version.parse()?) {
                return Ok(if patch == 0 { format!("3.{minor}") } else { version });
            }
        }
    }
    Ok(tools.interpreter.full_version.clone())
}

/// pip's report of what it would install.
#[derive(Deserialize)]
struct Report {
    install: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    download_info: Download,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Download {
    url: String,
    archive_info: Option<Archive>,
}

#[derive(Deserialize)]
struct Archive {
    #[serde(default)]
    hashes: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    version: String,
}

/// A lock for this Python and platform: what pip would install here.
fn with_pip(tools: &Tools, wanted: &Path, file: &Path) -> Result<String> {
    let mut arguments: Vec<OsString> =
        ["--dry-run", "--quiet", "--ignore-installed", "--report", "-"].map(OsString::from).into();
    arguments.extend(formats(tools));
    arguments.extend(["--requirement".into(), wanted.into()]);
    let output = tools.run("install", &arguments, &Act::Lock)?;
    let report: Report =
        serde_json::from_slice(&output).context("pip's report is not what was expected")?;
    let folder = file.parent().context("a lock is in a folder")?;
    let mut packages =
        report.install.into_iter().map(|item| package(item, folder)).collect::<Result<Vec<_>>>()?;
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    let markers = &tools.interpreter.markers;
    let terms = ["python_version", "sys_platform", "platform_machine", "implementation_name"];
    let terms = terms.map(|name| {
        format!("{name} == '{}'", markers.get(name).map(String::as_str).unwrap_or_default())
    });
    let lock = PyLock {
        lock_version: "1.0".to_owned(),
        created_by: BY_PIP.to_owned(),
        environments: vec![terms.join(" and ")],
        packages,
        tool: Tool { pyrmware: Some(Ours { requirements: digest(tools.config) }) },
        ..PyLock::default()
    };
    toml::to_string(&lock).context("cannot write a lock")
}

fn package(item: Item, folder: &Path) -> Result<Package> {
    let hashes = item.download_info.archive_info.map(|archive| archive.hashes).unwrap_or_default();
    let (name, url) = (item.metadata.name, item.download_info.url);
    ensure!(
        !hashes.is_empty(),
        "`{name}` comes from {url}, which no hash covers; lock a wheel of it"
    );
    let local = url.strip_prefix("file://").map(Path::new);
    let artifact = match local {
        // Relative where the files are with the project, so that a clone finds them.
        Some(path) => {
            let path = path.strip_prefix(folder).unwrap_or(path);
            Artifact { path: Some(path.display().to_string()), hashes, ..Artifact::default() }
        }
        None => Artifact { url: Some(url.clone()), hashes, ..Artifact::default() },
    };
    let mut package = Package { name, version: Some(item.metadata.version), ..Package::default() };
    match url.ends_with(".whl") {
        true => package.wheels.push(artifact),
        false => package.sdist = Some(artifact),
    }
    Ok(package)
}
