//! `[package.metadata.pyrmware.package]`: what packages of the launcher say, and what starts it there.

use std::collections::BTreeMap;

use toml::Spanned;

use super::device_side::one_of;
use super::python_side::size;
use super::raw;
use super::source::{Complaint, Source};

/// The kinds of packages that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Format {
    /// A compressed tree of files with every kind of service file, for whoever builds images
    Tar,
    /// Debian's, for dpkg and apt
    Deb,
    /// opkg's: OpenWrt up to 24.10, Yocto
    Ipk,
    /// Alpine's and that of OpenWrt from 25.12 on, unsigned
    Apk,
    /// For rpm and dnf: Fedora's kin, Yocto
    Rpm,
}

/// Who starts services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Init {
    /// A unit.
    Systemd,
    /// A script with an LSB header.
    Sysv,
    /// A script for openrc-run.
    Openrc,
    /// A script of OpenWrt's.
    Procd,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 5] = [Format::Tar, Format::Deb, Format::Ipk, Format::Apk, Format::Rpm];

    /// As it is written, and how its files end.
    pub fn name(self) -> &'static str {
        match self {
            Format::Tar => "tar",
            Format::Deb => "deb",
            Format::Ipk => "ipk",
            Format::Apk => "apk",
            Format::Rpm => "rpm",
        }
    }
}

impl Init {
    /// All of them.
    pub const ALL: [Init; 4] = [Init::Systemd, Init::Sysv, Init::Openrc, Init::Procd];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Init::Systemd => "systemd",
            Init::Sysv => "sysv",
            Init::Openrc => "openrc",
            Init::Procd => "procd",
        }
    }
}

/// What packages say, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Package {
    /// Without `--format`.
    pub formats: Vec<Format>,
    /// Of the package and the service; none: the project's.
    pub name: Option<String>,
    /// `Name <address>`; none: the first of `[project]` maintainers, else authors.
    pub maintainer: Option<String>,
    /// One line; none: the project's.
    pub description: Option<String>,
    /// An SPDX expression; none: the project's.
    pub license: Option<String>,
    /// A web address.
    pub homepage: Option<String>,
    /// Above `bin/`, `lib/` and `share/`, absolute; none: `/usr`.
    pub prefix: Option<String>,
    /// Arguments with which the service is started.
    pub arguments: Vec<String>,
    /// As whom the service runs; none: a user named as the package.
    pub user: Option<String>,
    /// Its folder below `/var/lib`; none: that of `memory.report-dir`, if it is there.
    pub state: Option<String>,
    /// Other folders that it may write to, absolute.
    pub writable: Vec<String>,
    /// Whether the application calls `pyrmware.ready()`.
    pub notify: bool,
    /// systemd's `MemoryMax=`, in bytes.
    pub memory_max: Option<u64>,
    /// Lines at the end of the unit's `[Service]`.
    pub unit: Vec<String>,
    /// Who starts it, where the format's own choice is not meant; empty: nobody.
    pub init: BTreeMap<Format, Vec<Init>>,
    /// What it needs, as the format writes it, instead of what is found.
    pub depends: BTreeMap<Format, Vec<String>>,
}

pub(super) fn check(source: &Source, raw: &raw::Packaging) -> Result<Package, Complaint> {
    let line = |text: &Option<Spanned<String>>| {
        text.as_ref().map(|text| one_line(source, text)).transpose()
    };
    let formats = raw.formats.iter().map(|text| format(source, text));
    let mut init = BTreeMap::new();
    for (key, names) in &raw.init {
        let names = names.iter().map(|text| one_of(source, text, &Init::ALL.map(by_init)));
        init.insert(format(source, key)?, names.collect::<Result<_, _>>()?);
    }
    let mut depends = BTreeMap::new();
    for (key, names) in &raw.depends {
        let names = names.iter().map(|text| one_line(source, text));
        depends.insert(format(source, key)?, names.collect::<Result<_, _>>()?);
    }
    Ok(Package {
        formats: formats.collect::<Result<_, _>>()?,
        name: checked(source, &raw.name, is_package, "this is no name for a package", PACKAGES)?,
        maintainer: checked(
            source,
            &raw.maintainer,
            is_person,
            "this is no name with an address",
            PERSONS,
        )?,
        description: line(&raw.description)?,
        license: line(&raw.license)?,
        homepage: line(&raw.homepage)?,
        prefix: checked(source, &raw.prefix, is_folder, "this is no folder of a device", FOLDERS)?,
        arguments: raw
            .arguments
            .iter()
            .map(|text| one_line(source, text))
            .collect::<Result<_, _>>()?,
        user: checked(source, &raw.user, is_user, "this is no name for a user", USERS)?,
        state: checked(source, &raw.state, is_state, "this is no folder below /var/lib", STATES)?,
        writable: raw
            .writable
            .iter()
            .map(|text| fits(source, text, is_folder, "this is no folder of a device", FOLDERS))
            .collect::<Result<_, _>>()?,
        notify: raw.notify,
        memory_max: raw.memory_max.as_ref().map(|value| size(source, value)).transpose()?,
        unit: raw.unit.iter().map(|text| setting(source, text)).collect::<Result<_, _>>()?,
        init,
        depends,
    })
}

const PACKAGES: &str =
    "accepted: lower-case ASCII letters, digits, + - and . after a letter or digit, two at least";
const PERSONS: &str = "accepted: \"Name <name@example.com>\"";
const FOLDERS: &str = "accepted: an absolute path without spaces, as /usr";
const USERS: &str = "accepted: lower-case ASCII letters, digits, - and _ after a letter or _, 31 at most; or \"root\"";
const STATES: &str = "accepted: a name, as \"app\" for /var/lib/app";

/// Whether packages of all formats can have this name.
pub fn is_package(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() >= 2
        && text.starts_with(plain)
        && text.chars().all(|c| plain(c) || "+-.".contains(c))
}

/// Whether systems of all kinds can have a user with this name.
pub fn is_user(text: &str) -> bool {
    let start = |c: char| c.is_ascii_lowercase() || c == '_';
    (1..32).contains(&text.len())
        && text.starts_with(start)
        && text.chars().all(|c| start(c) || c.is_ascii_digit() || c == '-')
}

/// Whether this is somebody with an address.
pub fn is_person(text: &str) -> bool {
    let inside = text.strip_suffix('>').and_then(|text| text.split_once(" <"));
    inside.is_some_and(|(name, address)| {
        !name.trim().is_empty()
            && address.contains('@')
            && !text.contains(['\n', '\r'])
            && !address.contains(['<', '>', ' '])
    })
}

fn is_folder(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+@-".contains(c);
    let parts = text.strip_prefix('/').map(|rest| rest.split('/'));
    parts.is_some_and(|mut parts| {
        parts.all(|part| !part.is_empty() && part != "." && part != ".." && part.chars().all(plain))
    })
}

fn is_state(text: &str) -> bool {
    !text.contains('/') && is_folder(&format!("/{text}"))
}

fn checked(
    source: &Source,
    text: &Option<Spanned<String>>,
    good: impl Fn(&str) -> bool,
    wrong: &str,
    accepted: &str,
) -> Result<Option<String>, Complaint> {
    text.as_ref().map(|text| fits(source, text, good, wrong, accepted)).transpose()
}

fn fits(
    source: &Source,
    text: &Spanned<String>,
    good: impl Fn(&str) -> bool,
    wrong: &str,
    accepted: &str,
) -> Result<String, Complaint> {
    match good(text.get_ref()) {
        true => Ok(text.get_ref().clone()),
        false => Err(source.complain(text.span(), wrong).help(accepted)),
    }
}

/// Files of control and service files are made of lines.
fn one_line(source: &Source, text: &Spanned<String>) -> Result<String, Complaint> {
    let good = |text: &str| !text.trim().is_empty() && !text.contains(['\n', '\r', '\0']);
    fits(source, text, good, "this is no line of text", "accepted: one line, not empty")
}

fn setting(source: &Source, text: &Spanned<String>) -> Result<String, Complaint> {
    let line = one_line(source, text)?;
    let key = line.split_once('=').map_or("", |(key, _)| key);
    match !key.is_empty() && key.chars().all(|c| c.is_ascii_alphabetic()) {
        true => Ok(line),
        false => Err(source
            .complain(text.span(), "this is no setting of a unit")
            .help("accepted: \"Name=value\", as systemd.exec(5) lists them")),
    }
}

fn by_init(init: Init) -> (&'static str, Init) {
    (init.name(), init)
}

/// The format of this name.
pub(super) fn format(source: &Source, text: &Spanned<String>) -> Result<Format, Complaint> {
    one_of(source, text, &Format::ALL.map(|format| (format.name(), format)))
}

/// A device's architecture, as the formats call it.
pub(super) fn architectures(
    source: &Source,
    raw: &BTreeMap<Spanned<String>, Spanned<String>>,
) -> Result<BTreeMap<Format, String>, Complaint> {
    let plain = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
    };
    let accepted = "accepted: ASCII letters, digits, _ - and .";
    raw.iter()
        .map(|(key, text)| {
            let name = fits(source, text, plain, "this is no architecture", accepted)?;
            Ok((format(source, key)?, name))
        })
        .collect()
}
