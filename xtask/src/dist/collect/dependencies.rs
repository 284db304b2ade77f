//! Installed distributions: which there are, what each owns.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::names::{is_identifier, normalise};
use super::walk::list;
use super::{Content, Distribution, Origin, Resource, Tree};

/// Which distribution owns which file below the dependencies' folder.
#[derive(Debug, Default)]
pub struct Owners {
    /// Path -> normalised name.
    files: BTreeMap<String, String>,
    /// First component of a path -> normalised name, for files that no RECORD lists.
    tops: BTreeMap<String, String>,
    distributions: Vec<Installed>,
    notes: Vec<String>,
}

#[derive(Debug)]
struct Installed {
    /// `flask-3.0.0.dist-info`.
    folder: String,
    dir: PathBuf,
    name: String,
    version: String,
    modules: BTreeSet<String>,
}

impl Owners {
    /// Reads every `*.dist-info` of the folder.
    ///
    /// # Errors
    /// A folder, METADATA or RECORD that cannot be read.
    pub fn read(site: Option<&Path>) -> Result<Owners> {
        let mut owners = Owners::default();
        let Some(site) = site else { return Ok(owners) };
        for (name, folder) in list(site)? {
            if folder && name.ends_with(".dist-info") {
                owners.distribution(site, &name)?;
            } else if name.ends_with(".pth") && name != "distutils-precedence.pth" {
                owners.notes.push(format!(
                    "{name} of the dependencies is not read: a launcher has no site-packages"
                ));
            }
        }
        Ok(owners)
    }

    fn distribution(&mut self, site: &Path, folder: &str) -> Result<()> {
        let dir = site.join(folder);
        let read = |name: &str| {
            let file = dir.join(name);
            fs::read(&file)
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .with_context(|| format!("cannot read {}", file.display()))
        };
        let metadata = read("METADATA")?;
        let field = |key: &str| header(&metadata, key).unwrap_or("").to_owned();
        let (name, version) = (field("Name"), field("Version"));
        let id = normalise(&name);
        let mut modules = BTreeSet::new();
        let record = if dir.join("RECORD").is_file() { read("RECORD")? } else { String::new() };
        let mut hashes: BTreeMap<&str, &str> = BTreeMap::new();
        for (path, rest) in record.lines().filter_map(split_record) {
            if path.starts_with('/') || path.starts_with("..") || path.contains("__pycache__") {
                continue;
            }
            hashes.insert(path, rest);
            let top = path.split('/').next().unwrap_or(path);
            let module = top.split('.').next().unwrap_or(top);
            if is_identifier(module)
                && (path.contains('/') || top.contains(".py") || top.contains(".so"))
            {
                modules.insert(module.to_owned());
            }
            self.tops.entry(top.to_owned()).or_insert_with(|| id.clone());
            if let Some(other) = self.files.insert(path.to_owned(), id.clone()) {
                let same = fs::metadata(site.join(path)).is_ok_and(|meta| meta.len() == 0)
                    || self.has(&other, site, path, rest);
                if !same {
                    self.notes
                        .push(format!("{path} is in {other} and in {id}: one overwrote the other"));
                }
            }
        }
        self.distributions.push(Installed {
            folder: folder.to_owned(),
            dir,
            name,
            version,
            modules,
        });
        Ok(())
    }

    /// Whether the RECORD of another distribution lists the path with the same hash.
    fn has(&self, id: &str, site: &Path, path: &str, hash: &str) -> bool {
        let other = self.distributions.iter().find(|found| normalise(&found.name) == id);
        let record = other
            .and_then(|other| fs::read_to_string(site.join(&other.folder).join("RECORD")).ok());
        record.is_some_and(|record| {
            record.lines().filter_map(split_record).any(|line| line == (path, hash))
        })
    }

    /// The normalised name of the distribution that a path belongs to.
    pub fn owner(&self, path: &str) -> String {
        let top = path.split('/').next().unwrap_or(path);
        let found = self.files.get(path).or_else(|| self.tops.get(top));
        found.cloned().unwrap_or_else(|| normalise(top.split('.').next().unwrap_or(top)))
    }

    /// Adds the distributions and their metadata to the tree.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn describe(self, tree: &mut Tree) -> Result<()> {
        tree.notes.extend(self.notes);
        for found in self.distributions {
            let origin = Origin::Dependency(normalise(&found.name));
            for (path, file) in metadata_files(&found.dir, "")? {
                let resource = Resource {
                    content: Content::File(file),
                    origin: origin.clone(),
                    package: None,
                };
                tree.resources.insert(format!("{}/{path}", found.folder), resource);
            }
            let entry_points = fs::read_to_string(found.dir.join("entry_points.txt"));
            let distribution = Distribution {
                entry_points: parse_entry_points(&entry_points.unwrap_or_default()),
                info: found.folder,
                modules: found.modules.into_iter().collect(),
                version: found.version,
                name: found.name.clone(),
            };
            tree.distributions.insert(normalise(&found.name), distribution);
        }
        Ok(())
    }
}

/// The metadata worth shipping: not what installers leave for themselves (it may name folders of this machine).
fn metadata_files(dir: &Path, prefix: &str) -> Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for (name, folder) in list(dir)? {
        let (path, file) = (format!("{prefix}{name}"), dir.join(&name));
        if folder {
            files.extend(metadata_files(&file, &format!("{path}/"))?);
        } else if !matches!(
            name.as_str(),
            "INSTALLER"
                | "REQUESTED"
                | "direct_url.json"
                | "uv_cache.json"
                | "RECORD.jws"
                | "RECORD.p7s"
        ) {
            files.push((path, file));
        }
    }
    Ok(files)
}

/// A line of RECORD: its path and the rest.
pub fn split_record(line: &str) -> Option<(&str, &str)> {
    match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once("\","),
        None => line.split_once(','),
    }
}

/// The first value of a header of METADATA.
fn header<'m>(metadata: &'m str, key: &str) -> Option<&'m str> {
    metadata.lines().take_while(|line| !line.is_empty()).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(key).then(|| value.trim())
    })
}

/// `entry_points.txt`: group -> name -> "module:attr", extras cut off.
pub fn parse_entry_points(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut groups: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut group = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            group = name.trim().to_owned();
        } else if let Some((name, value)) = line.split_once('=') {
            let value = value.split('[').next().unwrap_or(value).trim().to_owned();
            groups.entry(group.clone()).or_default().insert(name.trim().to_owned(), value);
        }
    }
    groups
}
