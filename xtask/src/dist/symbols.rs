//! What makes sense of a launcher's tracebacks: sources and where they are from, by build id.
//!
//! The folder holds each module's source at its path inside the launcher, where the launcher itself finds
//! it, too, and an index.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pack::Packed;
use super::resolve::Plan;

/// The folder of an image in which they are. It stays with the developer.
pub const FOLDER: &str = "symbols";
/// The index in it. No module has such a name.
pub const INDEX: &str = "symbols.json";
/// The form of the index: a number that grows when what is there changes its meaning.
const FORMAT: u64 = 1;

/// What a build's symbols say of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// The build id, which the launcher has too.
    pub build: String,
    /// The application's name, which is the launcher's.
    pub app: String,
    /// The application's version.
    pub version: String,
    /// Python's: "3.11.7".
    pub python: String,
    /// What runs: `module` or `module:function`.
    pub entry: String,
    /// Path inside the launcher -> the source's file on the machine that built.
    pub sources: BTreeMap<String, PathBuf>,
    /// Of these, by path inside the launcher, tracebacks tell the lines in which functions begin.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub first_lines: BTreeSet<String>,
    /// What tracebacks call some of `sources`, where that is not their path below the launcher -> that path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub called: BTreeMap<String, String>,
}

/// An index in its file.
#[derive(Serialize, Deserialize)]
struct File<I> {
    format: u64,
    #[serde(flatten)]
    index: I,
}

/// Copies the sources of a build into `folder`, and writes the index.
///
/// # Errors
/// A file cannot be read or written.
pub fn write(plan: &Plan, packed: &Packed, folder: &Path) -> Result<()> {
    for (path, source) in &packed.symbols {
        let to = folder.join(path);
        let parent = to.parent().unwrap_or(folder);
        fs::create_dir_all(parent)
            .and_then(|()| fs::copy(source, &to).map(drop))
            .with_context(|| format!("cannot copy {} to {}", source.display(), to.display()))?;
    }
    let compiled = &packed.sealed.compiled;
    let stripped = compiled.forms.iter().filter(|(_, form)| !form.lines);
    let path = |name: &String| Some(compiled.kept.graph.tree.modules.get(name)?.path.clone());
    let first_lines = stripped.filter_map(|(name, _)| path(name)).collect();
    let index = Index {
        build: packed.build.clone(),
        app: plan.config.project.name.clone(),
        version: plan.config.project.version.clone(),
        python: plan.interpreter.full_version.clone(),
        entry: plan.config.project.entry.to_string(),
        sources: packed.symbols.clone(),
        first_lines,
        called: packed.sealed.called.clone(),
    };
    index.write(folder)
}

impl Index {
    fn write(&self, folder: &Path) -> Result<()> {
        let file = folder.join(INDEX);
        let mut text = serde_json::to_string_pretty(&File { format: FORMAT, index: self })
            .with_context(|| format!("cannot write {}", file.display()))?;
        text.push('\n');
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&file, text))
            .with_context(|| format!("cannot write {}", file.display()))
    }

    /// Reads the index of a folder; none where there is none.
    ///
    /// # Errors
    /// It cannot be read, is damaged, or was written by a later version.
    pub fn read(folder: &Path) -> Result<Option<Index>> {
        let file = folder.join(INDEX);
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        let damaged = || format!("{} is no index of symbols; build again", file.display());
        let value: Value = serde_json::from_slice(&bytes).with_context(damaged)?;
        let format = value["format"].as_u64().unwrap_or_default();
        if format > FORMAT {
            bail!(
                "{} has format {format}, and this xtask reads {FORMAT} at most: use the one that built",
                file.display()
            );
        }
        let File { index, .. } = serde_json::from_value(value).with_context(damaged)?;
        Ok(Some(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Index::read(folder.path()).unwrap(), None);
        let index = Index {
            build: "0".repeat(32),
            app: "demo".to_owned(),
            sources: BTreeMap::from([("demo.py".to_owned(), "/src/demo.py".into())]),
            ..Index::default()
        };
        index.write(folder.path()).unwrap();
        assert_eq!(Index::read(folder.path()).unwrap(), Some(index));
    }

    #[test]
    fn what_is_no_index_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(INDEX);
        for (text, wanted) in [
            ("{", "is no index of symbols; build again"),
            ("[]", "is no index of symbols; build again"),
            (
                "{\"format\": 2}",
                "has format 2, and this xtask reads 1 at most: use the one that built",
            ),
        ] {
            fs::write(&file, text).unwrap();
            let error = Index::read(folder.path()).unwrap_err().to_string();
            assert_eq!(error, format!("{} {wanted}", file.display()));
        }
    }
}
