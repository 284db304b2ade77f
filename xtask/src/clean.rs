//! `cargo xtask clean`: removes what the pipeline wrote.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use walkdir::WalkDir;

use crate::config;
use crate::ui::{self, Ui};

/// Remove what the pipeline wrote below the target folder: images, caches, tools
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    /// Removes `target/dist` and `target/pyrmware`; cargo's own output stays.
    ///
    /// # Errors
    /// A folder cannot be read or removed.
    pub fn run(self, ui: &Ui) -> anyhow::Result<ExitCode> {
        let paths = config::workspace()?.paths;
        let (mut files, mut bytes) = (0, 0);
        for folder in [paths.images(), paths.work()] {
            let (some, size) =
                measure(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
            files += some;
            bytes += size;
            if !self.dry_run {
                remove(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
            }
        }
        let (verb, unit) =
            if self.dry_run { ("Summary", "would be removed: ") } else { ("Removed", "") };
        ui.status(verb, format_args!("{unit}{files} files, {}", ui::bytes(bytes)));
        Ok(ExitCode::SUCCESS)
    }
}

/// Files and bytes below a folder; nothing when it is not there.
fn measure(folder: &Path) -> anyhow::Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    if folder.exists() {
        for entry in WalkDir::new(folder) {
            let entry = entry?;
            if !entry.file_type().is_dir() {
                files += 1;
                bytes += entry.metadata()?.len();
            }
        }
    }
    Ok((files, bytes))
}

fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_and_removes_a_folder_and_takes_none_for_empty() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("dist");
        assert_eq!(measure(&folder).unwrap(), (0, 0));
        std::fs::create_dir_all(folder.join("a/b")).unwrap();
        std::fs::write(folder.join("a/one"), "123").unwrap();
        std::fs::write(folder.join("a/b/two"), "4567").unwrap();
        assert_eq!(measure(&folder).unwrap(), (2, 7));
        remove(&folder).unwrap();
        assert!(!folder.exists());
        remove(&folder).unwrap();
    }
}
