//! `[tool.pyrmware.protect]` -> [`Protect`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use pyrmware_payload::Entry;
use toml::{Spanned, Value};

use super::raw;
use super::source::{Complaint, Source};
use crate::dist::collect::names::{is_within, outward};

/// In which form code ships, and who vouches for it.
#[derive(Debug, Clone, Default)]
pub struct Protect {
    /// The form of `packages`.
    pub mode: Mode,
    /// Names of packages or modules; none: all of the application's own.
    pub packages: Option<Vec<String>>,
    /// The form of single packages and modules, application, dependency or standard library: the
    /// longest name that a module is or lies in wins, over `packages` too.
    pub modes: BTreeMap<String, Mode>,
    /// Where the device has the key of encrypted modules from.
    pub key: Option<KeySource>,
    /// The same key on the machine that builds, absolute.
    pub key_file: Option<PathBuf>,
    /// Debuggers may attach, and core may be dumped, although modules are encrypted: for development.
    pub dumpable: bool,
    /// The minisign secret key that signs the payload, absolute; none: it is not signed.
    pub sign: Option<PathBuf>,
    /// `nuitka.args`: added to Nuitka's own.
    pub nuitka: Vec<String>,
    /// `cython.directives`: compiler directives.
    pub cython: BTreeMap<String, String>,
    /// `pyarmor.args`: added to `pyarmor gen`'s own.
    pub pyarmor: Vec<String>,
}

impl Protect {
    /// The form in which a module ships; `own`: it is the application's.
    pub fn mode(&self, module: &str, own: bool) -> Mode {
        if let Some(mode) = outward(module).find_map(|name| self.modes.get(name)) {
            return *mode;
        }
        let named = match &self.packages {
            Some(packages) => packages.iter().any(|package| is_within(module, package)),
            None => own,
        };
        if named { self.mode } else { Mode::Bytecode }
    }

    /// Whether modules may ship in this form.
    pub fn uses(&self, mode: Mode) -> bool {
        self.mode == mode || self.modes.values().any(|other| *other == mode)
    }
}

/// The form in which a module's code ships.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Mode {
    /// A `.pyc` without source.
    #[default]
    Bytecode,
    /// The same, encrypted and authenticated.
    Encrypted,
    /// A shared object by Nuitka for each package.
    Nuitka,
    /// A shared object by Cython for each module.
    Cython,
    /// What pyarmor makes of the source.
    Pyarmor,
}

impl Mode {
    /// As it is written.
    pub const NAMES: [(&str, Mode); 5] = [
        ("bytecode", Mode::Bytecode),
        ("encrypted", Mode::Encrypted),
        ("nuitka", Mode::Nuitka),
        ("cython", Mode::Cython),
        ("pyarmor", Mode::Pyarmor),
    ];
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Mode::NAMES.iter().find(|(_, mode)| mode == self).map(|(name, _)| *name);
        f.write_str(name.unwrap_or_default())
    }
}

/// Where a device has a key from; its text is what the launcher reads in the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySource(String);

impl KeySource {
    /// The kinds, with what follows the colon.
    const KINDS: [(&str, &str); 5] = [
        ("file", "/path"),
        ("env", "NAME"),
        ("keyring", "DESCRIPTION"),
        ("credential", "NAME"),
        ("command", "/path argument …"),
    ];

    /// Reads `kind:what`, or `embedded`.
    fn parse(text: &str) -> Option<KeySource> {
        let known = match text.split_once(':') {
            None => text == "embedded",
            Some(("file", what)) => what.starts_with('/'),
            Some(("command", what)) => what.starts_with('/'),
            Some(("credential", what)) => !what.is_empty() && !what.contains('/'),
            Some(("env", what)) => !what.is_empty() && !what.contains('='),
            Some(("keyring", what)) => !what.is_empty(),
            Some(_) => false,
        };
        (known && !text.contains(['\0', '\n'])).then(|| KeySource(text.to_owned()))
    }

    /// A file.
    pub fn file(path: &Path) -> KeySource {
        KeySource(format!("file:{}", path.display()))
    }

    /// `credential` and its name, and the like; none: in the launcher itself.
    pub fn kind(&self) -> Option<(&str, &str)> {
        self.0.split_once(':')
    }

    /// Whether the key is in the launcher itself.
    pub fn is_embedded(&self) -> bool {
        self.0 == "embedded"
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn check(source: &Source, raw: &raw::Protect, dir: &Path) -> Result<Protect, Complaint> {
    let form = raw.mode.as_ref().map_or(Ok(Mode::default()), |value| mode(source, value))?;
    let packages = raw
        .packages
        .as_ref()
        .map(|names| names.iter().map(|name| module(source, name)).collect::<Result<Vec<_>, _>>());
    let modes = raw.modes.iter();
    let modes = modes.map(|(name, value)| Ok((module(source, name)?, mode(source, value)?)));
    let path = |text: &Spanned<String>| dir.join(text.get_ref());
    let protect = Protect {
        mode: form,
        packages: packages.transpose()?,
        modes: modes.collect::<Result<_, Complaint>>()?,
        key: raw.key.as_ref().map(|text| key(source, text)).transpose()?,
        key_file: raw.key_file.as_ref().map(path),
        dumpable: raw.dumpable,
        sign: raw.sign.as_ref().map(path),
        nuitka: raw.nuitka.args.clone(),
        cython: raw.cython.directives.iter().map(directive).collect(),
        pyarmor: raw.pyarmor.args.clone(),
    };
    let encrypted = |mode: &&Spanned<Value>| mode.get_ref().as_str() == Some("encrypted");
    let asked = raw.mode.iter().chain(raw.modes.values()).find(encrypted);
    match asked {
        Some(mode) if protect.key.is_none() => Err(source
            .complain(mode.span(), "nothing says where the device has the key from")
            .help(format!("give key in [tool.pyrmware.protect]: {}", accepted_keys()))),
        _ => Ok(protect),
    }
}

/// `true`, `3` and `"text"` as Cython's command line takes them.
fn directive((name, value): (&String, &Value)) -> (String, String) {
    let text = match value {
        Value::Boolean(true) => "True".to_owned(),
        Value::Boolean(false) => "False".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    (name.clone(), text)
}

fn mode(source: &Source, value: &Spanned<Value>) -> Result<Mode, Complaint> {
    let text = value.get_ref().as_str().unwrap_or_default();
    if let Some((_, mode)) = Mode::NAMES.iter().find(|(name, _)| *name == text) {
        return Ok(*mode);
    }
    let names = Mode::NAMES.map(|(name, _)| format!("\"{name}\"")).join(", ");
    Err(source
        .complain(value.span(), "there is no such protection")
        .help(format!("accepted: {names}")))
}

fn module(source: &Source, text: &Spanned<String>) -> Result<String, Complaint> {
    match Entry::parse(text.get_ref()) {
        Some(Entry::Module(name)) => Ok(name),
        _ => Err(source
            .complain(text.span(), "this is no name of a package or module")
            .help("accepted: \"package\" or \"package.module\", as they are imported")),
    }
}

fn key(source: &Source, text: &Spanned<String>) -> Result<KeySource, Complaint> {
    KeySource::parse(text.get_ref()).ok_or_else(|| {
        source
            .complain(text.span(), "this is no place of a key")
            .help(format!("accepted: {}", accepted_keys()))
    })
}

fn accepted_keys() -> String {
    let kinds = KeySource::KINDS.map(|(kind, what)| format!("\"{kind}:{what}\"")).join(", ");
    format!("{kinds}, or \"embedded\", which hides the code from nobody who has the launcher")
}
