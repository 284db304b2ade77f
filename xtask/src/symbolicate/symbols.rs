//! The symbols of one build: which there are, and what they know of a place.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result, bail};

use pyrmware_payload::nameless_module;

use super::definitions;
use crate::dist::collect::names::module_of;
use crate::dist::scan::Source;
use crate::dist::symbols::Index;

/// How many folders deep symbols are looked for: `releases/1.2/symbols`.
const DEPTH: usize = 2;

/// Sources of one build.
pub struct Symbols {
    /// Where they are.
    pub folder: PathBuf,
    /// What they are of.
    pub index: Index,
    /// Module -> its path inside the launcher.
    modules: BTreeMap<String, String>,
    /// Path inside the launcher -> its source, if it could be read.
    read: RefCell<BTreeMap<String, Option<Rc<Text>>>>,
}

/// A source.
struct Text {
    text: String,
    parsed: Source,
}

/// A line of a source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Place {
    /// The file on the machine that built.
    pub file: PathBuf,
    /// 1-based.
    pub line: u32,
    /// The line's text, without what it is indented by.
    pub text: String,
}

/// The symbols in or below `folder` of the build that a log tells.
///
/// # Errors
/// There are none of it, or several builds come into question.
pub fn choose(folder: &Path, told: &BTreeSet<String>) -> Result<(PathBuf, Index)> {
    if told.len() > 1 {
        bail!(
            "the log is of several builds, {}; cut it into one file for each of them",
            list(told.iter().map(String::as_str))
        );
    }
    let mut found = Vec::new();
    look(folder, DEPTH, &mut found)?;
    let of = || list(found.iter().map(|(_, index)| index.build.as_str()));
    let (place, count) = (folder.display(), found.len());
    let at = match (told.first(), count) {
        (_, 0) => bail!(
            "there are no symbols in {place}; `cargo xtask dist` writes them, and --symbols names the \
             folder of an earlier build"
        ),
        (None, 1) => Some(0),
        (None, _) => bail!(
            "the log names no build, and {place} has symbols of several, {}; name the folder of one of \
             them with --symbols",
            of()
        ),
        (Some(id), _) => found.iter().position(|(_, index)| index.build == *id),
    };
    match (at, told.first()) {
        (Some(at), _) => Ok(found.swap_remove(at)),
        (None, id) => bail!(
            "the log is of build {}, and the symbols in {place} are of {}; name the folder that `dist` \
             wrote with that launcher with --symbols",
            id.map_or("", String::as_str),
            of()
        ),
    }
}

fn look(folder: &Path, depth: usize, found: &mut Vec<(PathBuf, Index)>) -> Result<()> {
    if let Some(index) = Index::read(folder)? {
        found.push((folder.to_owned(), index));
        return Ok(());
    }
    if depth == 0 || !folder.is_dir() {
        return Ok(());
    }
    let act = || format!("cannot list the folder {}", folder.display());
    let entries = fs::read_dir(folder).with_context(act)?;
    let mut entries = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .with_context(act)?;
    entries.sort();
    entries.iter().filter(|path| path.is_dir()).try_for_each(|path| look(path, depth - 1, found))
}

fn list<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    ids.collect::<Vec<_>>().join(", ")
}

impl Symbols {
    /// The symbols in a folder, of which this is the index.
    pub fn new(folder: PathBuf, index: Index) -> Symbols {
        let paths = index.sources.keys();
        let mut modules: BTreeMap<String, String> =
            paths.filter_map(|path| Some((module_of(path)?, path.clone()))).collect();
        let entry = &index.entry;
        let main = modules.get(&format!("{entry}.__main__")).or_else(|| modules.get(entry));
        if let Some(main) = main.cloned() {
            modules.insert("__main__".to_owned(), main);
        }
        Symbols { folder, index, modules, read: RefCell::default() }
    }

    /// The path inside the launcher of a file that a traceback names: what follows the launcher's own
    /// path, which ends in the application's name unless it was `renamed`, or that of a module that is
    /// named instead. Code that does not know where it is has another name for its file.
    pub fn inside<'a>(&'a self, path: &'a str, renamed: bool) -> Option<&'a str> {
        if let Some(inside) = self.index.called.get(path) {
            return Some(inside);
        }
        if let Some(module) = nameless_module(path) {
            return self.modules.get(module).map(String::as_str);
        }
        let parts = path.match_indices('/').map(|(at, _)| (&path[..at], &path[at + 1..]));
        let is_launcher =
            |before: &str| renamed || before.rsplit('/').next() == Some(&self.index.app);
        let mut found = parts
            .filter(|(before, rest)| is_launcher(before) && self.index.sources.contains_key(*rest));
        found.next().map(|(_, rest)| rest)
    }

    /// The file on the machine that built.
    pub fn file(&self, inside: &str) -> Option<&Path> {
        self.index.sources.get(inside).map(PathBuf::as_path)
    }

    /// A line's text, without what it is indented by; none where it is empty or there is no such line.
    pub fn line(&self, inside: &str, line: u32) -> Option<String> {
        let source = self.source(inside)?;
        let text = source.text.lines().nth((line as usize).checked_sub(1)?)?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Where a dotted name is defined: `package.module.Class.method`, or as much of it as is written down.
    pub fn definition(&self, dotted: &str) -> Option<Place> {
        let ends = dotted.match_indices('.').map(|(at, _)| at).collect::<Vec<_>>();
        let (path, at) = ends
            .into_iter()
            .rev()
            .find_map(|end| Some((self.modules.get(&dotted[..end])?, end)))?;
        let names: Vec<&str> = dotted[at + 1..].split('.').collect();
        let line = definitions::line(&self.source(path)?.parsed, &names)?;
        Some(Place { file: self.file(path)?.to_owned(), line, text: self.line(path, line)? })
    }

    fn source(&self, inside: &str) -> Option<Rc<Text>> {
        let mut read = self.read.borrow_mut();
        let source = read.entry(inside.to_owned()).or_insert_with(|| {
            let bytes = fs::read(self.folder.join(inside)).ok()?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Some(Rc::new(Text { text, parsed: Source::parse(bytes, self.version()) }))
        });
        source.clone()
    }

    /// Of Python: (3, 11).
    fn version(&self) -> (u8, u8) {
        let mut parts = self.index.python.split('.').map(|part| part.parse().unwrap_or(0));
        (parts.next().unwrap_or(3), parts.next().unwrap_or(0))
    }
}
