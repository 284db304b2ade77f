//! Nuitka: one shared object for each top-level package or module.
//!
//! What is in such an object is imported through a finder of its own, so only the top-level package stays in the
//! tree. Modules of the package that ship in another form stay beside it, and are found as ever.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::native::{self, Folder, Source, Tool, Workshop, finish};
use super::{NUITKA, Sealed};
use crate::config::Mode;
use crate::dist::collect::Kind;
use crate::dist::collect::names::is_within;

/// The tool.
pub const TOOL: Tool = Tool {
    name: "Nuitka",
    mode: Mode::Nuitka,
    version: "4.3.3",
    packages: &["nuitka==4.3.3"],
    crosses: false,
    needs: &[
        ("collections.abc", 0),
        ("functools", 0),
        ("inspect", 0),
        ("types", 0),
        // Its types are made to know modules without frames.
        ("typing", 12),
    ],
};

/// Tells what Nuitka compiles where it is; see there.
const HEADER: &str = include_str!("nuitka/place.h");
const HEADER_NAME: &str = "place.h";

/// Has Nuitka leave to the device what it would answer itself; see there.
const PLUGIN: &str = include_str!("nuitka/plugin.py");
const PLUGIN_NAME: &str = "plugin.py";

/// What is compiled and linked is to be as small as it gets, and is the same for the same sources.
const CFLAGS: &str = "-D_GNU_SOURCE=1 -g0";
const LDFLAGS: &str = "-Wl,-s -Wl,--build-id=none";

/// Compiles the packages and puts the shared objects into the tree.
///
/// # Errors
/// A part of a package is named, there are no headers, or Nuitka fails.
pub fn run(workshop: &Workshop<'_>, sealed: &mut Sealed, sources: Vec<Source>) -> Result<()> {
    let packages = packages(sealed, &sources)?;
    workshop.need_headers()?;
    for (top, parts) in packages {
        let root = parts.iter().find(|part| part.name == top).context("it was looked for")?;
        let way = way(workshop, root, &parts);
        let known =
            [way.as_slice(), &[HEADER, PLUGIN, CFLAGS, LDFLAGS].map(str::to_owned)].concat();
        let made = workshop.made(&parts, &known, |folder| compile(workshop, folder, root, &way))?;
        native::replace(workshop.plan, sealed, root, &object(&made)?)?;
        let modules = &mut sealed.compiled.kept.graph.tree.modules;
        parts
            .iter()
            .filter(|part| part.name != top)
            .for_each(|part| drop(modules.remove(&part.name)));
        drop_empty(modules, &parts);
        parts.iter().filter(|part| part.name != top).for_each(|part| native::forget(sealed, part));
    }
    Ok(())
}

/// Top-level name -> the sources of what is compiled together.
fn packages<'s>(
    sealed: &Sealed,
    sources: &'s [Source],
) -> Result<BTreeMap<&'s str, Vec<&'s Source>>> {
    let mut packages: BTreeMap<&str, Vec<&Source>> = BTreeMap::new();
    for source in sources {
        let top = source.name.split('.').next().unwrap_or(&source.name);
        packages.entry(top).or_default().push(source);
    }
    for (top, parts) in &packages {
        if parts.iter().any(|part| part.name == *top) {
            continue;
        }
        let module = &parts[0].name;
        let tree = &sealed.compiled.kept.graph.tree;
        if tree.modules.get(*top).is_some_and(|top| top.kind == Kind::Namespace) {
            bail!(
                "module {module} is to be protected by nuitka, which compiles top-level packages, and {top} is a \
                 namespace without __init__.py; give it one, or protect {top} by cython, module by module"
            );
        }
        bail!(
            "module {module} is to be protected by nuitka, which compiles whole top-level packages: name {top}, or \
             protect {module} by cython, module by module"
        );
    }
    Ok(packages)
}

/// Nuitka's arguments.
fn way(workshop: &Workshop<'_>, root: &Source, parts: &[&Source]) -> Vec<String> {
    let mode = if root.package { "--mode=package" } else { "--mode=module" };
    let mut words = vec![mode, "--quiet", "--no-progressbar", "--no-pyi-file"];
    // For the whole object or not at all.
    words.extend(
        (!parts.iter().any(|part| part.docstrings)).then_some("--python-flag=no_docstrings"),
    );
    let words = words.into_iter().map(str::to_owned);
    words.chain(workshop.plan.config.project.protect.nuitka.iter().cloned()).collect()
}

fn compile(workshop: &Workshop<'_>, folder: &Folder, root: &Source, way: &[String]) -> Result<()> {
    let header = folder.top.join(HEADER_NAME);
    for (file, text) in [(&header, HEADER), (&folder.top.join(PLUGIN_NAME), PLUGIN)] {
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let mut nuitka = workshop.command(folder)?;
    let top = folder.top.display();
    nuitka
        .args(["-m", "nuitka"])
        .args(way)
        .args(["--output-dir=../built", "--remove-output"])
        .arg(format!("--user-plugin=../{PLUGIN_NAME}"))
        .arg(if root.package { &root.name } else { &root.path })
        // What it learns of C compilers, and a ccache where there is one.
        .env("NUITKA_CACHE_DIR", workshop.plan.config.paths.cache().join(NUITKA))
        .env("CCFLAGS", format!("{CFLAGS} -ffile-prefix-map={top}/= -include {}", header.display()))
        .env("LDFLAGS", LDFLAGS);
    let said = finish(&mut nuitka)?;
    ensure!(
        said.well,
        workshop.failed(&said).context(format!(
            "Nuitka cannot compile {}; {}",
            root.name,
            TOOL.otherwise(&root.name)
        ))
    );
    let built = object(&folder.top.join("built"))?;
    let to = folder.out.join(built.file_name().unwrap_or_default());
    fs::rename(&built, &to).with_context(|| format!("cannot write {}", to.display()))
}

/// The only shared object in a folder.
fn object(folder: &Path) -> Result<PathBuf> {
    let act = || format!("looking for Nuitka's shared object in {}", folder.display());
    let entries =
        fs::read_dir(folder).with_context(act)?.collect::<Result<Vec<_>, _>>().with_context(act)?;
    let mut paths = entries.iter().map(fs::DirEntry::path);
    let found = paths.find(|path| path.extension().is_some_and(|kind| kind == "so"));
    found.with_context(|| format!("there is none in {}", folder.display()))
}

/// Takes out the namespaces above parts of a package that have nothing else below them: what they held is in the
/// object. One that has only data is not known there, and stays.
fn drop_empty(modules: &mut BTreeMap<String, crate::dist::collect::Module>, parts: &[&Source]) {
    let names = modules.iter().filter(|(_, module)| module.kind != Kind::Namespace);
    let names: Vec<String> = names.map(|(name, _)| name.clone()).collect();
    modules.retain(|name, module| {
        let below = |other: &str| other != name && is_within(other, name);
        module.kind != Kind::Namespace
            || names.iter().any(|other| below(other))
            || !parts.iter().any(|part| below(&part.name))
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::collect::{Module, Origin};

    #[test]
    fn namespaces_of_data_stay() {
        let module = |kind| Module {
            kind,
            package: true,
            file: None,
            path: String::new(),
            origin: Origin::Application,
        };
        let named = |name: &str, kind| (name.to_owned(), module(kind));
        let mut modules = BTreeMap::from([
            named("app", Kind::Extension),
            named("app.data", Kind::Namespace),
            named("app.inside", Kind::Namespace),
            named("app.mixed", Kind::Namespace),
            named("app.mixed.other", Kind::Source),
            named("application", Kind::Namespace),
        ]);
        let part = |name: &str| Source {
            name: name.to_owned(),
            path: String::new(),
            file: PathBuf::new(),
            text: Vec::new(),
            package: false,
            docstrings: false,
        };
        let parts = ["app", "app.inside.part", "app.mixed.part"].map(part);
        drop_empty(&mut modules, &parts.iter().collect::<Vec<_>>());
        let left: Vec<&str> = modules.keys().map(String::as_str).collect();
        assert_eq!(left, ["app", "app.data", "app.mixed", "app.mixed.other", "application"]);
    }
}
