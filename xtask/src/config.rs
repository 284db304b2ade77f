//! `pyproject.toml`, `app/Cargo.toml` and flags -> [`Config`]: checked intent, no effects.

use std::path::PathBuf;

use crate::paths::Paths;

/// Everything that the user asked for, checked; nothing has been looked up, started or written.
#[derive(Debug, Clone)]
pub struct Config {
    /// The workspace.
    pub paths: Paths,
    /// The Python side.
    pub project: Project,
    /// The device side.
    pub device: Device,
    /// How dependencies may be resolved, as cargo means the flags.
    pub resolution: Resolution,
    /// The image folder, absolute.
    pub out: PathBuf,
}

/// The application: `[project]` and `[tool.pyrmware]`.
#[derive(Debug, Clone)]
pub struct Project {
    /// The folder of `pyproject.toml`, absolute.
    pub dir: PathBuf,
    /// `[project] name` as written.
    pub name: String,
    /// `[project] version`.
    pub version: String,
    /// `[project] description`, or empty.
    pub description: String,
    /// `[project] requires-python`, a PEP 440 specifier, or empty.
    pub requires_python: String,
    /// `[project] dependencies`, PEP 508.
    pub dependencies: Vec<String>,
    /// `[project.scripts]` and `[project.entry-points.GROUP]`: group -> name -> "module:attr".
    pub entry_points:
        std::collections::BTreeMap<String, std::collections::BTreeMap<String, String>>,
    /// What runs as the application.
    pub entry: pyrmware_payload::Entry,
    /// `include`: glob patterns, relative to `dir`, of resources that no package owns.
    pub include: Vec<String>,
    /// `sdists`: packages that may be built from source.
    pub sdists: Vec<String>,
    /// `[tool.pyrmware.prune]`.
    pub prune: Prune,
    /// `[tool.pyrmware.verify] command`: arguments of the self-test; none: the launcher is only checked to start.
    pub verify: Option<Vec<String>>,
    /// `[tool.pyrmware.budget] size`, bytes of the launcher.
    pub size_budget: Option<u64>,
}

/// `[tool.pyrmware.prune]`: module names, `name` for one module and its parents, `name.*` for all below too.
#[derive(Debug, Clone, Default)]
pub struct Prune {
    /// Always in.
    pub keep: Vec<String>,
    /// Never in.
    pub drop: Vec<String>,
}

/// `[package.metadata.pyrmware.device.NAME]`.
#[derive(Debug, Clone)]
pub struct Device {
    /// `host` always exists.
    pub name: String,
    /// Rust target triple; none: the machine that builds.
    pub target: Option<String>,
    /// Interpreter prefix from flag or configuration.
    pub python: Option<PathBuf>,
    /// How libpython gets in; none: static where there is one.
    pub link: Option<Link>,
    /// Where extension modules go.
    pub extensions: Extensions,
}

/// How libpython is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Inside the launcher.
    Static,
    /// `libpython3.X.so` beside the launcher, found by `$ORIGIN`.
    Shared,
}

/// Where extension modules (`.so`) and the libraries that their wheels bring are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Extensions {
    /// `memfd`: the launcher stays one file.
    #[default]
    Auto,
    /// In the payload, loaded through a memory file; costs the file's size in unreclaimable memory.
    Memfd,
    /// Beside the launcher in `lib/`.
    Sidecar,
}

/// `--locked`, `--offline`, `--frozen` (both).
#[derive(Debug, Clone, Copy, Default)]
pub struct Resolution {
    /// The lock must be there and up to date; it is not written.
    pub locked: bool,
    /// No network.
    pub offline: bool,
}
