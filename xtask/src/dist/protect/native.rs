//! What the tools have in common: which modules they get, how they are installed and run, the cache of what
//! they made.
//!
//! The tools get the modules' own sources, not what the pipeline makes of them: imports do not wait in what
//! they compile. What they need is kept already, for it was looked for in the same sources.

pub mod workshop;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub use self::workshop::{Folder, Said, Workshop, finish, try_compiler};
use super::{Sealed, cython, nuitka, pyarmor};
use crate::config::Mode;
use crate::dist::collect::elf::Launcher;
use crate::dist::collect::{Kind, Module};
use crate::dist::resolve::Plan;
use crate::dist::resolve::explain::Act;
use crate::dist::resolve::tool::Tools;
use crate::dist::verify::runs_here;
use anyhow::{Context, Result, bail, ensure};

/// A tool from PyPI, in the version for which this was written.
pub struct Tool {
    /// As people write it.
    pub name: &'static str,
    /// The mode that it is for.
    pub mode: Mode,
    /// Its version.
    pub version: &'static str,
    /// What is installed.
    pub packages: &'static [&'static str],
    /// Whether what it makes is for the device, whatever machine it runs on.
    pub crosses: bool,
    /// Modules that the code it makes imports of itself; since which Python 3.
    pub needs: &'static [(&'static str, u8)],
}

/// A module as a tool gets it.
pub struct Source {
    /// Dotted name.
    pub name: String,
    /// The file's path inside the payload, below the folder that the tool gets.
    pub path: String,
    /// The file on this machine.
    pub file: PathBuf,
    /// What is in it.
    pub text: Vec<u8>,
    /// Whether it is a package.
    pub package: bool,
    /// Whether docstrings stay.
    pub docstrings: bool,
}

/// All of them.
const TOOLS: [&Tool; 3] = [&cython::TOOL, &nuitka::TOOL, &pyarmor::TOOL];

/// Has the tools do what they are to do, and puts what they made in the place of bytecode.
///
/// # Errors
/// The device is of another kind than this machine, of which the tool cannot know; a tool cannot be installed, or cannot do it.
pub fn run(plan: &Plan, sealed: &mut Sealed) -> Result<()> {
    for (tool, work) in [
        (&cython::TOOL, cython::run as fn(&Workshop<'_>, &mut Sealed, Vec<Source>) -> Result<()>),
        (&nuitka::TOOL, nuitka::run),
        (&pyarmor::TOOL, pyarmor::run),
    ] {
        let sources = sources(sealed, tool)?;
        if sources.is_empty() {
            continue;
        }
        ensure!(
            tool.crosses || runs_here(&plan.target) && plan.cross.is_none(),
            "{} makes code for the machine that it runs on, and the device is another one, {}: build in a container of \
             its kind (--container podman --image NAME); in [tool.pyrmware.protect], mode = \"cython\" and \
             \"encrypted\" work for every device",
            tool.name,
            plan.target
        );
        work(&Workshop::new(plan, tool), sealed, sources)?;
    }
    Ok(())
}

/// "8 by Cython, 1 by pyarmor".
pub fn describe(modes: &BTreeMap<String, Mode>) -> Option<String> {
    let counted = TOOLS
        .into_iter()
        .map(|tool| (tool, modes.values().filter(|mode| **mode == tool.mode).count()));
    let parts: Vec<String> = counted
        .filter(|(_, count)| *count > 0)
        .map(|(tool, count)| format!("{count} by {} {}", tool.name, tool.version))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// What the code that these modes' tools make for a version of Python imports of itself: module -> why.
pub fn needs(modes: &BTreeSet<Mode>, version: (u8, u8)) -> impl Iterator<Item = (String, String)> {
    let used = TOOLS.into_iter().filter(|tool| modes.contains(&tool.mode));
    used.flat_map(move |tool| {
        let why = format!("what {} makes imports it", tool.name);
        let needed = tool.needs.iter().filter(move |(_, since)| *since <= version.1);
        needed.map(move |(name, _)| ((*name).to_owned(), why.clone()))
    })
}

/// Whether a mode makes shared objects of modules.
pub fn is_shared_object(mode: Mode) -> bool {
    matches!(mode, Mode::Cython | Mode::Nuitka)
}

/// The modules for a tool.
fn sources(sealed: &Sealed, tool: &Tool) -> Result<Vec<Source>> {
    let tree = &sealed.compiled.kept.graph.tree;
    let names = sealed.modes.iter().filter(|(_, mode)| **mode == tool.mode).map(|(name, _)| name);
    let source = |name: &String| {
        let Module { kind, file, path, package, .. } = &tree.modules[name];
        let file = file.clone().with_context(|| format!("module {name} has no file"))?;
        ensure!(
            *kind == Kind::Source,
            "module {name} comes as bytecode, and {} takes sources; {}",
            tool.name,
            tool.otherwise(name)
        );
        let text = std::fs::read(&file)
            .with_context(|| format!("reading module {name} from {}", file.display()))?;
        let docstrings = sealed.compiled.forms.get(name).is_none_or(|form| form.docstrings);
        let (name, path, package) = (name.clone(), path.clone(), *package);
        Ok(Source { name, path, file, text, package, docstrings })
    };
    names.map(source).collect()
}

impl Tool {
    /// What helps where the tool cannot compile a module.
    pub fn otherwise(&self, module: &str) -> String {
        format!(
            "in [tool.pyrmware.protect.modes], \"{module}\" = \"bytecode\" or \"encrypted\" ships it without {}",
            self.name
        )
    }

    /// The error for a module that the tool refuses.
    pub fn refuses(&self, source: &Source, line: Option<usize>, why: &str) -> anyhow::Error {
        let place = source.file.display();
        let place = line.map_or_else(|| place.to_string(), |line| format!("{place}:{line}"));
        let text = String::from_utf8_lossy(&source.text);
        let text = line.and_then(|line| text.lines().nth(line.checked_sub(1)?));
        let text = text.map(|text| format!("\n    {}", text.trim())).unwrap_or_default();
        anyhow::anyhow!("{place}: {why}{text}").context(format!(
            "{} {} cannot compile module {}; {}",
            self.name,
            self.version,
            source.name,
            self.otherwise(&source.name)
        ))
    }

    /// The folder that holds it, for `PYTHONPATH`; installed where it is not there.
    ///
    /// # Errors
    /// It may not be fetched, or what the installer has to say.
    fn installed(&self, plan: &Plan) -> Result<PathBuf> {
        let (folder, python) = (plan.config.paths.tools(), plan.interpreter.short_version());
        let place = folder.join(format!("{}-{}-py{python}", self.mode, self.version));
        if place.is_dir() {
            return Ok(place);
        }
        let named = format!("{} {}", self.name, self.version);
        if plan.config.resolution.offline {
            bail!(
                "{named} is not installed for Python {python}, and --offline forbids to fetch it; run once \
                 without --offline"
            );
        }
        let act = || format!("cannot make {}", place.display());
        std::fs::create_dir_all(&folder).with_context(act)?;
        let aside =
            tempfile::Builder::new().prefix(".new-").tempdir_in(&folder).with_context(act)?;
        let target = aside.path().join("tool");
        let mut words = vec!["--no-deps".to_owned(), "--target".to_owned()];
        words.push(target.to_string_lossy().into_owned());
        words.extend(self.packages.iter().map(|package| (*package).to_owned()));
        let tools = Tools::new(&plan.config, &plan.interpreter, None, plan.epoch);
        tools.run("install", &words, &Act::Tool(named))?;
        match std::fs::rename(&target, &place) {
            // Another run was faster.
            Err(error) if !place.is_dir() => Err(error).with_context(act),
            _ => Ok(place),
        }
    }
}

/// Puts a shared object into the place of a module's bytecode; its source stays for tracebacks.
///
/// # Errors
/// The launcher cannot load it.
pub fn replace(plan: &Plan, sealed: &mut Sealed, source: &Source, object: &Path) -> Result<()> {
    forget(sealed, source);
    let tree = &mut sealed.compiled.kept.graph.tree;
    let stem = source.path.strip_suffix(".py").unwrap_or(&source.path);
    let path = format!("{stem}{}", plan.interpreter.ext_suffix);
    let module = tree.modules.get_mut(&source.name).context("the module is not kept")?;
    (module.kind, module.file, module.path) =
        (Kind::Extension, Some(object.to_owned()), path.clone());
    add_object(plan, sealed, &source.name, path, object)
}

/// Tells the tree of a module's shared object.
///
/// # Errors
/// The launcher cannot load it.
pub fn add_object(
    plan: &Plan,
    sealed: &mut Sealed,
    name: &str,
    path: String,
    file: &Path,
) -> Result<()> {
    let object = Launcher::of(plan).object(file);
    if let Some(fault) = &object.fault {
        bail!("the shared object of module {name}, {}, cannot be loaded: {fault}", file.display());
    }
    sealed.compiled.kept.graph.tree.objects.insert(path, object);
    Ok(())
}

/// Takes a module's bytecode out, and its source into the symbols.
pub fn forget(sealed: &mut Sealed, source: &Source) {
    sealed.compiled.bytecode.remove(&source.name);
    sealed.compiled.forms.remove(&source.name);
    sealed.sources.insert(source.path.clone(), source.file.clone());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::collect::fixture::Fixture;

    #[test]
    fn headers_that_are_missing_are_named_with_the_remedy() {
        let fixture = Fixture::new("app", &[("app/app.py", "")]);
        let folder = fixture.plan.interpreter.include.clone();
        let workshop = Workshop::new(&fixture.plan, &cython::TOOL);
        let error = format!("{:#}", workshop.need_headers().unwrap_err());
        let text = format!(
            "Cython compiles C: the headers of Python 3.11.2 are not in {}; remedy: install that Python anew, with \
             its headers",
            folder.display()
        );
        assert_eq!(error, text);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("Python.h"), "").unwrap();
        assert!(workshop.need_headers().is_ok());
    }

    #[test]
    fn what_makes_code_for_its_own_machine_needs_a_container() {
        let mut fixture = Fixture::new("app", &[("app/app.py", ""), ("app/other.py", "")]);
        fixture.plan.target = "mips-unknown-linux-gnu".to_owned();
        let compiled = crate::dist::compile::Compiled {
            kept: crate::dist::prune::Kept {
                graph: crate::dist::scan::Graph {
                    tree: crate::dist::collect::run(&fixture.plan).unwrap(),
                    ..Default::default()
                },
                ..Default::default()
            },
            ..Default::default()
        };
        let modes = BTreeMap::from([("other".to_owned(), Mode::Nuitka)]);
        let mut sealed = Sealed { compiled, modes, ..Sealed::default() };
        let error = run(&fixture.plan, &mut sealed).unwrap_err().to_string();
        assert!(
            error.starts_with(
                "Nuitka makes code for the machine that it runs on, and the device is another one, \
                 mips-unknown-linux-gnu: build in a container"
            ),
            "{error}"
        );
    }

    #[test]
    fn only_the_tools_that_are_used_need_modules() {
        let of = |modes: &[Mode]| -> Vec<String> {
            let modes = modes.iter().copied().collect();
            needs(&modes, (3, 11)).map(|(name, _)| name).collect()
        };
        assert_eq!(of(&[Mode::Bytecode, Mode::Encrypted, Mode::Pyarmor]), Vec::<String>::new());
        assert_eq!(of(&[Mode::Cython]), ["collections.abc", "types"]);
        assert!(of(&[Mode::Nuitka]).contains(&"inspect".to_owned()));
        let since = |minor| {
            needs(&BTreeSet::from([Mode::Nuitka]), (3, minor)).any(|(name, _)| name == "typing")
        };
        assert!(!since(11) && since(12) && since(13));
    }
}
