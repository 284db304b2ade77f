//! `pyproject.toml`, `app/Cargo.toml` and flags -> [`Config`]: checked intent, no effects.

mod device_side;
mod leakcheck;
mod licenses;
mod memory;
mod package;
mod protect;
mod python_side;
mod raw;
mod service;
mod source;
pub mod trace;
mod update;
mod workspace;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::dist::collect::names::outward;
use crate::paths::Paths;
use crate::python::version::Version;

pub use device_side::HOST;
pub use leakcheck::{Leakcheck, Scenario};
pub use licenses::Licenses;
pub use memory::Memory;
pub use package::{Format, Init, Package, is_package, is_person, is_user};
pub use protect::{KeySource, Mode, Protect};
pub use service::Service;
pub use update::Update;
pub use workspace::{Workspace, workspace};

/// What to build, for which device, how.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// The application's folder, with its pyproject.toml [default: what app/Cargo.toml says]
    #[arg(long, value_name = "DIR")]
    pub project: Option<PathBuf>,
    /// A device of app/Cargo.toml, or `host`
    #[arg(long, value_name = "NAME", default_value = device_side::HOST)]
    pub device: String,
    /// Rust target of the launcher [default: the device's]
    #[arg(long, value_name = "TRIPLE")]
    pub target: Option<String>,
    /// Interpreter to put in: the prefix of any CPython [default: the device's, or found]
    #[arg(long, value_name = "PREFIX")]
    pub python: Option<PathBuf>,
    /// The image folder [default: target/dist/DEVICE/APP]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Fail when the lock is missing or out of date, instead of writing it
    #[arg(long)]
    pub locked: bool,
    /// Use no network
    #[arg(long)]
    pub offline: bool,
    /// Both: --locked and --offline
    #[arg(long)]
    pub frozen: bool,
}

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
    /// Where packages are built from source, if not here.
    pub builder: Option<Builder>,
    /// The image folder, absolute.
    pub out: PathBuf,
}

/// A container of the device's kind, for what no cross compiler can build.
#[derive(Debug, Clone)]
pub struct Builder {
    /// Who runs it: podman, docker.
    pub engine: PathBuf,
    /// How it is told to run one, up to what belongs to the work itself.
    pub run: Vec<String>,
    /// The image, as the user names it.
    pub image: String,
    /// What is in the image, in the engine's words.
    pub id: String,
}

impl Config {
    /// Reads the workspace's and the application's files and applies the flags.
    ///
    /// # Errors
    /// There is no such workspace, project or device, or a file says something that cannot be meant.
    pub fn load(flags: &Flags) -> Result<Config> {
        Config::within(workspace()?.paths, flags)
    }

    /// As [`Config::load`], for each device that has a table, by name; for [`HOST`] where none has.
    ///
    /// # Errors
    /// As there.
    pub fn of_all_devices(flags: &Flags) -> Result<Vec<Config>> {
        let paths = workspace()?.paths;
        let mut named = device_side::DeviceSide::load(&paths.app_manifest(), &paths.root)?.named;
        if named.is_empty() {
            named.push(HOST.to_owned());
        }
        let of = |device| Config::within(paths.clone(), &Flags { device, ..flags.clone() });
        named.into_iter().map(of).collect()
    }

    /// As [`Config::load`], in a workspace that is known.
    ///
    /// # Errors
    /// As there.
    pub fn within(paths: Paths, flags: &Flags) -> Result<Config> {
        let side = device_side::DeviceSide::load(&paths.app_manifest(), &paths.root)?;
        let dir = match (&flags.project, &side.python_app) {
            (Some(dir), _) | (None, Some(dir)) => dir
                .canonicalize()
                .with_context(|| format!("there is no application in {}", dir.display()))?,
            (None, None) => bail!(
                "nothing says which application: give --project DIR, or python-app in \
                 [package.metadata.pyrmware] of {}",
                paths.app_manifest().display()
            ),
        };
        let project = python_side::load(&dir, &paths.root)?;
        let mut device = side.device(&flags.device)?;
        if let Some(target) = &flags.target {
            if !device_side::is_triple(target) {
                bail!("--target {target}: this is no target triple, as aarch64-unknown-linux-gnu");
            }
            device.target = Some(target.clone());
        }
        if device.update.is_some() {
            check_update(&project, &device, &paths)?;
        }
        if let Some(prefix) = &flags.python {
            device.python = Some(absolute(prefix)?);
        }
        let out = match &flags.out {
            Some(out) => absolute(out)?,
            None => paths.image(&device.name, &project.name),
        };
        let resolution = Resolution {
            locked: flags.locked || flags.frozen,
            offline: flags.offline || flags.frozen,
        };
        Ok(Config { paths, project, device, resolution, builder: None, out })
    }
}

/// What updates need from elsewhere.
fn check_update(project: &Project, device: &Device, paths: &Paths) -> Result<()> {
    let manifest = paths.app_manifest();
    let table = format!("[package.metadata.pyrmware.update] of {}", manifest.display());
    if project.protect.sign.is_none() {
        bail!(
            "updates are taken from whoever holds the launcher's key, and there is none: say sign = \"KEY\" in \
             [tool.pyrmware.protect] of {}, or leave out {table}",
            project.dir.join("pyproject.toml").display()
        );
    }
    if device.extensions == Extensions::Sidecar {
        bail!(
            "device {} has extension modules beside the launcher, and an update is one file: leave out \
             extensions = \"sidecar\", or {table}",
            device.name
        );
    }
    if project.version.parse::<Version>().is_err() {
        bail!(
            "version {:?} of {} cannot be compared with that of an update; it needs to be as PEP 440 says, 1.2.3",
            project.version,
            project.dir.join("pyproject.toml").display()
        );
    }
    Ok(())
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} is no path", path.display()))
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
    /// `[project] license` where it is an SPDX expression, or empty.
    pub license: String,
    /// `Name <address>` of the first of `[project]` maintainers, else authors, that has both.
    pub maintainer: Option<String>,
    /// `[project] requires-python`, a PEP 440 specifier, or empty.
    pub requires_python: String,
    /// `[project] dependencies`, PEP 508.
    pub dependencies: Vec<String>,
    /// `[project.scripts]` and `[project.entry-points.GROUP]`: group -> name -> "module:attr".
    pub entry_points: BTreeMap<String, BTreeMap<String, String>>,
    /// What runs as the application.
    pub entry: pyrmware_payload::Entry,
    /// `include`: glob patterns, relative to `dir`, of resources that no package owns.
    pub include: Vec<String>,
    /// `sdists`: packages that may be built from source.
    pub sdists: Vec<String>,
    /// `[tool.pyrmware.prune]`.
    pub prune: Prune,
    /// `pyrmware.trace`, beside `pyproject.toml`.
    pub trace: trace::Trace,
    /// `[tool.pyrmware.optimize]`.
    pub optimize: Optimize,
    /// `[tool.pyrmware.protect]`.
    pub protect: Protect,
    /// `[tool.pyrmware.verify] command`: arguments of the self-test; none: the launcher is only checked to start.
    pub verify: Option<Vec<String>>,
    /// `[tool.pyrmware.verify] imports`: whether every module that ships is imported.
    pub verify_imports: bool,
    /// `[tool.pyrmware.budget]`.
    pub budget: Budget,
    /// `[tool.pyrmware.leakcheck]`.
    pub leakcheck: Leakcheck,
}

/// `[tool.pyrmware.budget]`: what the launcher may take.
#[derive(Debug, Clone, Copy, Default)]
pub struct Budget {
    /// Bytes of the launcher.
    pub size: Option<u64>,
    /// From the start of the process to the first line of main.
    pub startup: Option<Duration>,
}

/// `[tool.pyrmware.prune]`: module names, `name` for one module and its parents, `name.*` for all below too.
#[derive(Debug, Clone, Default)]
pub struct Prune {
    /// How much is left out.
    pub level: Level,
    /// Always in.
    pub keep: Vec<String>,
    /// Never in.
    pub drop: Vec<String>,
    /// Left out, asked for, and done without.
    pub allow_missing: Vec<String>,
    /// What imports by a computed name may ask for: "module:function", "module:line" or "module" -> modules.
    pub dynamic: BTreeMap<String, Vec<String>>,
}

/// `[tool.pyrmware.prune] level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Every import is followed, those for other platforms and versions as well.
    All,
    /// Without what the target cannot take: other platforms and versions, self-tests, help.
    Safe,
    /// Without features of the standard library, too, that programs on devices hardly use.
    #[default]
    Balanced,
    /// Only what a trace has seen, and what that imports when it is imported.
    Traced,
}

impl Level {
    /// As it is written.
    pub const NAMES: [(&str, Level); 4] = [
        ("all", Level::All),
        ("safe", Level::Safe),
        ("balanced", Level::Balanced),
        ("traced", Level::Traced),
    ];
}

/// `[tool.pyrmware.optimize]`.
#[derive(Debug, Clone, Default)]
pub struct Optimize {
    /// What bytecode tells besides what it does, where no package says otherwise.
    pub shape: Shape,
    /// The same for single packages and modules.
    pub packages: BTreeMap<String, Shape>,
    /// What is bound when it is first asked for.
    pub lazy_imports: LazyImports,
    /// Whether regular expressions are compiled by the builder.
    pub patterns: bool,
}

impl Optimize {
    /// What [`Optimize::packages`] says of a module: the longest name that it is or lies in, and that
    /// says anything of this, wins.
    pub fn own<T>(&self, module: &str, said: impl Fn(&Shape) -> Option<T>) -> Option<T> {
        outward(module).find_map(|name| said(self.packages.get(name)?))
    }
}

/// What bytecode tells besides what it does; none: nothing is said of it here.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// What becomes of docstrings.
    pub docstrings: Option<Docstrings>,
    /// Whether `assert` statements run.
    pub assertions: Option<bool>,
    /// Whether tracebacks tell the line rather than the one in which a function begins.
    pub lines: Option<bool>,
    /// Whether tracebacks can point at a part of a line.
    pub columns: Option<bool>,
    /// Whether code knows its file rather than its module.
    pub file_names: Option<bool>,
    /// Whether local variables have their names.
    pub names: Option<bool>,
}

/// Which docstrings ship.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Docstrings {
    /// The application's, and those of distributions and modules that read docstrings of their own.
    #[default]
    Auto,
    /// All.
    Keep,
    /// None.
    Strip,
}

/// Where lazy imports are used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LazyImports {
    /// Wherever they are harmless.
    #[default]
    Auto,
    /// Nowhere.
    Off,
    /// In these top-level packages, where they are harmless.
    Packages(Vec<String>),
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
    /// Who links for another machine; none: what cargo is configured with, else GNU's cross compiler.
    pub linker: Option<PathBuf>,
    /// Whom ssh calls to reach it.
    pub host: Option<String>,
    /// Who runs its launchers for the machine that builds.
    pub runner: RunBy,
    /// Where extension modules go.
    pub extensions: Extensions,
    /// Whether the launcher ignores `PYRMWARE_*`: `[package.metadata.pyrmware] locked-down`.
    pub locked_down: bool,
    /// What is done about memory: `[package.metadata.pyrmware.memory]`; none: nothing.
    pub memory: Option<Memory>,
    /// What it is to those who start it and those who ask it: `[package.metadata.pyrmware.service]`.
    pub service: Service,
    /// How updates of the application are taken: `[package.metadata.pyrmware.update]`; none: they are not.
    pub update: Option<Update>,
    /// Which licences may be in the image: `[package.metadata.pyrmware.licenses]`.
    pub licenses: Licenses,
    /// What packages of it say: `[package.metadata.pyrmware.package]`.
    pub package: Package,
    /// Its architecture, where a format's own word for it is not meant.
    pub architecture: BTreeMap<Format, String>,
}

/// Who runs a device's launchers for the machine that builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RunBy {
    /// That machine itself, or qemu's user mode.
    #[default]
    Qemu,
    /// The device.
    Ssh,
}

/// How libpython is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Inside the launcher.
    Static,
    /// `libpython3.X.so` beside the launcher, found by `$ORIGIN`.
    Shared,
    /// The device's own, with its standard library.
    System,
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

#[cfg(test)]
mod tests;
