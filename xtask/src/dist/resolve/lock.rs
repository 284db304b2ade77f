//! Where versions and hashes of the dependencies come from: the project's lock, made where there is none.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use super::explain::Act;
use super::pylock::PyLock;
use super::relock;
use super::requirements::{self, Pin, Pins};
use super::tool::Tools;
use crate::config::Config;
use crate::dist::hex;
use crate::python::marker::Requirement;
use crate::python::version::Specifier;

/// A lock, read for the target.
pub(super) struct Locked {
    /// The file.
    pub file: PathBuf,
    /// What it names for the target, by name.
    pub pins: Vec<Pin>,
    /// Where packages come from, as options of an installer.
    pub options: Vec<String>,
    /// What is worth telling.
    pub notes: Vec<String>,
}

/// Our lock's name.
pub(super) const PYLOCK: &str = "pylock.toml";

/// Reads the project's lock: `uv.lock`, else `pylock.toml`, else `requirements.txt` with hashes, else makes one.
pub(super) fn read(tools: &Tools) -> Result<Locked> {
    // First, so that a typing error is not told as a tool's failure.
    wanted(tools)?;
    let folder = &tools.config.project.dir;
    let file = |name: &str| Some(folder.join(name)).filter(|file| file.is_file());
    if let Some(file) = file("uv.lock") {
        return locked_by_others(tools, file, "`uv lock`", |text| uv_lock(tools, text));
    }
    if let Some(file) = file(PYLOCK) {
        return pylock(tools, file);
    }
    let mut notes = Vec::new();
    if let Some(file) = file("requirements.txt") {
        match not_a_lock(&read_text(&file)?) {
            None => {
                let parse = |text: &str| requirements::parse(text, folder);
                return locked_by_others(tools, file, "what wrote it", parse);
            }
            Some(reason) => notes.push(format!("requirements.txt is not used: {reason}")),
        }
    }
    let mut locked = make(tools, &folder.join(PYLOCK), "there was no lock")?;
    locked.notes.splice(0..0, notes);
    Ok(locked)
}

fn read_text(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Why a requirements file is a list of wishes rather than a lock.
fn not_a_lock(text: &str) -> Option<&'static str> {
    (!text.contains("--hash")).then_some("its lines have no `--hash=sha256:…`")
}

/// A lock that is not ours to write.
fn locked_by_others(
    tools: &Tools,
    file: PathBuf,
    remedy: &str,
    parse: impl FnOnce(&str) -> Result<Pins>,
) -> Result<Locked> {
    let text = read_text(&file)?;
    let read = parse(&text).with_context(|| format!("cannot use {} as a lock", file.display()))?;
    let pins = requirements::for_target(read.pins, &tools.interpreter.markers);
    if let Some(reason) = lacks(tools, &pins)? {
        bail!(
            "{} is out of date: {reason}; lock again with {remedy}, or delete the file",
            file.display()
        );
    }
    Ok(Locked { file, pins, options: read.options, notes: Vec::new() })
}

/// Reads `pylock.toml`; writes it again if it is ours and out of date.
fn pylock(tools: &Tools, file: PathBuf) -> Result<Locked> {
    let text = read_text(&file)?;
    let act = || format!("cannot use {} as a lock", file.display());
    let lock = PyLock::parse(&text).with_context(act)?;
    let stale = stale(tools, &lock).with_context(act)?;
    if let (Some(reason), Some(_)) = (&stale, lock.digest()) {
        return make(tools, &file, reason);
    }
    let remedy = format!("what wrote it ({})", lock.created_by);
    if let Some(reason) = stale {
        bail!(
            "{} is out of date: {reason}; lock again with {remedy}, or delete the file",
            file.display()
        );
    }
    let (folder, markers) = (&tools.config.project.dir, &tools.interpreter.markers);
    locked_by_others(tools, file, &remedy, |_| lock.pins(folder, markers, &tools.sdists))
}

/// Why the lock is not for these dependencies, this Python or this platform.
fn stale(tools: &Tools, lock: &PyLock) -> Result<Option<String>> {
    if lock.digest().is_some_and(|made_for| made_for != digest(tools.config)) {
        return Ok(Some("the dependencies of pyproject.toml changed".to_owned()));
    }
    let interpreter = tools.interpreter;
    if let Some(requires) = &lock.requires_python {
        let specifier: Specifier = requires.parse()?;
        if !specifier.contains(&interpreter.parsed_version()?) {
            return Ok(Some(format!(
                "it is for Python {requires}, not for {}",
                interpreter.full_version
            )));
        }
    }
    let covers = lock.covers(&interpreter.markers)?;
    Ok((!covers).then(|| "it is for another platform or Python".to_owned()))
}

/// The dependency that the pins do not satisfy, if any.
fn lacks(tools: &Tools, pins: &[Pin]) -> Result<Option<String>> {
    for (text, wanted) in wanted(tools)? {
        let Some(pin) = pins.iter().find(|pin| pin.name == wanted.name) else {
            return Ok(Some(format!("it has no `{}`", wanted.name)));
        };
        if pin.version.is_empty() || wanted.url.is_some() {
            continue;
        }
        if !wanted.specifier.contains(&pin.version.parse()?) {
            return Ok(Some(format!("its {} {} is not `{text}`", pin.name, pin.version)));
        }
    }
    Ok(None)
}

/// The dependencies that apply to the target, as written and as read.
fn wanted<'a>(tools: &Tools<'a>) -> Result<Vec<(&'a str, Requirement)>> {
    let mut wanted = Vec::new();
    for text in &tools.config.project.dependencies {
        let requirement: Requirement = text
            .parse()
            .with_context(|| format!("cannot read {text:?} in dependencies of [project]"))?;
        if requirement.applies(&tools.interpreter.markers) {
            wanted.push((text.as_str(), requirement));
        }
    }
    Ok(wanted)
}

/// What a lock is made for.
pub(super) fn digest(config: &Config) -> String {
    let project = &config.project;
    let sorted = |list: &[String]| {
        let mut list: Vec<&str> = list.iter().map(|text| text.trim()).collect();
        list.sort_unstable();
        list.join("\n")
    };
    let parts =
        [project.requires_python.trim(), &sorted(&project.dependencies), &sorted(&project.sdists)];
    format!("sha256:{}", hex(&Sha256::digest(parts.join("\n\n"))))
}

/// Locks the dependencies and reads the lock.
fn make(tools: &Tools, file: &Path, reason: &str) -> Result<Locked> {
    ensure!(
        !tools.config.resolution.locked,
        "--locked, but {reason}; run `cargo xtask dist` once without it and commit {}",
        file.display()
    );
    let text = relock::write(tools, file)?;
    let lock = PyLock::parse(&text)?;
    let (folder, markers) = (&tools.config.project.dir, &tools.interpreter.markers);
    let read = lock.pins(folder, markers, &tools.sdists);
    let read = read.with_context(|| format!("cannot use {} as a lock", file.display()))?;
    let mut note = format!("dependencies locked into {PYLOCK}, as {reason}; commit it");
    if lock.created_by == relock::BY_PIP {
        note += " (by pip: for this Python and platform only)";
    }
    let pins = requirements::for_target(read.pins, markers);
    Ok(Locked { file: file.to_owned(), pins, options: read.options, notes: vec![note] })
}

/// The pins of `uv.lock`, as uv exports them; kept, so that uv is started once per lock.
fn uv_lock(tools: &Tools, text: &str) -> Result<Pins> {
    let folder = &tools.config.project.dir;
    let key = Sha256::digest(format!(
        "{}\n{}\n{text}",
        digest(tools.config),
        tools.interpreter.full_version
    ));
    let cache = tools.config.paths.cache().join("lock");
    let file = cache.join(format!("{}.txt", &hex(&key)[..32]));
    if let Ok(text) = std::fs::read_to_string(&file) {
        return requirements::parse(&text, folder);
    }
    ensure!(
        tools.get()?.is_uv(),
        "only uv reads uv.lock; install uv, or export a pylock.toml and delete uv.lock"
    );
    let arguments = [
        "--locked",
        "--no-dev",
        "--no-emit-project",
        "--no-header",
        "--no-annotate",
        "--format",
        "requirements-txt",
    ];
    let exported = tools.run("export", &arguments, &Act::Export)?;
    let exported = String::from_utf8(exported).context("uv's answer is not UTF-8")?;
    let pins = requirements::parse(&exported, folder)?;
    std::fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    write_aside(&file, &exported)?;
    Ok(pins)
}

/// Writes a file beside its place, then moves it there.
pub(super) fn write_aside(file: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    let act = || format!("cannot write {}", file.display());
    let mut aside = tempfile::NamedTempFile::new_in(file.parent().unwrap_or(Path::new(".")))
        .with_context(act)?;
    aside.write_all(text.as_bytes()).with_context(act)?;
    // A temporary file is private; this one is the project's.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        aside
            .as_file()
            .set_permissions(std::fs::Permissions::from_mode(0o644))
            .with_context(act)?;
    }
    aside.persist(file).with_context(act)?;
    Ok(())
}
