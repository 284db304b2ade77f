//! The only place that starts Python: finds interpreters, reads what they are, runs workers in them.

mod choose;
mod libpython;
pub mod marker;
mod probe;
mod pyo3;
pub mod remedy;
pub mod sysroot;
pub mod version;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

pub use choose::{Choice, candidates, choose, choose_foreign, host_tool_python};
pub use libpython::missing_libraries;
use version::Version;

/// A CPython prefix: what a launcher embeds.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Interpreter {
    /// The prefix, absolute, links resolved: `/usr`, an unpacked standalone build, a sysroot's `usr`.
    pub prefix: PathBuf,
    /// The program that runs bytecode workers (same magic): of another machine's interpreter, one of this machine.
    pub program: PathBuf,
    /// Where the program's own libpython is, if it does not find that by itself: a build that was moved.
    pub program_libraries: Option<PathBuf>,
    /// Major and minor version: (3, 11).
    pub version: (u8, u8),
    /// Full version: "3.11.2".
    pub full_version: String,
    /// `importlib.util.MAGIC_NUMBER`, first two bytes: 3495 for 3.11.
    pub magic: u16,
    /// Folder of the standard library.
    pub stdlib: PathBuf,
    /// Folder of its extension modules, `lib-dynload`; need not exist where all of them are built in.
    pub dynload: PathBuf,
    /// Folder of the headers for C; need not exist.
    pub include: PathBuf,
    /// `EXT_SUFFIX`: ".cpython-311-x86_64-linux-gnu.so".
    pub ext_suffix: String,
    /// Modules inside libpython.
    pub builtins: BTreeSet<String>,
    /// Modules in C -> what a star import of them brings.
    pub exports: BTreeMap<String, BTreeSet<String>>,
    /// Modules frozen inside libpython that are imported from there (empty up to 3.10 save importlib's own).
    pub frozen: BTreeSet<String>,
    /// What can be linked.
    pub libraries: Libraries,
    /// Every `sysconfig` variable that a later stage asked for.
    pub sysconfig: BTreeMap<String, String>,
    /// The environment of PEP 508 markers: "sys_platform" -> "linux".
    pub markers: BTreeMap<String, String>,
}

/// The libpythons of a prefix.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Libraries {
    /// A static libpython whose objects may go into a position-independent program.
    pub static_pic: Option<PathBuf>,
    /// A static libpython that needs a program at a fixed address.
    pub static_fixed: Option<PathBuf>,
    /// `libpython3.X.so.1.0`, the file.
    pub shared: Option<PathBuf>,
    /// Libraries that a static libpython needs: "expat", "z", "m", "dl".
    pub link: Vec<String>,
    /// Archives that cannot be linked, each with the reason, one clause.
    pub unusable: Vec<String>,
    /// Folders that were looked through.
    pub searched: Vec<PathBuf>,
}

impl Libraries {
    /// Whether there is none that can be linked.
    pub fn is_empty(&self) -> bool {
        self.static_pic.is_none() && self.static_fixed.is_none() && self.shared.is_none()
    }
}

impl Interpreter {
    /// The interpreter at `path`: a prefix, a program, or a virtual environment (then the one it was made from).
    pub fn at(path: &Path) -> Result<Self> {
        let program = program_of(path)?;
        probe::read(&program)
    }

    /// "3.11".
    pub fn short_version(&self) -> String {
        format!("{}.{}", self.version.0, self.version.1)
    }

    /// The full version, comparable.
    pub fn parsed_version(&self) -> Result<Version> {
        self.full_version.parse()
    }

    /// A process of the interpreter whose result depends on its arguments alone: no variables of the user, no site,
    /// fixed hash seed, no bytecode written.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().args(["-S", "-s", "-B"]);
        command
            .env("PYTHONHASHSEED", "0")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("LC_ALL", "C.UTF-8");
        if let Some(folder) = &self.program_libraries {
            command.env("LD_LIBRARY_PATH", folder);
        }
        command
    }
}

/// The Python program at `path`: `path` itself, or the one in its `bin`.
fn program_of(path: &Path) -> Result<PathBuf> {
    let metadata = path.metadata().with_context(|| {
        format!(
            "cannot find the interpreter {}; --python takes a CPython prefix, such as /usr",
            path.display()
        )
    })?;
    let absolute = std::path::absolute(path)?;
    if !metadata.is_dir() {
        return Ok(absolute);
    }
    let bin = absolute.join("bin");
    let named =
        ["python3", "python"].map(|name| bin.join(name)).into_iter().find(|file| file.is_file());
    named.or_else(|| versioned_program(&bin)).with_context(|| {
        format!(
            "{} is no CPython prefix: it holds no bin/python3; name a folder that does, such as /usr",
            path.display()
        )
    })
}

/// The highest `python3.X` in `bin`.
fn versioned_program(bin: &Path) -> Option<PathBuf> {
    let entries = bin.read_dir().ok()?.flatten();
    let minor = |entry: &std::fs::DirEntry| -> Option<u8> {
        entry.file_name().to_str()?.strip_prefix("python3.")?.parse().ok()
    };
    let best = entries.filter_map(|entry| Some((minor(&entry)?, entry.path()))).max()?;
    Some(best.1)
}
