//! The payload of a Pyrmware launcher: the contract between the pipeline that builds it and the
//! launcher that reads it.
//!
//! A payload is an ordinary ZIP (stored entries by default, no clock), so that `unzip -l` shows what
//! ships: first what a start reads, in the order of first use, then the rest by path, then shared
//! objects. Its last entry is the [`MANIFEST`]: a binary index that the launcher
//! reads in place, so that nothing is parsed, copied or allocated at start and only the pages that
//! are used are read from flash. The ZIP's comment says where the manifest is.
//!
//! # Format
//! All numbers are little-endian `u32` unless stated. A *string* is offset and length into the
//! string table.
//!
//! | part | content |
//! |---|---|
//! | header, 60 bytes | `PYRMWARE`, format version, manifest length, CRC-32 of what follows this field, payload length, counts: settings, modules, files, pruned, library references, loads, parts, hashes, string bytes |
//! | settings, 16 bytes each | key string, value string; sorted by key |
//! | modules, 32 bytes each | name string, filename string, file index (or `u32::MAX`), kind `u8`, flags `u8`, two zero bytes, first library reference, number of library references; sorted by name |
//! | files, 24 bytes each | path string, offset in the payload, length, CRC-32, index of its load (or `u32::MAX`); sorted by path |
//! | pruned, 16 bytes each | module name string, reason string; sorted by name |
//! | library references, 4 bytes each | file index, in the order in which they are loaded |
//! | loads, 32 bytes each | of a [`Load`]: first part, number of parts, CRC-32 of their bytes, the addresses and places of [`Starters`] |
//! | parts, 8 bytes each | offset in the file, length; ascending, not empty |
//! | hashes, 32 bytes each | BLAKE3 of each file, in the files' order; none where the payload is not signed |
//! | strings | UTF-8 |
//!
//! # History of the format
//! * 1: the first.
//! * 2: lazy bindings after a module's code; modules that others import when they start are marked; a
//!   table of regular expressions.
//! * 3: what the dynamic linker reads of a shared object.
//! * 4: encrypted modules; hashes, and a signature behind the manifest.

mod lazy;
mod load;
mod reader;
mod seal;
#[cfg(feature = "signed")]
mod signed;
pub mod startup;
#[cfg(feature = "writer")]
mod writer;

pub use lazy::{Binding, LazyTable, PYC_HEADER};
#[cfg(feature = "writer")]
pub use lazy::{Deferred, append_table, table};
#[cfg(feature = "writer")]
pub use load::LoadRecord;
pub use load::{Load, Starters};
pub use reader::{Entries, Fault, File, Kind, Module, Payload};
#[cfg(feature = "sealed")]
pub use seal::Key;
pub use seal::{Part, Place, SealedModule};
#[cfg(feature = "writer")]
pub use writer::{Manifest, ModuleRecord, Signer, WriteError, Writer};
#[cfg(feature = "sealed")]
pub use zeroize::Zeroizing;

/// Version of the format; a reader takes this one only.
pub const FORMAT_VERSION: u32 = 4;

/// The manifest's path inside the ZIP.
pub const MANIFEST: &str = ".pyrmware-manifest";

/// The path inside the ZIP of what is signed: the entry after the manifest.
pub const ROOT: &str = ".pyrmware-root";

/// The path inside the ZIP of the signature: the entry after [`ROOT`].
pub const SIGNATURE: &str = ".pyrmware-root.minisig";

/// The path inside the ZIP of the table of regular expressions: a [`LazyTable`] by itself, from
/// [`pattern_key`] to the marshalled arguments for `_sre.compile` after the pattern, with the code as bytes:
/// of each number seven bits at a time, the lowest first, and the eighth says that more follow.
pub const PATTERNS: &str = ".pyrmware-patterns";

/// Where a regular expression is in the table [`PATTERNS`]; `text` of a pattern of bytes has each byte as
/// the character of its value.
pub fn pattern_key(text: &str, bytes: bool, flags: u32) -> String {
    format!("{flags}{}{text}", if bytes { 'b' } else { 's' })
}

/// The `co_filename` of code that does not tell its file. Python gives none like it (`<string>`, which is a
/// module's name, too).
pub fn nameless(module: &str) -> String {
    format!("{NAMELESS}{module}>")
}

/// The module of code that does not tell its file.
pub fn nameless_module(filename: &str) -> Option<&str> {
    filename.strip_prefix(NAMELESS)?.strip_suffix('>')
}

/// What [`nameless`] begins with.
pub const NAMELESS: &str = "<module ";

/// Modules of the standard library that look into their own dictionary only to put names there, or to see
/// what a module in C has brought: what is deferred in them may stay so. Sorted.
pub const WRITES_ONLY: [&str; 5] = ["http.client", "inspect", "locale", "re._constants", "signal"];

/// Folder beside the launcher in which sidecar files keep their payload paths.
pub const SIDECAR_DIR: &str = "lib";

/// Caches of well-known packages that the launcher can clear.
pub const CACHES: [&str; 6] =
    ["prompt_toolkit", "re", "linecache", "fnmatch", "warnings", "sqlalchemy"];

/// Keys of the manifest's settings.
pub mod keys {
    /// The application's name, as in `[project]`.
    pub const APP: &str = "app";
    /// The application's version.
    pub const VERSION: &str = "version";
    /// The build id, 32 hexadecimal digits: a digest of everything else in the payload. Symbols have it too.
    pub const BUILD: &str = "build";
    /// Where the device has the key of encrypted modules from: `kind:what`, as the configuration writes
    /// it; `embedded:` and the key itself. Absent where no module is encrypted.
    pub const KEY: &str = "key";
    /// Tells whether it is the right one.
    pub const KEY_ID: &str = "key-id";
    /// Whether debuggers may attach and core be dumped although modules are encrypted.
    pub const KEY_DUMPABLE: &str = "key-dumpable";
    /// What runs: `module` or `module:function`.
    pub const ENTRY: &str = "entry";
    /// Python's version, `3.11`.
    pub const PYTHON: &str = "python";
    /// The bytecode's magic number, decimal: `3495`.
    pub const MAGIC: &str = "magic";
    /// Folders of the device's standard library, one per line, which the launcher takes; absent where the payload
    /// has it.
    pub const STDLIB: &str = "stdlib";
    /// The launcher's Rust target triple.
    pub const TARGET: &str = "target";
    /// `sys.flags.optimize` that the bytecode was compiled with: `0`, `1` or `2`.
    pub const OPTIMIZE: &str = "optimize";
    /// Who goes on without what was pruned, as a rule of the builder says: lines of a module, a space, and
    /// the module that asks for it. Nobody is told of that.
    pub const DONE_WITHOUT: &str = "done-without";
    /// `true` when the launcher's own switches are ignored.
    pub const LOCKED_DOWN: &str = "locked-down";
    /// `true` when modules have lazy bindings.
    pub const LAZY: &str = "lazy";
    /// For which engine the regular expressions are compiled: `_sre.MAGIC`, `CODESIZE`, `MAXREPEAT`, `MAXGROUPS`,
    /// and the byte order, with spaces between; absent without any.
    pub const PATTERNS: &str = "patterns";
    /// The soft limit: bytes, or `70%` of what there is. Memory is supervised where there is
    /// [`MEMORY_INTERVAL`].
    pub const MEMORY_SOFT: &str = "memory-soft";
    /// The hard limit.
    pub const MEMORY_HARD: &str = "memory-hard";
    /// At the hard limit: `restart`, `exit` or `report`.
    pub const MEMORY_ON_HARD: &str = "memory-on-hard";
    /// How it starts again: `zygote`, `exec` or `init`.
    pub const MEMORY_RESTART: &str = "memory-restart";
    /// The folder of reports; absent: none are written.
    pub const MEMORY_REPORT_DIR: &str = "memory-report-dir";
    /// Milliseconds between two looks.
    pub const MEMORY_INTERVAL: &str = "memory-interval";
    /// Milliseconds ahead within which a limit is of interest.
    pub const MEMORY_HORIZON: &str = "memory-horizon";
    /// Milliseconds after which giving memory back begins nothing more.
    pub const MEMORY_RELIEF_TIME: &str = "memory-relief-time";
    /// The caches that are cleared, with spaces between: of [`CACHES`](super::CACHES), `auto` for all of these, and
    /// `functools:NAME`; absent: none.
    pub const MEMORY_CACHES: &str = "memory-caches";
    /// What is done where the kernel tells that tasks wait for memory: `relief`, or `off`.
    pub const MEMORY_PRESSURE: &str = "memory-pressure";
    /// When garbage is collected for the first time: `late` or `stock`.
    pub const MEMORY_GC: &str = "memory-gc";
    /// Milliseconds that the application has to end.
    pub const MEMORY_GRACE: &str = "memory-grace";
    /// Milliseconds after which an object is looked for that the application has declared dead.
    pub const MEMORY_DEAD_AFTER: &str = "memory-dead-after";
    /// Classes whose instances are counted: full names with spaces between; absent without any.
    pub const MEMORY_TRACK: &str = "memory-track";
    /// What asks for a report: `SIGUSR1`, or `off`.
    pub const MEMORY_SIGNAL: &str = "memory-signal";
    /// The sockets that the launcher listens on for the application: lines of `tcp://127.0.0.1:80` or `unix:/path`.
    pub const SERVICE_LISTEN: &str = "service-listen";
    /// Milliseconds between two heartbeats at most; absent: none are awaited.
    pub const SERVICE_HEARTBEAT: &str = "service-heartbeat";
    /// The watchdog device; absent: none is fed.
    pub const SERVICE_WATCHDOG: &str = "service-watchdog";
    /// Seconds after which an unfed device resets the machine.
    pub const SERVICE_WATCHDOG_TIMEOUT: &str = "service-watchdog-timeout";
    /// When a signal has ended the worker of a zygote: `restart` or `exit`.
    pub const SERVICE_ON_CRASH: &str = "service-on-crash";
    /// So many short runs in a row may be followed by another one; `0`: any number.
    pub const SERVICE_RESTARTS: &str = "service-restarts";
    /// Milliseconds before the second restart in a row.
    pub const SERVICE_BACK_OFF: &str = "service-back-off";
    /// The folder of updates; absent: none are taken, and there is nothing of the next four.
    pub const UPDATE_DIR: &str = "update-dir";
    /// How often an update is started before it is ready.
    pub const UPDATE_TRIES: &str = "update-tries";
    /// Milliseconds that a start of an update has until it is ready.
    pub const UPDATE_READY_WITHIN: &str = "update-ready-within";
    /// What a payload needs of the launcher that it is in: an update says the same as what it replaces.
    pub const LAUNCHER: &str = "launcher";
    /// The version as text of which that of a newer version is greater, byte by byte.
    pub const VERSION_ORDER: &str = "version-order";
    /// What a zygote imports before it forks: lines of module names; after a `+`, with all that waits for first use.
    pub const SERVICE_PRELOAD: &str = "service-preload";
}

const MAGIC: &[u8; 8] = b"PYRMWARE";
const HEADER: usize = 60;
const SETTING: usize = 16;
const MODULE: usize = 32;
const FILE: usize = 24;
const PRUNED: usize = 16;
const LIBRARY: usize = 4;
const LOAD: usize = 32;
const PART: usize = 8;
const HASH: usize = 32;
const NO_LOAD: u32 = u32::MAX;
const NO_FILE: u32 = u32::MAX;
const FLAG_PACKAGE: u8 = 1;
const FLAG_SIDECAR: u8 = 2;
const FLAG_EAGER: u8 = 4;
/// The ZIP's comment: this, then offset and length of the manifest as eight hex digits each.
const COMMENT: &str = "pyrmware manifest at ";
const COMMENT_LEN: usize = COMMENT.len() + 8 + 1 + 8;

/// What runs as the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A module or package, run as `__main__` like `python -m`.
    Module(String),
    /// A function, called like a console script; what it returns is the exit status.
    Function {
        /// Dotted module name.
        module: String,
        /// Dotted attribute path inside the module.
        function: String,
    },
}

impl Entry {
    /// Reads `module` or `module:function`; none when it is neither (dotted identifiers).
    pub fn parse(text: &str) -> Option<Entry> {
        let dotted = |s: &str| {
            !s.is_empty()
                && s.split('.').all(|part| {
                    part.chars().next().is_some_and(|c| c == '_' || c.is_alphabetic())
                        && part.chars().all(|c| c == '_' || c.is_alphanumeric())
                })
        };
        match text.split_once(':') {
            None => dotted(text).then(|| Entry::Module(text.into())),
            Some((module, function)) => (dotted(module) && dotted(function))
                .then(|| Entry::Function { module: module.into(), function: function.into() }),
        }
    }

    /// The module that starts.
    pub fn module(&self) -> &str {
        match self {
            Entry::Module(module) | Entry::Function { module, .. } => module,
        }
    }
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Entry::Module(module) => f.write_str(module),
            Entry::Function { module, function } => write!(f, "{module}:{function}"),
        }
    }
}
