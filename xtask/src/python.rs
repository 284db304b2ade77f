//! The only place that starts Python: finds interpreters, reads what they are, runs workers in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A CPython prefix: what a launcher embeds.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Interpreter {
    /// The prefix, absolute, links resolved: `/usr`, an unpacked standalone build, a sysroot's `usr`.
    pub prefix: PathBuf,
    /// The program that runs bytecode workers (same magic).
    pub program: PathBuf,
    /// Major and minor version: (3, 11).
    pub version: (u8, u8),
    /// Full version: "3.11.2".
    pub full_version: String,
    /// `importlib.util.MAGIC_NUMBER`, first two bytes: 3495 for 3.11.
    pub magic: u16,
    /// Folder of the standard library.
    pub stdlib: PathBuf,
    /// Folder of its extension modules, `lib-dynload`.
    pub dynload: PathBuf,
    /// `EXT_SUFFIX`: ".cpython-311-x86_64-linux-gnu.so".
    pub ext_suffix: String,
    /// Modules inside libpython.
    pub builtins: BTreeSet<String>,
    /// Modules frozen inside libpython that are imported from there (empty up to 3.10 save importlib's own).
    pub frozen: BTreeSet<String>,
    /// What can be linked.
    pub libraries: Libraries,
    /// Every `sysconfig` variable that a later stage asked for.
    pub sysconfig: BTreeMap<String, String>,
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
}
