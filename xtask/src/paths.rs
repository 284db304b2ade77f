//! Every path of the workspace and of its build folders, named once.

use std::path::{Path, PathBuf};

/// The folders of one workspace, from `cargo metadata` ([`crate::config::workspace`]).
#[derive(Debug, Clone)]
pub struct Paths {
    /// The workspace's top folder, absolute.
    pub root: PathBuf,
    /// Cargo's target folder, absolute; everything that the pipeline writes is below it.
    pub target: PathBuf,
    /// The launcher's package, absolute: the one with `[package.metadata.pyrmware]`, `app/` in this workspace.
    pub app: PathBuf,
}

impl Paths {
    /// The launcher's package.
    pub fn app(&self) -> PathBuf {
        self.app.clone()
    }
    /// `app/Cargo.toml`: what the device side is.
    pub fn app_manifest(&self) -> PathBuf {
        self.app().join("Cargo.toml")
    }
    /// The runtime API for applications, a folder that holds the package `pyrmware`.
    pub fn runtime_api(&self) -> PathBuf {
        self.app().join("python")
    }
    /// The Python half of the launcher's importer, a folder that holds the package `_pyrmware_runtime`.
    pub fn importer_python(&self) -> PathBuf {
        self.app().join("src/importer/python")
    }
    /// Everything that the pipeline writes for itself.
    pub fn work(&self) -> PathBuf {
        self.target.join("pyrmware")
    }
    /// Tools that the pipeline installs for itself (uv, ruff): never in the user's Python.
    pub fn tools(&self) -> PathBuf {
        self.work().join("tools")
    }
    /// What launchers for other machines are built against: folders that `sysroot` makes.
    pub fn sysroots(&self) -> PathBuf {
        self.target.join("sysroots")
    }
    /// Content-addressed results, safe to delete at any time.
    pub fn cache(&self) -> PathBuf {
        self.work().join("cache")
    }
    /// One file per image folder, locked while that image is being built.
    pub fn locks(&self) -> PathBuf {
        self.work().join("locks")
    }
    /// Cargo's target folder for launchers of one interpreter and device, so that they do not evict each other.
    pub fn launcher_target(&self, id: &str) -> PathBuf {
        self.work().join("launcher").join(id)
    }
    /// All images that were written without `--out`.
    pub fn images(&self) -> PathBuf {
        self.target.join("dist")
    }
    /// Where `dist` writes without `--out`.
    pub fn image(&self, device: &str, app: &str) -> PathBuf {
        self.images().join(device).join(app)
    }
}

/// `path` relative to `root` for messages and keys, or `path` itself.
pub fn relative<'a>(root: &Path, path: &'a Path) -> &'a Path {
    path.strip_prefix(root).unwrap_or(path)
}
