//! What a package installs: paths, modes and bytes.

use std::collections::BTreeMap;

/// Files by their path without the leading `/`, folders before what is in them. Everything is root's.
#[derive(Debug, Default)]
pub struct Contents(BTreeMap<String, Entry>);

/// One of them.
#[derive(Debug)]
pub struct Entry {
    /// Permissions.
    pub mode: u32,
    /// What it is.
    pub kind: Kind,
}

/// What something is.
#[derive(Debug)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A file with these bytes.
    File(Vec<u8>),
    /// A symbolic link to this path.
    Link(String),
}

impl Contents {
    /// Adds a file, and the folders around it.
    pub fn file(&mut self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) {
        self.add(path, Entry { mode, kind: Kind::File(bytes.into()) });
    }

    /// Adds a symbolic link, and the folders around it.
    pub fn link(&mut self, path: &str, target: &str) {
        self.add(path, Entry { mode: 0o777, kind: Kind::Link(target.to_owned()) });
    }

    fn add(&mut self, path: &str, entry: Entry) {
        let path = path.trim_start_matches('/');
        for (at, _) in path.match_indices('/') {
            let folder = Entry { mode: 0o755, kind: Kind::Folder };
            self.0.entry(path[..at].to_owned()).or_insert(folder);
        }
        self.0.insert(path.to_owned(), entry);
    }

    /// Path and entry, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// Path and bytes of the files, sorted.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.iter().filter_map(|(path, entry)| match &entry.kind {
            Kind::File(bytes) => Some((path, bytes.as_slice())),
            _ => None,
        })
    }

    /// The bytes of all files.
    pub fn size(&self) -> u64 {
        self.files().map(|(_, bytes)| bytes.len() as u64).sum()
    }
}
