//! Walks folders as Python's path finder sees them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::dependencies::Owners;
use super::names::is_identifier;
use super::{Content, Kind, Module, Origin, Resource, Tree, application, elf, stdlib};
use crate::config::Project;
use crate::dist::resolve::Plan;

/// Deeper than any real package: a loop of symbolic links.
const DEPTH: usize = 48;

/// One entry of the path, in order of precedence. A folder that is not there is an empty one.
pub struct Root<'a> {
    pub dir: PathBuf,
    pub source: Source<'a>,
}

/// Whose folder a root is.
pub enum Source<'a> {
    Application(&'a Project),
    Runtime,
    Stdlib,
    Dependencies(&'a Owners),
}

impl Source<'_> {
    fn origin(&self, path: &str) -> Origin {
        match self {
            Source::Application(_) => Origin::Application,
            Source::Runtime => Origin::Runtime,
            Source::Stdlib => Origin::Stdlib,
            Source::Dependencies(owners) => Origin::Dependency(owners.owner(path)),
        }
    }

    /// Whether a name directly inside the root is no part of what can be imported.
    fn skips(&self, dir: &Path, name: &str, folder: bool) -> bool {
        match self {
            Source::Application(project) => application::skips(project, dir, name, folder),
            Source::Runtime => folder && matches!(name, "tests"),
            Source::Stdlib => stdlib::skips(name),
            Source::Dependencies(_) => name.ends_with(".dist-info") || name == "bin",
        }
    }

    /// A folder of tests, no package itself, inside a package of a dependency.
    fn is_test(&self, owner: Option<&str>, folder: &str) -> bool {
        // A package's folder is as long as its name.
        let below = folder.get(owner.map_or(0, str::len)..).unwrap_or("");
        let mut below = below.split('/');
        matches!(self, Source::Dependencies(_))
            && below.any(|part| matches!(part, "test" | "tests"))
    }

    /// Files that only a developer's tools read.
    fn is_development(&self, name: &str) -> bool {
        let suffix = name.rsplit_once('.').map_or("", |(_, suffix)| suffix);
        match self {
            Source::Application(_) | Source::Runtime => matches!(suffix, "pyi"),
            Source::Stdlib | Source::Dependencies(_) => matches!(
                suffix,
                "pyi"
                    | "pyx"
                    | "pxd"
                    | "pxi"
                    | "c"
                    | "cc"
                    | "cpp"
                    | "h"
                    | "hh"
                    | "hpp"
                    | "a"
                    | "o"
                    | "lib"
                    | "dll"
                    | "exe"
                    | "pyd"
                    | "dylib"
                    | "pth"
            ),
        }
    }
}

/// A folder that a package's modules are looked for in.
#[derive(Clone)]
struct Portion {
    root: usize,
    dir: PathBuf,
    /// Inside the payload; empty for a root.
    path: String,
}

impl Portion {
    fn below(&self, name: &str) -> Portion {
        Portion { root: self.root, dir: self.dir.join(name), path: self.inside(name) }
    }

    fn inside(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) }
    }
}

/// What a name stands for.
enum Found {
    /// A module's file name in its portion.
    Module(Portion, String, Kind),
    /// A regular package: its folder and the file name of its `__init__`.
    Package(Portion, String, Kind),
    /// Folders without `__init__`.
    Namespace(Vec<Portion>),
}

struct Walker<'a> {
    roots: &'a [Root<'a>],
    /// Suffixes of modules, in the order in which Python tries them.
    suffixes: Vec<(String, Kind)>,
    launcher: elf::Launcher,
    tree: Tree,
}

/// Walks the roots into a tree of modules, resources, libraries and objects.
///
/// # Errors
/// A folder or file that cannot be read.
pub fn run(plan: &Plan, roots: &[Root<'_>]) -> Result<Tree> {
    let extension = |suffix: &str| (suffix.to_owned(), Kind::Extension);
    let mut walker = Walker {
        roots,
        suffixes: vec![
            extension(&plan.interpreter.ext_suffix),
            extension(".abi3.so"),
            extension(".so"),
            (".py".to_owned(), Kind::Source),
            (".pyc".to_owned(), Kind::Bytecode),
        ],
        launcher: elf::Launcher::of(plan),
        tree: Tree::default(),
    };
    let top: Vec<Portion> = (0..roots.len())
        .map(|root| Portion { root, dir: roots[root].dir.clone(), path: String::new() })
        .filter(|portion| portion.dir.is_dir())
        .collect();
    walker.package("", None, &top, 0)?;
    Ok(walker.tree)
}

/// The names in a folder with whether each is a folder, sorted; links are followed.
pub fn list(dir: &Path) -> Result<Vec<(String, bool)>> {
    let mut names = Vec::new();
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", dir.display()))?;
        // A name that is not UTF-8 cannot be a module, and a dangling link holds nothing.
        if let (Ok(name), Ok(meta)) = (entry.file_name().into_string(), fs::metadata(entry.path()))
        {
            names.push((name, meta.is_dir()));
        }
    }
    names.sort();
    Ok(names)
}

impl Walker<'_> {
    /// Walks one package (or, with an empty name, the path itself). `owner` is the nearest regular package.
    fn package(
        &mut self,
        name: &str,
        owner: Option<&str>,
        portions: &[Portion],
        depth: usize,
    ) -> Result<()> {
        let mut found: BTreeMap<String, Found> = BTreeMap::new();
        for portion in portions {
            if depth > DEPTH {
                bail!("{} is nested too deeply: a loop of links?", portion.dir.display());
            }
            self.portion(owner, portion, &mut found, depth)?;
        }
        for (short, what) in found {
            let full = if name.is_empty() { short } else { format!("{name}.{short}") };
            match what {
                Found::Module(portion, file, kind) => {
                    self.module(&full, &portion, &file, kind, false);
                    let source = &self.roots[portion.root].source;
                    let data = kind == Kind::Source && owner.is_some_and(|owner| owner != name);
                    if data && matches!(source, Source::Dependencies(_)) {
                        // In a folder without `__init__` that a package owns, it may be a template.
                        self.file(owner, &portion, &file)?;
                    }
                }
                Found::Package(portion, init, kind) => {
                    self.module(&full, &portion, &init, kind, true);
                    self.package(&full, Some(&full), &[portion], depth + 1)?;
                }
                Found::Namespace(portions) => self.namespace(&full, owner, portions, depth)?,
            }
        }
        Ok(())
    }

    /// A folder without `__init__`: below a regular package it may hold data only; at the top it must hold modules.
    fn namespace(
        &mut self,
        name: &str,
        owner: Option<&str>,
        portions: Vec<Portion>,
        depth: usize,
    ) -> Result<()> {
        let Some(first) = portions.first() else { return Ok(()) };
        let module = Module {
            kind: Kind::Namespace,
            package: true,
            file: None,
            path: first.path.clone(),
            origin: self.roots[first.root].source.origin(&first.path),
        };
        if owner.is_some() {
            self.tree.modules.insert(name.to_owned(), module);
            return self.package(name, owner, &portions, depth + 1);
        }
        let mut kept = Vec::new();
        for portion in portions {
            if self.has_modules(&portion.dir, 0)? {
                kept.push(portion);
            } else if matches!(self.roots[portion.root].source, Source::Dependencies(_)) {
                self.data(None, &portion, depth + 1)?;
            }
        }
        if kept.is_empty() {
            return Ok(());
        }
        self.tree.modules.insert(name.to_owned(), module);
        self.package(name, Some(name), &kept, depth + 1)
    }

    fn has_modules(&self, dir: &Path, depth: usize) -> Result<bool> {
        for (name, folder) in list(dir)? {
            let module = match folder {
                true => {
                    depth < DEPTH
                        && is_identifier(&name)
                        && name != "__pycache__"
                        && self.has_modules(&dir.join(&name), depth + 1)?
                }
                false => self.split(&name).is_some(),
            };
            if module {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// One folder of a package: what it adds to `found`, and its resources.
    fn portion(
        &mut self,
        owner: Option<&str>,
        portion: &Portion,
        found: &mut BTreeMap<String, Found>,
        depth: usize,
    ) -> Result<()> {
        let source = &self.roots[portion.root].source;
        let top = portion.path.is_empty();
        let mut files: BTreeMap<String, (usize, String)> = BTreeMap::new();
        let mut here: BTreeMap<String, Found> = BTreeMap::new();
        let mut data = Vec::new();
        for (name, folder) in list(&portion.dir)? {
            if name == "__pycache__" || (top && source.skips(&portion.dir, &name, folder)) {
                continue;
            }
            if folder && is_identifier(&name) {
                let below = portion.below(&name);
                let found = match self.init(&below.dir)? {
                    Some((init, kind)) => Found::Package(below, init, kind),
                    None => Found::Namespace(vec![below]),
                };
                here.insert(name, found);
            } else if folder {
                data.push((name, true));
            } else if let Some((module, rank)) = self.split(&name) {
                if module != "__init__" {
                    let best = files.entry(module.to_owned()).or_insert((rank, name.clone()));
                    if rank < best.0 {
                        *best = (rank, name);
                    }
                }
            } else {
                data.push((name, false));
            }
        }
        for (module, (rank, file)) in files {
            let kind = self.suffixes[rank].1;
            if kind == Kind::Extension && self.is_library(&portion.dir.join(&file))? {
                data.push((file, false));
            } else if !matches!(here.get(&module), Some(Found::Package(..))) {
                here.insert(module, Found::Module(portion.clone(), file, kind));
            }
        }
        for (name, what) in here {
            self.merge(name, what, found, top);
        }
        for (name, folder) in data {
            if folder {
                let dependencies =
                    matches!(self.roots[portion.root].source, Source::Dependencies(_));
                if !top || dependencies {
                    self.data(owner, &portion.below(&name), depth + 1)?;
                }
            } else if !top {
                self.file(owner, portion, &name)?;
            }
        }
        Ok(())
    }

    /// Adds what a later root has under a name: a module hides folders, the first module hides later ones.
    fn merge(&mut self, name: String, what: Found, found: &mut BTreeMap<String, Found>, top: bool) {
        let root = |found: &Found| match found {
            Found::Module(portion, ..) | Found::Package(portion, ..) => Some(portion.root),
            Found::Namespace(_) => None,
        };
        match (found.get_mut(&name), what) {
            (None, what) => {
                found.insert(name, what);
            }
            (Some(Found::Namespace(portions)), Found::Namespace(more)) => portions.extend(more),
            (Some(first @ Found::Namespace(_)), what) => *first = what,
            (Some(_), Found::Namespace(_)) => {}
            (Some(first), hidden) => {
                if let (true, Some(winner), Some(loser)) = (top, root(first), root(&hidden)) {
                    let origin = |root: usize| self.roots[root].source.origin(&name).to_string();
                    let (winner, loser) = (origin(winner), origin(loser));
                    if winner != loser {
                        self.tree.notes.push(format!("{name} of {winner} hides {name} of {loser}"));
                    }
                }
            }
        }
    }

    /// The module name and the rank of the suffix of a file name.
    fn split<'n>(&self, name: &'n str) -> Option<(&'n str, usize)> {
        self.suffixes.iter().enumerate().find_map(|(rank, (suffix, _))| {
            let module = name.strip_suffix(suffix.as_str())?;
            // No identifier, yet imported by name: `_sysconfigdata__linux_x86_64-linux-gnu`.
            (!module.is_empty() && !module.contains('.')).then_some((module, rank))
        })
    }

    fn init(&self, dir: &Path) -> Result<Option<(String, Kind)>> {
        for (suffix, kind) in &self.suffixes {
            let name = format!("__init__{suffix}");
            if dir.join(&name).is_file() {
                return Ok(Some((name, *kind)));
            }
        }
        Ok(None)
    }

    fn is_library(&self, file: &Path) -> Result<bool> {
        let headers = elf::open(file)?;
        Ok(headers.is_some_and(|headers| headers.modules.is_empty()))
    }

    fn module(&mut self, name: &str, portion: &Portion, file: &str, kind: Kind, package: bool) {
        let path = portion.inside(file);
        let file = portion.dir.join(file);
        let origin = self.roots[portion.root].source.origin(&path);
        if kind == Kind::Extension {
            self.tree.objects.insert(path.clone(), self.launcher.object(&file));
        }
        let module = Module { kind, package, file: Some(file), path, origin };
        self.tree.modules.insert(name.to_owned(), module);
    }

    /// Everything below a folder that holds no modules.
    fn data(&mut self, owner: Option<&str>, portion: &Portion, depth: usize) -> Result<()> {
        if depth > DEPTH {
            bail!("{} is nested too deeply: a loop of links?", portion.dir.display());
        }
        for (name, folder) in list(&portion.dir)? {
            if name == "__pycache__" {
            } else if folder {
                self.data(owner, &portion.below(&name), depth + 1)?;
            } else {
                self.file(owner, portion, &name)?;
            }
        }
        Ok(())
    }

    /// A file that is no module: a library or a resource.
    fn file(&mut self, owner: Option<&str>, portion: &Portion, name: &str) -> Result<()> {
        let source = &self.roots[portion.root].source;
        let (path, file) = (portion.inside(name), portion.dir.join(name));
        let skipped = source.is_development(name) || source.is_test(owner, &portion.path);
        if name.ends_with(".pyc") || skipped {
            return Ok(());
        }
        let resource = Resource {
            content: Content::File(file.clone()),
            origin: source.origin(&path),
            package: owner.map(str::to_owned),
        };
        let shared = name.ends_with(".so") || name.contains(".so.");
        if shared && elf::open(&file)?.is_some() {
            // `foo.cpython-310-….so` beside the one for this interpreter: Python would not see it either.
            if !name.contains(".cpython-") && !name.contains(".pypy") {
                self.tree.objects.insert(path.clone(), self.launcher.object(&file));
                self.tree.libraries.entry(path).or_insert(resource);
            }
        } else {
            self.tree.resources.entry(path).or_insert(resource);
        }
        Ok(())
    }
}
