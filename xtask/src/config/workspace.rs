//! Which workspace this is: asked of cargo, never guessed from where this program was compiled.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};

use crate::paths::Paths;

/// A workspace that has a launcher.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// Its folders.
    pub paths: Paths,
}

/// The workspace of the current folder; where that has no launcher, the one whose xtask cargo is running.
///
/// # Errors
/// There is no cargo, no workspace, or no package with `[package.metadata.pyrmware]`.
pub fn workspace() -> Result<Workspace> {
    let here = std::env::current_dir().context("cannot tell the current folder")?;
    let first = below(&here);
    match (&first, std::env::var_os("CARGO_MANIFEST_DIR")) {
        (Err(_), Some(xtask)) => below(Path::new(&xtask)).or(first),
        _ => first,
    }
}

fn below(folder: &Path) -> Result<Workspace> {
    let metadata = MetadataCommand::new()
        .current_dir(folder)
        .no_deps()
        .exec()
        .with_context(|| format!("cargo knows no workspace at {}", folder.display()))?;
    let paths = Paths {
        root: metadata.workspace_root.clone().into_std_path_buf(),
        target: metadata.target_directory.clone().into_std_path_buf(),
        app: launcher(&metadata)?,
    };
    Ok(Workspace { paths })
}

/// The folder of the only package with `[package.metadata.pyrmware]`.
fn launcher(metadata: &Metadata) -> Result<PathBuf> {
    let launchers: Vec<_> = metadata
        .workspace_packages()
        .into_iter()
        .filter(|package| package.metadata.get("pyrmware").is_some())
        .collect();
    match launchers.as_slice() {
        [one] => Ok(one.manifest_path.parent().unwrap_or(&metadata.workspace_root).into()),
        [] => bail!(
            "no package of the workspace {} is a launcher: its Cargo.toml needs a table \
             [package.metadata.pyrmware]",
            metadata.workspace_root
        ),
        more => bail!(
            "the workspace {} has several packages with [package.metadata.pyrmware]: {}; \
             only the launcher may have it",
            metadata.workspace_root,
            more.iter().map(|package| package.name.as_str()).collect::<Vec<_>>().join(", ")
        ),
    }
}
