//! Writing a payload: one gate for everything that ships.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use crate::*;

/// What the pipeline decided and the launcher obeys.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// Values by the names of [`keys`].
    pub settings: BTreeMap<String, String>,
    /// Modules by dotted name.
    pub modules: BTreeMap<String, ModuleRecord>,
    /// Modules that were left out, with the reason.
    pub pruned: BTreeMap<String, String>,
}

/// A module to be written.
#[derive(Debug, Clone)]
pub struct ModuleRecord {
    /// What it is made of.
    pub kind: Kind,
    /// Whether it can have submodules.
    pub package: bool,
    /// Its file lies beside the launcher, at [`SIDECAR_DIR`]`/filename`.
    pub sidecar: bool,
    /// Another module imports it when that starts, if no import is lazy.
    pub eager: bool,
    /// The file's path as Python sees it below the launcher's virtual folder: `flask/app.py`.
    pub filename: String,
    /// Path of its bytes among the payload's files; none for namespace packages and sidecars.
    pub file: Option<String>,
    /// Paths among the payload's files of libraries to load before it, in order.
    pub libraries: Vec<String>,
}

/// Why a payload was not written.
#[derive(Debug)]
pub enum WriteError {
    /// Two files with one path.
    Duplicate(String),
    /// A path that is a file's and the start of another file's.
    FileAndFolder(String),
    /// A path that is empty, absolute, has `..`, or is the manifest's.
    BadPath(String),
    /// A module or library that no file belongs to: (module, path).
    NoSuchFile(String, String),
    /// The dynamic linker cannot read what is not in the file: its path.
    NoSuchPart(String),
    /// More than 4 GiB.
    TooLarge,
    /// Two signatures differ in length.
    Signature,
    /// From the ZIP library.
    Zip(zip::result::ZipError),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Duplicate(path) => write!(f, "two files with the path {path:?}"),
            WriteError::FileAndFolder(path) => write!(f, "{path:?} is both a file and a folder"),
            WriteError::BadPath(path) => write!(f, "{path:?} is no path for a payload entry"),
            WriteError::NoSuchFile(module, path) => {
                write!(f, "module {module} names the file {path:?}, which is not in the payload")
            }
            WriteError::NoSuchPart(path) => write!(f, "{path:?} is shorter than a part of it"),
            WriteError::TooLarge => f.write_str("the payload is larger than 4 GiB"),
            WriteError::Signature => f.write_str("signatures differ in length"),
            WriteError::Zip(_) => f.write_str("the ZIP cannot be written"),
        }
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            WriteError::Zip(error) => Some(error),
            _ => None,
        }
    }
}

impl From<zip::result::ZipError> for WriteError {
    fn from(error: zip::result::ZipError) -> Self {
        WriteError::Zip(error)
    }
}

/// Collects files, then writes them in an order that does not depend on that of collecting, without a clock.
#[derive(Default)]
pub struct Writer<'a> {
    files: BTreeMap<String, Vec<u8>>,
    order: Vec<String>,
    loads: BTreeMap<String, LoadRecord>,
    signer: Option<Signer<'a>>,
}

/// Gives the text of minisign's signature of some bytes: always of the same length, the same for the
/// same bytes.
pub type Signer<'a> = Box<dyn Fn(&[u8]) -> String + 'a>;

impl std::fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

impl<'a> Writer<'a> {
    /// An empty payload.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    ///
    /// # Errors
    /// [`WriteError::Duplicate`], [`WriteError::BadPath`].
    pub fn add(&mut self, path: &str, bytes: Vec<u8>) -> Result<(), WriteError> {
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if [MANIFEST, ROOT, SIGNATURE].contains(&path)
            || !path.split('/').all(plain)
            || path.contains(['\0', '\\'])
        {
            return Err(WriteError::BadPath(path.to_owned()));
        }
        match self.files.insert(path.to_owned(), bytes) {
            None => Ok(()),
            Some(_) => Err(WriteError::Duplicate(path.to_owned())),
        }
    }

    /// What has been added so far, by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
    }

    /// Says which files are read first, in this order: they follow upon each other, so that a cold start
    /// reads them in one run. Paths of no file are passed over.
    pub fn read_first(&mut self, paths: Vec<String>) {
        self.order = paths;
    }

    /// Says what the dynamic linker reads of a shared object, a file that was added.
    pub fn load(&mut self, path: &str, load: LoadRecord) {
        self.loads.insert(path.to_owned(), load);
    }

    /// Puts something else into the place of a file that was added.
    pub fn replace(&mut self, path: &str, with: impl FnOnce(&[u8]) -> Vec<u8>) {
        if let Some(bytes) = self.files.get_mut(path) {
            *bytes = with(bytes);
        }
    }

    /// Has the payload signed: every file's hash, the settings, the modules.
    pub fn sign(&mut self, signer: Signer<'a>) {
        self.signer = Some(signer);
    }

    /// The files as they are written: what is read first, all others by path, then shared objects, whose
    /// alignment would leave gaps, in the same way.
    fn ordered(&self) -> Vec<(&str, &[u8])> {
        let ranks: BTreeMap<&str, usize> =
            self.order.iter().enumerate().map(|(rank, path)| (path.as_str(), rank)).collect();
        let mut files: Vec<(&str, &[u8])> =
            self.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
        let place = |(path, bytes): &(&str, &[u8])| {
            (is_shared_object(bytes), ranks.get(path).copied().unwrap_or(usize::MAX))
        };
        files.sort_by_key(place);
        files
    }

    /// Writes the ZIP with its manifest.
    ///
    /// # Errors
    /// Every [`WriteError`] but those of [`Writer::add`].
    pub fn finish(self, manifest: &Manifest) -> Result<Vec<u8>, WriteError> {
        for path in self.files.keys().map(String::as_str).chain([MANIFEST]) {
            let mut folders = path.match_indices('/').map(|(at, _)| &path[..at]);
            if let Some(folder) = folders.find(|folder| self.files.contains_key(*folder)) {
                return Err(WriteError::FileAndFolder(folder.to_owned()));
            }
        }
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644);
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (path, bytes) in self.ordered() {
            // Shared objects are mapped or copied as memory pages; everything else is read as bytes.
            let alignment = if is_shared_object(bytes) { 4096 } else { 1 };
            zip.start_file(path, options.with_alignment(alignment))?;
            zip.write_all(bytes).map_err(zip::result::ZipError::from)?;
        }
        let mut archive = ZipArchive::new(zip.finish()?)?;
        let mut places = BTreeMap::new();
        for (path, bytes) in &self.files {
            let start = archive.by_name(path)?.data_start().ok_or(WriteError::TooLarge)?;
            places.insert(path.as_str(), (start, bytes));
        }

        let mut index = encode(manifest, &places, &self.loads, self.signer.is_some())?;
        let mut zip = ZipWriter::new_append(archive.into_inner())?;
        zip.set_comment(comment(0, 0))?;
        let mut last = vec![(MANIFEST, index.clone())];
        let setting = |key: &str| manifest.settings.get(key).map(String::as_str).unwrap_or("-");
        let root = |index: &[u8]| {
            let (app, version) = (setting(keys::APP), setting(keys::VERSION));
            crate::signed::root(app, version, setting(keys::BUILD), index)
        };
        if let Some(signer) = &self.signer {
            let root = root(&index).into_bytes();
            let signature = signer(&root).into_bytes();
            last.extend([(ROOT, root), (SIGNATURE, signature)]);
        }
        for (path, content) in &last {
            zip.start_file(*path, options)?;
            zip.write_all(content).map_err(zip::result::ZipError::from)?;
        }
        let mut bytes = zip.finish()?.into_inner();

        // Only now are the place of the manifest and the payload's length known; both fields have a
        // fixed size, and so have the root and its signature.
        let length = u32::try_from(bytes.len()).map_err(|_| WriteError::TooLarge)?;
        index[20..24].copy_from_slice(&length.to_le_bytes());
        let crc = crc32fast::hash(&index[20..]);
        index[16..20].copy_from_slice(&crc.to_le_bytes());
        let start = overwrite(&mut bytes, MANIFEST, &index)?;
        if let Some(signer) = &self.signer {
            let root = root(&index).into_bytes();
            let signature = signer(&root).into_bytes();
            if last[2].1.len() != signature.len() {
                return Err(WriteError::Signature);
            }
            overwrite(&mut bytes, ROOT, &root)?;
            overwrite(&mut bytes, SIGNATURE, &signature)?;
        }
        let end = bytes.len() - COMMENT_LEN;
        bytes[end..].copy_from_slice(comment(start, index.len()).as_bytes());
        Ok(bytes)
    }
}

/// Puts other content of the same length into a stored entry, with its checksums; gives its place.
fn overwrite(bytes: &mut [u8], path: &str, content: &[u8]) -> Result<usize, WriteError> {
    let (start, central) = {
        let mut archive = ZipArchive::new(Cursor::new(&bytes[..]))?;
        let entry = archive.by_name(path)?;
        let start = entry.data_start().ok_or(WriteError::TooLarge)?;
        (start as usize, entry.central_header_start() as usize)
    };
    bytes[start..start + content.len()].copy_from_slice(content);
    let crc = crc32fast::hash(content).to_le_bytes();
    // These entries have no extra field: the local header ends where the content begins.
    for field in [start - path.len() - 30 + 14, central + 16] {
        bytes[field..field + 4].copy_from_slice(&crc);
    }
    Ok(start)
}

fn is_shared_object(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

fn comment(offset: usize, length: usize) -> String {
    format!("{COMMENT}{offset:08x} {length:08x}")
}

#[derive(Default)]
struct Strings<'a> {
    bytes: Vec<u8>,
    seen: BTreeMap<&'a str, u32>,
}

impl<'a> Strings<'a> {
    fn put(&mut self, table: &mut Vec<u8>, text: &'a str) {
        let at = *self.seen.entry(text).or_insert_with(|| {
            self.bytes.extend_from_slice(text.as_bytes());
            (self.bytes.len() - text.len()) as u32
        });
        table.extend_from_slice(&at.to_le_bytes());
        table.extend_from_slice(&(text.len() as u32).to_le_bytes());
    }
}

fn encode(
    manifest: &Manifest,
    places: &BTreeMap<&str, (u64, &Vec<u8>)>,
    load_records: &BTreeMap<String, LoadRecord>,
    signed: bool,
) -> Result<Vec<u8>, WriteError> {
    let mut strings = Strings::default();
    let [mut settings, mut modules, mut files, mut pruned, mut libraries, mut loads, mut parts] =
        [const { Vec::new() }; 7];
    let mut hashes = Vec::new();
    let number = |table: &mut Vec<u8>, n: usize| -> Result<(), WriteError> {
        table.extend_from_slice(&u32::try_from(n).map_err(|_| WriteError::TooLarge)?.to_le_bytes());
        Ok(())
    };
    let index: BTreeMap<&str, usize> =
        places.keys().enumerate().map(|(i, path)| (*path, i)).collect();
    for (key, value) in &manifest.settings {
        strings.put(&mut settings, key);
        strings.put(&mut settings, value);
    }
    for (name, module) in &manifest.modules {
        let find = |path: &String| {
            index
                .get(path.as_str())
                .copied()
                .ok_or_else(|| WriteError::NoSuchFile(name.clone(), path.clone()))
        };
        strings.put(&mut modules, name);
        strings.put(&mut modules, &module.filename);
        match &module.file {
            Some(path) => number(&mut modules, find(path)?)?,
            None => modules.extend_from_slice(&NO_FILE.to_le_bytes()),
        }
        let flags = u8::from(module.package) * FLAG_PACKAGE
            + u8::from(module.sidecar) * FLAG_SIDECAR
            + u8::from(module.eager) * FLAG_EAGER;
        modules.extend_from_slice(&[module.kind as u8, flags, 0, 0]);
        number(&mut modules, libraries.len() / LIBRARY)?;
        number(&mut modules, module.libraries.len())?;
        for path in &module.libraries {
            number(&mut libraries, find(path)?)?;
        }
    }
    for (path, (start, bytes)) in places {
        strings.put(&mut files, path);
        number(&mut files, *start as usize)?;
        number(&mut files, bytes.len())?;
        number(&mut files, crc32fast::hash(bytes) as usize)?;
        if signed {
            hashes.extend_from_slice(blake3::hash(bytes).as_bytes());
        }
        match load_records.get(*path) {
            Some(load) => {
                number(&mut files, loads.len() / LOAD)?;
                load.encode(bytes, &mut loads, &mut parts)
                    .ok_or_else(|| WriteError::NoSuchPart((*path).to_owned()))?;
            }
            None => files.extend_from_slice(&NO_LOAD.to_le_bytes()),
        }
    }
    for (name, reason) in &manifest.pruned {
        strings.put(&mut pruned, name);
        strings.put(&mut pruned, reason);
    }

    let tables = [
        (settings, SETTING),
        (modules, MODULE),
        (files, FILE),
        (pruned, PRUNED),
        (libraries, LIBRARY),
        (loads, LOAD),
        (parts, PART),
        (hashes, HASH),
        (strings.bytes, 1),
    ];
    let mut out = MAGIC.to_vec();
    number(&mut out, FORMAT_VERSION as usize)?;
    number(&mut out, HEADER + tables.iter().map(|(table, _)| table.len()).sum::<usize>())?;
    out.extend_from_slice(&[0; 8]); // checksum and payload length: filled in when known
    for (table, record) in &tables {
        number(&mut out, table.len() / record)?;
    }
    for (table, _) in tables {
        out.extend(table);
    }
    Ok(out)
}
