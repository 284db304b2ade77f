//! `[package.metadata.pyrmware]` of the launcher's `Cargo.toml` -> [`Device`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use toml::Spanned;

use super::licenses::{self, Licenses};
use super::memory::{self, Memory};
use super::package::{self, Package};
use super::service::{self, Service};
use super::source::{Complaint, Source};
use super::update::{self, Update};
use super::{Device, Extensions, Link, RunBy, raw};

/// Keys of `[tool.pyrmware]`, which are often looked for here.
const PYTHON_SIDE: [&str; 8] =
    ["budget", "entry", "include", "optimize", "protect", "prune", "sdists", "verify"];

/// The device always there: the machine that builds.
pub const HOST: &str = "host";

/// The launcher's side, checked.
#[derive(Debug)]
pub struct DeviceSide {
    /// Where the application is, absolute, if it is said.
    pub python_app: Option<PathBuf>,
    /// Every device by name; [`HOST`] is one of them.
    pub devices: BTreeMap<String, Device>,
    /// Those that have a table.
    pub named: Vec<String>,
}

impl DeviceSide {
    /// Reads and checks the launcher's `Cargo.toml`.
    pub fn load(manifest: &Path, root: &Path) -> Result<DeviceSide> {
        let folder = manifest.parent().unwrap_or(root);
        Ok(check(&Source::read(manifest, root)?, folder)?)
    }

    /// The device of this name.
    pub fn device(mut self, name: &str) -> Result<Device> {
        match self.devices.remove(name) {
            Some(device) => Ok(device),
            None => bail!(
                "there is no device {name:?}; app/Cargo.toml has {}, and another one is a table \
                 [package.metadata.pyrmware.device.{name}]",
                self.devices.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
            ),
        }
    }
}

pub(super) fn check(source: &Source, folder: &Path) -> Result<DeviceSide, Complaint> {
    let file: raw::CargoToml = source.parse(elsewhere)?;
    let ours = file.package.metadata.pyrmware;
    let memory = ours.memory.as_ref().map(|table| memory::check(source, table)).transpose()?;
    let has_zygote = memory.as_ref().is_some_and(Memory::has_zygote);
    let check_service = |table| service::check(source, table, has_zygote);
    let service = ours.service.as_ref().map(check_service).transpose()?.unwrap_or_default();
    let update = ours.update.as_ref().map(|table| update::check(source, table)).transpose()?;
    let licenses = licenses::check(source, &ours.licenses)?;
    let package = package::check(source, &ours.package)?;
    let whole = Whole { locked_down: ours.locked_down, memory, service, update, licenses, package };
    let mut devices = BTreeMap::new();
    for (name, device) in ours.device {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.get_ref().is_empty() || !name.get_ref().chars().all(plain) {
            return Err(source
                .complain(name.span(), "this is no name for a device; a folder is named after it")
                .help("accepted: ASCII letters, digits, - and _"));
        }
        let checked = self::device(source, folder, name.get_ref(), &device, &whole)?;
        devices.insert(name.into_inner(), checked);
    }
    let named = devices.keys().cloned().collect();
    if !devices.contains_key(HOST) {
        let host = device(source, folder, HOST, &raw::Device::default(), &whole)?;
        devices.insert(HOST.into(), host);
    }
    let python_app = ours.python_app.map(|path| folder.join(path.get_ref()));
    Ok(DeviceSide { python_app, devices, named })
}

fn elsewhere(path: &str) -> Option<String> {
    let key = path.strip_prefix("package.metadata.pyrmware.")?;
    let first = key.split('.').next()?;
    PYTHON_SIDE.contains(&first).then(|| {
        let table = match first {
            "entry" | "include" | "sdists" => String::new(),
            table => format!(".{table}"),
        };
        format!("it belongs in the application's pyproject.toml under [tool.pyrmware{table}]")
    })
}

fn device(
    source: &Source,
    folder: &Path,
    name: &str,
    device: &raw::Device,
    whole: &Whole,
) -> Result<Device, Complaint> {
    Ok(Device {
        name: name.to_owned(),
        target: device.target.as_ref().map(|text| triple(source, text)).transpose()?,
        python: device.python.as_ref().map(|path| prefix(source, folder, path)).transpose()?,
        link: choose(
            source,
            device.link.as_ref(),
            &[
                ("static", Some(Link::Static)),
                ("shared", Some(Link::Shared)),
                ("system", Some(Link::System)),
            ],
        )?,
        linker: device.linker.as_ref().map(|text| linker(folder, text.get_ref())),
        host: device.host.as_ref().map(|text| text.get_ref().clone()),
        runner: runner(source, device)?,
        extensions: choose(
            source,
            device.extensions.as_ref(),
            &[
                ("auto", Extensions::Auto),
                ("memfd", Extensions::Memfd),
                ("sidecar", Extensions::Sidecar),
            ],
        )?,
        locked_down: whole.locked_down,
        memory: whole.memory.clone(),
        service: whole.service.clone(),
        update: whole.update.clone(),
        licenses: whole.licenses.clone(),
        package: whole.package.clone(),
        architecture: package::architectures(source, &device.architecture)?,
    })
}

/// A path, relative to the launcher's package. Who wants the device's own Python may well try it here.
fn prefix(source: &Source, folder: &Path, path: &Spanned<String>) -> Result<PathBuf, Complaint> {
    match path.get_ref().as_str() {
        "system" => Err(source.complain(path.span(), "this is the prefix of a CPython, a folder").help(
            "link = \"system\" has the launcher use the device's own Python; `python` then names the prefix that \
             the device has, here or in its sysroot",
        )),
        text => Ok(folder.join(text)),
    }
}

fn runner(source: &Source, device: &raw::Device) -> Result<RunBy, Complaint> {
    let words = [("qemu", RunBy::Qemu), ("ssh", RunBy::Ssh)];
    let by = choose(source, device.runner.as_ref(), &words)?;
    match (&device.runner, by, &device.host) {
        (Some(text), RunBy::Ssh, None) => Err(source
            .complain(text.span(), "nothing says where the device is")
            .help("host = \"root@192.168.1.7\" does, or a name of ssh's configuration")),
        _ => Ok(by),
    }
}

/// A program on `PATH`, or a path relative to the launcher's package.
fn linker(folder: &Path, text: &str) -> PathBuf {
    if text.contains('/') { folder.join(text) } else { PathBuf::from(text) }
}

/// What is said for all devices.
struct Whole {
    locked_down: bool,
    memory: Option<Memory>,
    service: Service,
    update: Option<Update>,
    licenses: Licenses,
    package: Package,
}

/// The value of a key that takes one of a few words; its default when it is not there.
pub(super) fn choose<T: Copy + Default>(
    source: &Source,
    text: Option<&Spanned<String>>,
    accepted: &[(&str, T)],
) -> Result<T, Complaint> {
    text.map_or_else(|| Ok(T::default()), |text| one_of(source, text, accepted))
}

/// What one of a few words stands for.
pub(super) fn one_of<T: Copy>(
    source: &Source,
    text: &Spanned<String>,
    accepted: &[(&str, T)],
) -> Result<T, Complaint> {
    match accepted.iter().find(|(word, _)| word == text.get_ref()) {
        Some((_, value)) => Ok(*value),
        None => {
            let words: Vec<&str> = accepted.iter().map(|(word, _)| *word).collect();
            Err(source
                .complain(text.span(), "this version accepts no such value here")
                .nearest(text.get_ref(), &words))
        }
    }
}

fn triple(source: &Source, text: &Spanned<String>) -> Result<String, Complaint> {
    if is_triple(text.get_ref()) {
        return Ok(text.get_ref().clone());
    }
    Err(source.complain(text.span(), "this is no target triple").help(
        "accepted: a name that `rustc --print target-list` lists, as aarch64-unknown-linux-gnu",
    ))
}

/// Whether it has a triple's shape; rustc knows the rest.
pub fn is_triple(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
    (2..=5).contains(&parts.len())
        && parts.iter().all(|part| !part.is_empty() && part.chars().all(plain))
}
