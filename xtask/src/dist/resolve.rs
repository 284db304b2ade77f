//! Config -> [`Plan`]: absolute tools, interpreter, target, dependencies locked and hash-checked for the target.

pub(crate) mod cross;
pub(super) mod explain;
mod install;
mod libraries;
mod lock;
mod normalise;
mod pylock;
mod relock;
mod requirements;
mod runner;
mod sources;
pub(crate) mod tool;
mod wheels;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::config::{Config, RunBy};
use crate::dist::parallel;
use crate::python::{self, Choice, Interpreter, sysroot};
use crate::target::Target;

pub use cross::Cross;
pub use libraries::link_plan;
pub use runner::Runner;

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
    /// What it takes to build for another machine; none: the launcher is for this one.
    pub cross: Option<Cross>,
    /// Who runs the launcher for this machine; none: it does so itself, or nobody can.
    pub runner: Option<Runner>,
    /// The cargo to call (`$CARGO`).
    pub cargo: PathBuf,
    /// Where the dependencies' versions and hashes come from, or are now written.
    pub lock: Option<PathBuf>,
    /// The dependencies, unpacked for the target as an installer would (`--target`), hash-checked; none: no dependencies.
    pub site: Option<PathBuf>,
    /// The dependencies that apply to the target: normalised name and version, sorted.
    pub distributions: Vec<(String, String)>,
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
    /// The device has the library, and the standard library that belongs to it.
    System(PathBuf),
}

impl LinkPlan {
    /// Whether libpython is inside the launcher.
    pub fn is_static(&self) -> bool {
        matches!(self, LinkPlan::StaticPic(_) | LinkPlan::StaticFixed(_))
    }

    /// Whether the interpreter is the device's own, of which nothing ships.
    pub fn is_system(&self) -> bool {
        matches!(self, LinkPlan::System(_))
    }

    /// The file that is linked.
    pub fn library(&self) -> &Path {
        match self {
            LinkPlan::StaticPic(file)
            | LinkPlan::StaticFixed(file)
            | LinkPlan::Shared(file)
            | LinkPlan::System(file) => file,
        }
    }
}

impl Plan {
    /// Where on the device a file of its interpreter is.
    pub fn on_device(&self, path: &Path) -> PathBuf {
        let below = self.cross.as_ref().and_then(|cross| path.strip_prefix(&cross.sysroot).ok());
        below.map_or_else(|| path.to_owned(), |below| Path::new("/").join(below))
    }

    /// Where the device has its standard library, if the launcher is to take that.
    pub fn stdlib_on_device(&self) -> Option<[PathBuf; 2]> {
        let Interpreter { stdlib, dynload, .. } = &self.interpreter;
        self.link.is_system().then(|| [stdlib, dynload].map(|folder| self.on_device(folder)))
    }
}

/// Looks everything up, and installs the dependencies where that has not been done.
///
/// # Errors
/// No interpreter that can go in, no lock that covers the dependencies, or what the installer has to say.
pub fn run(mut config: Config) -> Result<Plan> {
    let (choice, target) = interpreter(&config)?;
    let (interpreter, mut notes) = (choice.interpreter, choice.notes);
    let cross = is_foreign(&config, &target)
        .then(|| Cross::of(&target, &interpreter, &config.device, &config.paths))
        .transpose()?;
    notes.extend(cross.as_ref().and_then(|cross| without_patterns(&mut config, cross)));
    let (link, note) = link_plan(&interpreter, config.device.link, cross.as_ref())?;
    notes.extend(note);
    if link.is_system() {
        // It is `re` of the payload that takes them.
        config.project.optimize.patterns = false;
    }
    let epoch = epoch(std::env::var("SOURCE_DATE_EPOCH").ok().as_deref())?;
    let mut plan = Plan {
        target,
        interpreter,
        link,
        runner: runner(&config, cross.as_ref())?,
        cross,
        cargo: cargo()?,
        lock: None,
        site: None,
        distributions: Vec::new(),
        notes,
        epoch,
        config,
    };
    if !plan.config.project.dependencies.is_empty() {
        dependencies(&mut plan)?;
    }
    Ok(plan)
}

/// Who runs the launcher, where this machine does not do so itself.
fn runner(config: &Config, cross: Option<&Cross>) -> Result<Option<Runner>> {
    match (config.device.runner, &config.device.host) {
        (RunBy::Ssh, Some(host)) => Runner::by_ssh(host).map(Some),
        _ => Ok(cross.and_then(|cross| Runner::of(&cross.target, &cross.sysroot))),
    }
}

/// The interpreter that goes in, and the triple of the machine that it is for.
pub(crate) fn interpreter(config: &Config) -> Result<(Choice, String)> {
    let (python, requires) = (config.device.python.as_deref(), &config.project.requires_python);
    let Some(target) = config.device.target.clone() else {
        let (choice, host) = parallel::both(|| python::choose(python, requires), host_target);
        // First: without Rust nothing else matters.
        let host = host?;
        return Ok((choice?, host));
    };
    if !is_foreign(config, &target) {
        return Ok((python::choose(python, requires)?, target));
    }
    let machine = Target::of(&target)?;
    let prefix = python.with_context(|| {
        format!(
            "nothing says where the Python of device {} is; `cargo xtask sysroot debian bookworm {}` makes a \
             sysroot for it and prints what belongs into {}",
            config.device.name,
            machine.debian,
            config.paths.app_manifest().display()
        )
    })?;
    Ok((python::choose_foreign(prefix, &machine, requires)?, target))
}

/// Whether the launcher is for another machine than this one: another target, or the same with the libraries of
/// a sysroot.
pub(crate) fn is_foreign(config: &Config, target: &str) -> bool {
    let in_sysroot = || config.device.python.as_deref().and_then(sysroot::root_of).is_some();
    config.device.target.is_some()
        && (host_target().is_ok_and(|host| host != target) || in_sysroot())
}

/// Regular expressions are compiled for the engine of the Python that compiles them, whose numbers are as wide as
/// its pointers.
fn without_patterns(config: &mut Config, cross: &Cross) -> Option<String> {
    let patterns = &mut config.project.optimize.patterns;
    let same = u32::from(cross.target.bits) == usize::BITS;
    let asked = std::mem::replace(patterns, *patterns && same);
    (asked && !same).then(|| {
        format!("regular expressions are compiled on the device: it has {} bits", cross.target.bits)
    })
}

/// Whether this machine's processor and kernel run programs of a target.
pub(crate) fn runs_natively(target: &str) -> bool {
    let os = if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS };
    target.split('-').next() == Some(std::env::consts::ARCH) && target.contains(os)
}

/// The rustc that cargo calls.
fn rustc() -> OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

/// Fills in what the plan has of the dependencies.
fn dependencies(plan: &mut Plan) -> Result<()> {
    let tools = tool::Tools::new(&plan.config, &plan.interpreter, plan.cross.as_ref(), plan.epoch);
    let locked = lock::read(&tools)?;
    let site = install::site(&tools, &plan.target, &locked)?;
    let installed = normalise::installed(&site, &plan.interpreter.markers)?;
    plan.notes.extend(tools.note());
    plan.notes.extend(locked.notes);
    let file = locked.file.file_name().unwrap_or_default().display();
    plan.notes
        .extend(installed.lacking.iter().map(|text| format!("{text}: {file} is not complete")));
    plan.distributions = installed.distributions;
    plan.site = Some(site);
    plan.lock = Some(locked.file);
    Ok(())
}

/// The triple of the machine that builds.
pub fn host_target() -> Result<String> {
    rustc_says("host")
}

/// The release of Rust: "1.91.0".
pub(super) fn rust_release() -> Result<String> {
    rustc_says("release")
}

/// Where Rust is: the one on `PATH`, with cargo, and the one in the variable `RUSTC`.
pub(crate) fn rust_sysroots() -> Result<Vec<PathBuf>> {
    let named = std::env::var_os("RUSTC");
    std::iter::once("rustc".into()).chain(named).map(rust_sysroot).collect()
}

fn rust_sysroot(rustc: OsString) -> Result<PathBuf> {
    let path = PathBuf::from(ask_rustc(&rustc, &["--print", "sysroot"])?.trim_end());
    ensure!(path.is_absolute(), "`{} --print sysroot` names no folder", rustc.display());
    Ok(path)
}

fn rustc_says(what: &str) -> Result<String> {
    let rustc = rustc();
    let text = ask_rustc(&rustc, &["-vV"])?;
    let found = text.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(": "));
    found
        .map(str::to_owned)
        .with_context(|| format!("`{} -vV` does not name the {what}", rustc.display()))
}

fn ask_rustc(rustc: &OsStr, args: &[&str]) -> Result<String> {
    let output = Command::new(rustc).args(args).output().with_context(|| {
        format!("cannot start {}; install Rust from rustup.rs", rustc.display())
    })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The cargo that runs us, else the one on PATH.
pub(crate) fn cargo() -> Result<PathBuf> {
    let named = std::env::var_os("CARGO").map(PathBuf::from).filter(|path| path.is_absolute());
    named.map_or_else(|| which::which("cargo").context("cannot find cargo on PATH"), Ok)
}

/// 1980-01-01, the first date that a ZIP can hold, unless the environment names another second.
fn epoch(variable: Option<&str>) -> Result<u64> {
    const FIRST: u64 = 315_532_800;
    match variable {
        None | Some("") => Ok(FIRST),
        Some(text) => match text.trim().parse() {
            Ok(seconds) => Ok(seconds),
            Err(_) => {
                bail!("SOURCE_DATE_EPOCH is `{text}`; it must be a number of seconds since 1970")
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_is_fixed_unless_named() {
        assert_eq!(epoch(None).unwrap(), 315_532_800);
        assert_eq!(epoch(Some("1700000000")).unwrap(), 1_700_000_000);
        let error = epoch(Some("today")).unwrap_err().to_string();
        assert_eq!(
            error,
            "SOURCE_DATE_EPOCH is `today`; it must be a number of seconds since 1970"
        );
    }
}
