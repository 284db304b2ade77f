//! Reading a payload in place: binary searches over the manifest's tables, no allocation.

use std::fmt;

use crate::*;

/// Why a payload, or an entry of it, cannot be used. The text is one line for the device's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The bytes do not end as a payload does.
    NotAPayload,
    /// Fewer bytes than the manifest states, or the manifest lies outside of them.
    Truncated,
    /// Another version of the format.
    Format {
        /// The version found.
        found: u32,
    },
    /// The manifest's checksum is wrong.
    ManifestDamaged,
    /// A table points outside of the manifest although its checksum is right.
    Inconsistent,
    /// The checksum of this entry is wrong.
    Damaged {
        /// The entry's path.
        path: String,
    },
    /// There is no signature, and this launcher takes a signed payload only.
    NotSigned,
    /// This is not what was signed.
    Forged {
        /// The entry's path.
        path: String,
    },
    /// An encrypted entry does not open with the right key.
    Sealed {
        /// The entry's path.
        path: String,
    },
    /// The manifest has no such setting.
    MissingSetting {
        /// The setting's key.
        key: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NotAPayload => f.write_str("not a Pyrmware payload: its end was not recognised"),
            Fault::Truncated => f.write_str("the payload is truncated"),
            Fault::Format { found } => write!(
                f,
                "the payload has format version {found}, this launcher reads version {FORMAT_VERSION}"
            ),
            Fault::ManifestDamaged => {
                f.write_str("the payload is damaged: wrong checksum of the manifest")
            }
            Fault::Inconsistent => f.write_str("the payload's manifest is inconsistent"),
            Fault::Damaged { path } => {
                write!(f, "the payload is damaged: wrong checksum of {path}")
            }
            Fault::NotSigned => {
                f.write_str("the payload is not signed, which this launcher requires")
            }
            Fault::Forged { path } => {
                write!(f, "the payload is not as it was signed: {path}")
            }
            Fault::Sealed { path } => {
                write!(f, "the payload is not as it was encrypted: {path}")
            }
            Fault::MissingSetting { key } => {
                write!(f, "the payload's manifest has no setting {key:?}")
            }
        }
    }
}

impl std::error::Error for Fault {}

/// A payload in memory.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    bytes: &'a [u8],
    settings: &'a [u8],
    modules: &'a [u8],
    files: &'a [u8],
    pruned: &'a [u8],
    libraries: &'a [u8],
    loads: &'a [u8],
    parts: &'a [u8],
    hashes: &'a [u8],
    strings: &'a [u8],
    /// Where the manifest is in `bytes`.
    manifest: (usize, usize),
}

/// What a module is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A `.pyc`.
    Bytecode = 0,
    /// A shared object.
    Extension = 1,
    /// A PEP 420 namespace package: nothing but a name.
    Namespace = 2,
}

/// An importable module.
#[derive(Debug, Clone, Copy)]
pub struct Module<'a> {
    /// Dotted name.
    pub name: &'a str,
    /// The file's path as Python sees it below the launcher's virtual folder: `flask/app.py`.
    pub filename: &'a str,
    /// What it is made of.
    pub kind: Kind,
    /// Whether it can have submodules.
    pub package: bool,
    /// Its file lies beside the launcher, at [`SIDECAR_DIR`]`/filename`.
    pub sidecar: bool,
    /// Another module imports it when that starts, if no import is lazy.
    pub eager: bool,
    /// Its bytes; none for namespace packages and sidecars.
    pub file: Option<File<'a>>,
    libraries: (u32, u32),
}

/// A file in the payload.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// Path inside the payload, `/`-separated, relative.
    pub path: &'a str,
    /// The checksum, from the manifest.
    pub crc: u32,
    /// What the dynamic linker reads of it; none where that is all, or not known.
    pub load: Option<Load<'a>>,
    /// Its BLAKE3 hash, from the manifest; none where the payload is not signed.
    pub hash: Option<&'a [u8; HASH]>,
    bytes: &'a [u8],
}

impl<'a> File<'a> {
    /// Size in bytes. Never 0xffff_ffff or more.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the file has no content.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The content as it is, for its place in the payload; see [`File::bytes`].
    pub fn unchecked(&self) -> &'a [u8] {
        self.bytes
    }

    /// Gives the content in pieces of at most this length, and checks it at the end: pages that were passed
    /// on may be given back at once.
    ///
    /// # Errors
    /// [`Fault::Damaged`] when the checksum is wrong; all pieces have been passed on then.
    pub fn pieces(&self, length: usize, mut pass: impl FnMut(&'a [u8])) -> Result<(), Fault> {
        let mut hash = crc32fast::Hasher::new();
        for piece in self.bytes.chunks(length) {
            hash.update(piece);
            pass(piece);
        }
        self.checked(hash.finalize()).map(drop)?;
        self.verified()
    }

    /// Whether the content is what was signed; true of all content where nothing is signed.
    ///
    /// # Errors
    /// [`Fault::Forged`].
    pub fn verified(&self) -> Result<(), Fault> {
        #[cfg(feature = "signed")]
        if self.hash.is_some_and(|hash| blake3::hash(self.bytes) != *hash) {
            return Err(Fault::Forged { path: self.path.to_owned() });
        }
        Ok(())
    }

    /// The content, checked.
    ///
    /// # Errors
    /// [`Fault::Damaged`] when the checksum is wrong, [`Fault::Forged`] when it is not what was signed.
    pub fn bytes(&self) -> Result<&'a [u8], Fault> {
        if cfg!(feature = "signed") && self.hash.is_some() {
            // The hash says all that the checksum could.
            return self.verified().map(|()| self.bytes);
        }
        self.checked(crc32fast::hash(self.bytes))
    }

    fn checked(&self, crc: u32) -> Result<&'a [u8], Fault> {
        if crc == self.crc {
            Ok(self.bytes)
        } else {
            Err(Fault::Damaged { path: self.path.to_owned() })
        }
    }
}

/// The content of a stored entry of this path at the start of a ZIP's bytes, and what follows it.
fn stored<'a>(zip: &'a [u8], path: &str) -> Option<(&'a [u8], &'a [u8])> {
    const LOCAL: usize = 30;
    let name = zip.strip_prefix(b"PK\x03\x04").and(zip.get(LOCAL..LOCAL + path.len()))?;
    let extra = usize::from(u16::from_le_bytes([*zip.get(28)?, *zip.get(29)?]));
    let content = zip.get(LOCAL + path.len() + extra..).filter(|_| name == path.as_bytes())?;
    content.split_at_checked(u32_at(zip, 18) as usize)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    match bytes.get(at..at + 4) {
        Some(four) => u32::from_le_bytes([four[0], four[1], four[2], four[3]]),
        None => 0,
    }
}

impl<'a> Payload<'a> {
    /// The payload as a whole.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Opens a payload; only its manifest is read.
    ///
    /// # Errors
    /// Every [`Fault`] but [`Fault::Damaged`].
    pub fn open(bytes: &'a [u8]) -> Result<Payload<'a>, Fault> {
        let comment = bytes
            .len()
            .checked_sub(COMMENT_LEN)
            .and_then(|start| std::str::from_utf8(&bytes[start..]).ok())
            .and_then(|comment| comment.strip_prefix(COMMENT))
            .ok_or(Fault::NotAPayload)?;
        let (offset, length) = comment.split_once(' ').ok_or(Fault::NotAPayload)?;
        let number = |hex: &str| usize::from_str_radix(hex, 16).map_err(|_| Fault::NotAPayload);
        let (offset, length) = (number(offset)?, number(length)?);
        let manifest = offset
            .checked_add(length)
            .and_then(|end| bytes.get(offset..end))
            .ok_or(Fault::Truncated)?;
        if manifest.len() < HEADER || &manifest[..8] != MAGIC {
            return Err(Fault::NotAPayload);
        }
        let found = u32_at(manifest, 8);
        if found != FORMAT_VERSION {
            return Err(Fault::Format { found });
        }
        if u32_at(manifest, 12) as usize != manifest.len() {
            return Err(Fault::ManifestDamaged);
        }
        if u32_at(manifest, 16) != crc32fast::hash(&manifest[20..]) {
            return Err(Fault::ManifestDamaged);
        }
        if u32_at(manifest, 20) as usize != bytes.len() {
            return Err(Fault::Truncated);
        }
        let mut rest = &manifest[HEADER..];
        let mut table = |field: usize, record: usize| -> Result<&'a [u8], Fault> {
            let size = (u32_at(manifest, field) as usize)
                .checked_mul(record)
                .filter(|size| *size <= rest.len())
                .ok_or(Fault::Inconsistent)?;
            let (table, tail) = rest.split_at(size);
            rest = tail;
            Ok(table)
        };
        let payload = Payload {
            bytes,
            settings: table(24, SETTING)?,
            modules: table(28, MODULE)?,
            files: table(32, FILE)?,
            pruned: table(36, PRUNED)?,
            libraries: table(40, LIBRARY)?,
            loads: table(44, LOAD)?,
            parts: table(48, PART)?,
            hashes: table(52, HASH)?,
            strings: table(56, 1)?,
            manifest: (offset, length),
        };
        if rest.is_empty() { Ok(payload) } else { Err(Fault::Inconsistent) }
    }

    /// The manifest as it is in the ZIP.
    pub fn manifest(&self) -> &'a [u8] {
        let (offset, length) = self.manifest;
        &self.bytes[offset..offset + length]
    }

    /// The signed root and its signature, which follow the manifest; none where there is no signature.
    pub fn signature(&self) -> Option<(&'a [u8], &'a str)> {
        let (offset, length) = self.manifest;
        let (root, rest) = stored(self.bytes.get(offset + length..)?, ROOT)?;
        let (signature, _) = stored(rest, SIGNATURE)?;
        Some((root, std::str::from_utf8(signature).ok()?))
    }

    /// The value of a setting of [`keys`].
    ///
    /// # Errors
    /// [`Fault::MissingSetting`].
    pub fn setting(&self, key: &str) -> Result<&'a str, Fault> {
        self.search(self.settings, SETTING, key)
            .map(|record| self.string(record, 8))
            .ok_or_else(|| Fault::MissingSetting { key: key.to_owned() })
    }

    /// The module of this dotted name.
    pub fn module(&self, name: &str) -> Option<Module<'a>> {
        self.search(self.modules, MODULE, name).map(|record| self.module_of(record))
    }

    /// The package in whose shared object a module may be: one that the payload does not have itself, below a
    /// top-level package that is such an object.
    pub fn object_with<'n>(&self, name: &'n str) -> Option<&'n str> {
        let (top, _) = name.split_once('.')?;
        let package = self.module(top)?;
        let is_object = package.package && package.kind == Kind::Extension;
        (is_object && self.module(name).is_none()).then_some(top)
    }

    /// Every module, sorted by name.
    pub fn modules(&self) -> impl Iterator<Item = Module<'a>> + use<'a> {
        let this = *self;
        this.modules.chunks_exact(MODULE).map(move |record| this.module_of(record))
    }

    /// The modules directly inside a package, sorted; of no package when `package` is empty.
    pub fn submodules(&self, package: &str) -> impl Iterator<Item = Module<'a>> + use<'a> {
        let prefix = if package.is_empty() { String::new() } else { format!("{package}.") };
        let start = self.lower_bound(self.modules, MODULE, prefix.as_bytes());
        let this = *self;
        this.modules[start * MODULE..]
            .chunks_exact(MODULE)
            .map(move |record| this.module_of(record))
            .map_while(move |module| Some((module.name.strip_prefix(&prefix)?, module)))
            .filter(|(rest, _)| !rest.contains('.'))
            .map(|(_, module)| module)
    }

    /// The libraries that must be loaded before this extension module, in order.
    pub fn libraries(&self, module: &Module<'a>) -> impl Iterator<Item = File<'a>> + use<'a> {
        let this = *self;
        let (first, count) = (module.libraries.0 as usize, module.libraries.1 as usize);
        (first..first.saturating_add(count).min(this.libraries.len() / LIBRARY))
            .filter_map(move |i| this.file_at(u32_at(this.libraries, i * LIBRARY)))
    }

    /// The file of this path.
    pub fn file(&self, path: &str) -> Option<File<'a>> {
        self.search(self.files, FILE, path).and_then(|record| self.file_of(record))
    }

    /// Every file, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = File<'a>> + use<'a> {
        let this = *self;
        this.files.chunks_exact(FILE).filter_map(move |record| this.file_of(record))
    }

    /// The names directly inside a folder, sorted, with whether each is a folder; none when there is
    /// no such folder. The top folder's path is empty.
    pub fn folder(&self, path: &str) -> Option<Entries<'a>> {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let at = self.lower_bound(self.files, FILE, prefix.as_bytes());
        let mut entries = Entries { payload: *self, prefix, at };
        let found = entries.next().is_some() || path.is_empty();
        entries.at = at;
        found.then_some(entries)
    }

    /// Why this module was left out when the payload was built; none for names never heard of.
    pub fn pruned(&self, name: &str) -> Option<&'a str> {
        self.search(self.pruned, PRUNED, name).map(|record| self.string(record, 8))
    }

    fn string(&self, record: &[u8], at: usize) -> &'a str {
        let start = u32_at(record, at) as usize;
        let end = start.saturating_add(u32_at(record, at + 4) as usize);
        self.strings.get(start..end).and_then(|s| std::str::from_utf8(s).ok()).unwrap_or("")
    }

    fn key(&self, table: &'a [u8], size: usize, index: usize) -> &'a [u8] {
        let at = index * size;
        let start = u32_at(table, at) as usize;
        let end = start.saturating_add(u32_at(table, at + 4) as usize);
        self.strings.get(start..end).unwrap_or(b"")
    }

    fn lower_bound(&self, table: &'a [u8], size: usize, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, table.len() / size);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.key(table, size, middle) < key { low = middle + 1 } else { high = middle }
        }
        low
    }

    fn search(&self, table: &'a [u8], size: usize, key: &str) -> Option<&'a [u8]> {
        let index = self.lower_bound(table, size, key.as_bytes());
        (index < table.len() / size && self.key(table, size, index) == key.as_bytes())
            .then(|| &table[index * size..(index + 1) * size])
    }

    fn module_of(&self, record: &'a [u8]) -> Module<'a> {
        Module {
            name: self.string(record, 0),
            filename: self.string(record, 8),
            file: self.file_at(u32_at(record, 16)),
            kind: match record[20] {
                1 => Kind::Extension,
                2 => Kind::Namespace,
                _ => Kind::Bytecode,
            },
            package: record[21] & FLAG_PACKAGE != 0,
            sidecar: record[21] & FLAG_SIDECAR != 0,
            eager: record[21] & FLAG_EAGER != 0,
            libraries: (u32_at(record, 24), u32_at(record, 28)),
        }
    }

    fn file_at(&self, index: u32) -> Option<File<'a>> {
        if index == NO_FILE {
            return None;
        }
        let start = (index as usize).checked_mul(FILE)?;
        self.file_of(self.files.get(start..start.checked_add(FILE)?)?)
    }

    fn file_of(&self, record: &'a [u8]) -> Option<File<'a>> {
        let start = u32_at(record, 8) as usize;
        let end = start.checked_add(u32_at(record, 12) as usize)?;
        let (path, bytes) = (self.string(record, 0), self.bytes.get(start..end)?);
        let load = self.load(u32_at(record, 20), path, bytes);
        let at = (record.as_ptr() as usize - self.files.as_ptr() as usize) / FILE * HASH;
        let hash = self.hashes.get(at..).and_then(|hashes| hashes.first_chunk());
        Some(File { path, crc: u32_at(record, 16), load, hash, bytes })
    }

    fn load(&self, index: u32, path: &'a str, file: &'a [u8]) -> Option<Load<'a>> {
        let start = (index as usize).checked_mul(LOAD).filter(|_| index != NO_LOAD)?;
        let record = self.loads.get(start..start.checked_add(LOAD)?)?;
        Load::new(record, self.parts, path, file)
    }
}

/// The names inside a folder: (name, whether it is a folder), sorted as bytes of the full path.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    payload: Payload<'a>,
    prefix: String,
    at: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a str, bool);

    fn next(&mut self) -> Option<Self::Item> {
        let payload = self.payload;
        let record = payload.files.chunks_exact(FILE).nth(self.at)?;
        let rest = payload.string(record, 0).strip_prefix(self.prefix.as_str())?;
        match rest.split_once('/') {
            None => {
                self.at += 1;
                Some((rest, false))
            }
            Some((folder, _)) => {
                // '0' follows '/': the first path after everything in this folder.
                let after = format!("{}{folder}0", self.prefix);
                self.at =
                    payload.lower_bound(payload.files, FILE, after.as_bytes()).max(self.at + 1);
                Some((folder, true))
            }
        }
    }
}
