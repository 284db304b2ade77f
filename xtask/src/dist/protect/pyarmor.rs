//! pyarmor: sources that hold encrypted code, and a package that runs them.
//!
//! What it makes is not the same twice; in the cache it stays as it was made first.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::Sealed;
use super::native::{self, Folder, Said, Source, Tool, Workshop, finish};
use crate::config::Mode;
use crate::dist::collect::names::parents;
use crate::dist::collect::{Kind, Module, Origin};
use crate::dist::{compile, hex};

/// The tool.
pub const TOOL: Tool = Tool {
    name: "pyarmor",
    mode: Mode::Pyarmor,
    version: "9.2.8",
    packages: &["pyarmor==9.2.8", "pyarmor.cli.core==8.1.2"],
    crosses: false,
    needs: &[],
};

/// Before the name of the file that it works on, and after what its licence does not cover.
const WORKS_ON: &str = "obfuscating file ";
const LIMIT: &str = "out of license";
/// Names the folder of pyarmor's licence, `~/.pyarmor` otherwise.
const HOME: &str = "PYARMOR_HOME";

/// Has pyarmor make its sources, compiles those, and puts them and the package that runs them into the tree.
///
/// # Errors
/// pyarmor refuses a module, or fails.
pub fn run(workshop: &Workshop<'_>, sealed: &mut Sealed, sources: Vec<Source>) -> Result<()> {
    let all: Vec<&Source> = sources.iter().collect();
    let home = home();
    let mut way = workshop.plan.config.project.protect.pyarmor.clone();
    way.extend(home.as_deref().map(licence).transpose()?);
    let obfuscate = |folder: &Folder| obfuscate(workshop, folder, &sources, home.as_deref());
    let made = workshop.made(&all, &way, obfuscate)?;
    for source in &sources {
        let file = made.join(&source.path);
        let code = compile::also(workshop.plan, &source.name, &source.path, &file)?;
        native::forget(sealed, source);
        sealed.called.insert(format!("<frozen {}>", source.name), source.path.clone());
        sealed.compiled.bytecode.insert(source.name.clone(), code);
    }
    for path in others(&made, &sources)? {
        add(workshop, sealed, &made, &path)?;
    }
    Ok(())
}

/// The folder in which the user has registered pyarmor, which knows its licence; none: it is on trial.
fn home() -> Option<PathBuf> {
    let named = std::env::var_os(HOME).map(PathBuf::from);
    let usual = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".pyarmor"));
    named.or_else(usual).filter(|folder| folder.is_dir())
}

/// What tells one licence from another: with another one there are other results.
fn licence(home: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    for entry in walkdir::WalkDir::new(home).max_depth(1).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot list {}", home.display()))?;
        let path = entry.path();
        if entry.file_type().is_file() && path.extension().is_none_or(|kind| kind != "log") {
            let read = std::fs::read(path);
            hash.update(read.with_context(|| format!("cannot read {}", path.display()))?);
        }
    }
    Ok(hex(&hash.finalize()))
}

fn obfuscate(
    workshop: &Workshop<'_>,
    folder: &Folder,
    sources: &[Source],
    home: Option<&Path>,
) -> Result<()> {
    // A folder is a package to pyarmor if it says so.
    for above in sources.iter().flat_map(|source| parents(&source.name)) {
        let path = format!("{}/__init__.py", above.replace('.', "/"));
        if !folder.sources.join(&path).exists() {
            folder.add(&path, b"")?;
        }
    }
    let top = |source: &Source| source.path.split('/').next().unwrap_or_default().to_owned();
    let tops: BTreeSet<String> = sources.iter().map(top).collect();
    let mut pyarmor = workshop.command(folder)?;
    pyarmor.envs(home.map(|home| (HOME, home)));
    pyarmor.args(["-m", "pyarmor.cli", "gen", "-O", "../out", "-r"]);
    let said = finish(pyarmor.args(&workshop.plan.config.project.protect.pyarmor).args(tops))?;
    let missing = sources.iter().find(|source| !folder.out.join(&source.path).is_file());
    match missing {
        None if said.well => Ok(()),
        _ => Err(explain(workshop, folder, sources, &said)),
    }
}

/// Which module it was, and whether the licence is the reason.
fn explain(
    workshop: &Workshop<'_>,
    folder: &Folder,
    sources: &[Source],
    said: &Said,
) -> anyhow::Error {
    let last = said.text.lines().filter_map(|line| line.split_once(WORKS_ON)).next_back();
    let culprit = last.and_then(|(_, file)| {
        sources.iter().find(|source| {
            source.path.rsplit('/').next() == Some(file.trim())
                && !folder.out.join(&source.path).is_file()
        })
    });
    match culprit {
        Some(source) if said.text.contains(LIMIT) => {
            let why = "out of license: pyarmor's trial does not take a module of this size; its licence does";
            TOOL.refuses(source, None, why)
        }
        Some(source) => workshop.failed(said).context(format!(
            "pyarmor cannot protect module {}; {}",
            source.name,
            TOOL.otherwise(&source.name)
        )),
        None => workshop.failed(said),
    }
}

/// Paths of what pyarmor has made besides the modules, sorted.
fn others(made: &Path, sources: &[Source]) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for entry in walkdir::WalkDir::new(made).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot list {}", made.display()))?;
        let path = entry.path().strip_prefix(made).unwrap_or(entry.path());
        if entry.file_type().is_file() {
            paths.push(path.to_string_lossy().into_owned());
        }
    }
    paths.retain(|path| !sources.iter().any(|source| source.path == *path));
    Ok(paths)
}

/// Adds a module that the protected ones need; a package above them that was only a sign for pyarmor is none.
fn add(workshop: &Workshop<'_>, sealed: &mut Sealed, made: &Path, path: &str) -> Result<()> {
    let (stem, kind) = match (path.strip_suffix(".py"), path.split_once(".so")) {
        (Some(stem), _) => (stem, Kind::Source),
        (_, Some((stem, _))) => (stem, Kind::Extension),
        _ => return Ok(()),
    };
    let package = stem.ends_with("/__init__");
    let name = stem.strip_suffix("/__init__").unwrap_or(stem);
    let name = name.split('.').next().unwrap_or(name).replace('/', ".");
    let file: PathBuf = made.join(path);
    let kept = &mut sealed.compiled.kept;
    if kept.graph.tree.modules.contains_key(&name) {
        return Ok(());
    }
    let path = path.to_owned();
    let module = Module {
        kind,
        package,
        file: Some(file.clone()),
        path: path.clone(),
        origin: Origin::Application,
    };
    kept.graph.tree.modules.insert(name.clone(), module);
    kept.reason.insert(name.clone(), None);
    match kind {
        Kind::Extension => native::add_object(workshop.plan, sealed, &name, path, &file),
        _ => {
            let code = compile::also(workshop.plan, &name, &path, &file)?;
            sealed.compiled.bytecode.insert(name, code);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_licence_is_another_way() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("license.lic", "one");
        let one = licence(folder.path()).unwrap();
        write("pyarmor.debug.log", "what it did");
        assert_eq!(licence(folder.path()).unwrap(), one);
        write("license.lic", "another");
        assert_ne!(licence(folder.path()).unwrap(), one);
    }
}
