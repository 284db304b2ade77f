//! Config -> [`Plan`]: absolute tools, interpreter, target, dependencies locked and hash-checked for the target.

use std::path::PathBuf;

use crate::config::Config;
use crate::python::Interpreter;

/// What `cargo xtask plan` prints: everything that the later stages need, looked up and absolute.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The intent.
    pub config: Config,
    /// Rust target triple of the launcher.
    pub target: String,
    /// The CPython that goes in.
    pub interpreter: Interpreter,
    /// How libpython is linked, decided.
    pub link: LinkPlan,
    /// The cargo to call (`$CARGO`).
    pub cargo: PathBuf,
    /// Where the dependencies' versions and hashes come from, or are now written.
    pub lock: Option<PathBuf>,
    /// The dependencies, unpacked for the target as an installer would (`--target`), hash-checked; none: no dependencies.
    pub site: Option<PathBuf>,
    /// What is worth telling the user: "dependencies locked into pylock.toml", …
    pub notes: Vec<String>,
    /// `SOURCE_DATE_EPOCH` or 1980-01-01, for everything that must carry a date.
    pub epoch: u64,
}

/// How libpython is linked, with the file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkPlan {
    /// The archive goes into a position-independent launcher.
    StaticPic(PathBuf),
    /// The archive goes into a launcher at a fixed address.
    StaticFixed(PathBuf),
    /// The library is copied beside the launcher.
    Shared(PathBuf),
}

/// Looks everything up that the later stages need.
///
/// # Errors
/// Not there yet.
pub fn run(_config: Config) -> anyhow::Result<Plan> {
    anyhow::bail!("resolve: not there yet")
}
