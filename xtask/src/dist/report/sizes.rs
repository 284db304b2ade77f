//! What everything in a payload takes: as it ships, and as `zip -9` would pack it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use pyrmware_payload::{Payload, SIDECAR_DIR};

use crate::dist::collect::{Kind, Origin, Tree};
use crate::dist::pack::{self, Packed};
use crate::dist::parallel;

/// The ZIP's own record of an entry, besides its path, which is there twice.
const ZIP_ENTRY: u64 = 30 + 46;
/// The ZIP's own end.
const ZIP_END: u64 = 22;

/// The package of what is ours.
const RUNTIME: &str = "pyrmware";

/// Everything that takes space, by its path in the payload or beside the launcher.
#[derive(Debug, Clone, Default)]
pub struct Sizes {
    /// Path -> item.
    pub items: BTreeMap<String, Item>,
    /// What the payload has besides its entries: its index, headers, alignment.
    pub index: u64,
}

/// One file.
#[derive(Debug, Clone)]
pub struct Item {
    /// The module whose file it is.
    pub module: Option<String>,
    /// The package without which it would not be there; a module's is the module itself.
    pub owner: Option<String>,
    /// Whose it is; none: the pipeline made it.
    pub origin: Option<Origin>,
    /// Whether it is a shared object.
    pub shared_object: bool,
    /// As it ships.
    pub size: Size,
}

/// Bytes of one or several files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Size {
    /// As they ship.
    pub bytes: u64,
    /// What they add to a ZIP that `zip -9` packs.
    pub zip: u64,
}

impl std::ops::Add for Size {
    type Output = Size;
    fn add(self, other: Size) -> Size {
        Size { bytes: self.bytes + other.bytes, zip: self.zip + other.zip }
    }
}

impl std::iter::Sum for Size {
    fn sum<I: Iterator<Item = Size>>(sizes: I) -> Size {
        sizes.fold(Size::default(), std::ops::Add::add)
    }
}

/// What people call a package: a dependency, a package of the standard library, the application.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Package {
    /// `application`, `dependency`, `stdlib` or `runtime`.
    pub origin: String,
    /// How many modules have a file of their own.
    pub modules: usize,
    /// Everything that belongs to it.
    #[serde(flatten)]
    pub size: Size,
}

impl Sizes {
    /// Reads them off what was packed; `zip` is left at 0, which saves the time to pack.
    ///
    /// # Errors
    /// A file cannot be read, or the payload is none.
    pub fn plain(packed: &Packed) -> Result<Sizes> {
        Sizes::read(packed, |files| Ok(vec![0; files.len()]))
    }

    /// Reads them off what was packed.
    ///
    /// # Errors
    /// As [`Sizes::plain`].
    pub fn of(packed: &Packed) -> Result<Sizes> {
        Sizes::read(packed, zipped)
    }

    fn read(
        packed: &Packed,
        zipped: impl Fn(&[(String, Cow<'_, [u8]>)]) -> Result<Vec<u64>>,
    ) -> Result<Sizes> {
        let tree = &packed.sealed.compiled.kept.graph.tree;
        let payload = Payload::open(&packed.payload)
            .context("cannot read the payload that was just packed")?;
        let mut contents: Vec<(String, Cow<'_, [u8]>)> = Vec::new();
        for file in payload.files() {
            let content = file.bytes().with_context(|| format!("cannot read {}", file.path))?;
            contents.push((file.path.to_owned(), content.into()));
        }
        let inside: u64 = contents.iter().map(|(_, content)| content.len() as u64).sum();
        for (path, file) in &packed.sidecars {
            let content =
                fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            contents.push((path.clone(), pack::shared_object(&content, &[]).into()));
        }
        let mut items = owners(tree);
        for ((path, content), zip) in contents.iter().zip(zipped(&contents)?) {
            let item = items.entry(path.clone()).or_insert_with(Item::made);
            item.size = Size { bytes: content.len() as u64, zip };
        }
        items.retain(|_, item| item.size != Size::default());
        Ok(Sizes { items, index: (packed.payload.len() as u64).saturating_sub(inside) })
    }

    /// Everything together, as one ZIP.
    pub fn total(&self) -> Size {
        let files: Size = self.items.values().map(|item| item.size).sum();
        files + Size { bytes: self.index, zip: ZIP_END }
    }

    /// By package: its files, and for our own runtime the payload's index.
    pub fn packages(&self, app: &str) -> BTreeMap<String, Package> {
        let mut packages: BTreeMap<String, Package> = BTreeMap::new();
        for item in self.items.values() {
            let package = packages.entry(item.package(app).to_owned()).or_default();
            package.origin = item.origin().to_owned();
            package.modules += usize::from(item.module.is_some());
            package.size = package.size + item.size;
        }
        let own = packages.entry(RUNTIME.into()).or_default();
        own.origin = "runtime".into();
        own.size = own.size + Size { bytes: self.index, zip: 0 };
        packages
    }

    /// Modules with a file of their own.
    pub fn modules(&self) -> impl Iterator<Item = (&str, &Item)> {
        self.items.values().filter_map(|item| Some((item.module.as_deref()?, item)))
    }

    /// These modules and the data of packages among them.
    pub fn of_modules(&self, names: &BTreeSet<String>) -> Size {
        let among = |item: &&Item| item.owner.as_ref().is_some_and(|owner| names.contains(owner));
        self.items.values().filter(among).map(|item| item.size).sum()
    }
}

impl Item {
    fn made() -> Item {
        let size = Size::default();
        Item { module: None, owner: None, origin: None, shared_object: false, size }
    }

    /// The package that it belongs to.
    pub fn package<'a>(&'a self, app: &'a str) -> &'a str {
        package(self.origin.as_ref(), self.owner.as_deref(), app)
    }

    /// `application`, `dependency`, `stdlib` or `runtime`.
    pub fn origin(&self) -> &'static str {
        match &self.origin {
            Some(Origin::Application) => "application",
            Some(Origin::Dependency(_)) => "dependency",
            Some(Origin::Stdlib) => "stdlib",
            Some(Origin::Runtime) | None => "runtime",
        }
    }
}

/// What people call the package of a module: a dependency, a package of the standard library, the application.
pub fn package<'a>(origin: Option<&'a Origin>, module: Option<&'a str>, app: &'a str) -> &'a str {
    match (origin, module) {
        (Some(Origin::Application), _) => app,
        (Some(Origin::Dependency(name)), _) => name,
        (Some(Origin::Stdlib), Some(module)) => module.split('.').next().unwrap_or(module),
        (Some(Origin::Stdlib), None) => "Python's library",
        (Some(Origin::Runtime) | None, _) => RUNTIME,
    }
}

/// Path as it ships -> whose it is, without sizes.
fn owners(tree: &Tree) -> BTreeMap<String, Item> {
    let size = Size::default();
    let modules = tree.modules.iter().map(|(name, module)| {
        let item = Item {
            module: Some(name.clone()),
            owner: Some(name.clone()),
            origin: Some(module.origin.clone()),
            shared_object: module.kind == Kind::Extension,
            size,
        };
        (pack::packed_path(&module.path), item)
    });
    let files = [(&tree.resources, false), (&tree.libraries, true)];
    let files = files.into_iter().flat_map(|(files, shared_object)| {
        files.iter().map(move |(path, file)| {
            let origin = Some(file.origin.clone());
            (
                path.clone(),
                Item { module: None, owner: file.package.clone(), origin, shared_object, size },
            )
        })
    });
    let inside: BTreeMap<String, Item> = modules.chain(files).collect();
    let beside = inside.iter().filter(|(_, item)| item.shared_object);
    let beside: Vec<_> =
        beside.map(|(path, item)| (format!("{SIDECAR_DIR}/{path}"), item.clone())).collect();
    inside.into_iter().chain(beside).collect()
}

/// What each file adds to a ZIP, in their order.
fn zipped(files: &[(String, Cow<'_, [u8]>)]) -> Result<Vec<u64>> {
    parallel::each(files, |(path, content)| deflated(content) + ZIP_ENTRY + 2 * path.len() as u64)
}

/// As `zip -9` does it: what does not shrink is stored.
fn deflated(content: &[u8]) -> u64 {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    // Writing to memory cannot fail.
    let packed = encoder.write_all(content).and_then(|()| encoder.finish());
    packed.map_or(content.len(), |packed| packed.len().min(content.len())) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_does_not_shrink_is_stored() {
        assert_eq!(deflated(b"abc"), 3);
        assert!(deflated(&[0; 10_000]) < 50);
    }

    #[test]
    fn a_zip_has_its_entries_twice_by_name() {
        let file = |path: &str, content: &'static [u8]| (path.to_owned(), content.into());
        let files = [file("a/b.pyc", b"abc"), file("c", b"")];
        assert_eq!(zipped(&files).unwrap(), [3 + 76 + 14, 76 + 2]);
    }
}
