//! `cargo xtask sysroot debian SUITE ARCH`: what a launcher for another machine is built against, from
//! Debian's packages, which are unpacked into a folder. Nothing is installed, and no root is needed.

pub(crate) mod apt;
pub(crate) mod unpack;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::config;
use crate::dist::exchange;
use crate::paths::Paths;
use crate::target::{TARGETS, Target};
use crate::ui::{self, Ui};
use apt::{Apt, Source};

/// A CPython with its headers and static library, and what is compiled and linked for it.
const PACKAGES: [&str; 3] = ["libpython3-dev", "libc6-dev", "libstdc++6"];
/// Says that a folder is ours to replace, and what is in it.
const MARK: &str = "pyrmware-sysroot.txt";

/// Make a folder with a CPython and the libraries of a device, which a launcher is built against
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask sysroot debian bookworm arm64
  cargo xtask sysroot debian trixie armhf --package libgpiod2 --out sysroots/gateway

Debian's packages come from the mirror of this machine's own sources of packages, into a folder; nothing is
installed. stdout has the table of a device for app/Cargo.toml.")]
pub struct Args {
    #[command(subcommand)]
    from: Distribution,
}

#[derive(Debug, clap::Subcommand)]
enum Distribution {
    /// From Debian's packages, with the `apt-get` of this machine
    Debian(Debian),
}

/// What to get, and where from.
#[derive(Debug, clap::Args)]
struct Debian {
    /// Debian's release: bookworm, trixie, …
    suite: String,
    /// Debian's name of the architecture: arm64, armhf, amd64, riscv64
    arch: String,
    /// Another package, with what it depends on; may be repeated
    #[arg(long, value_name = "NAME")]
    package: Vec<String>,
    /// The folder [default: target/sysroots/SUITE-ARCH]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A mirror of Debian [default: that of this machine's sources]
    #[arg(long, value_name = "URL", requires = "keyring")]
    mirror: Option<String>,
    /// The keys that sign its packages
    #[arg(long, value_name = "FILE", requires = "mirror")]
    keyring: Option<PathBuf>,
}

impl Args {
    /// Makes the folder; the table of a device that uses it goes to stdout.
    ///
    /// # Errors
    /// What apt, dpkg or the file system have to say.
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let Distribution::Debian(debian) = self.from;
        let paths = config::workspace()?.paths;
        let target = debian.target()?;
        let made = debian.make(&paths, ui)?;
        let name = format!("{}-{}", debian.suite, debian.arch);
        let python = from_app(&paths, &made.join("usr"));
        let table = format!(
            "[package.metadata.pyrmware.device.{name}]\ntarget = \"{}\"\npython = \"{python}\"",
            target.triple
        );
        let machine =
            json!({"reason": "sysroot", "folder": made, "target": target.triple, "table": table});
        ui.result(table, machine)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Debian {
    fn target(&self) -> Result<Target> {
        let known: Vec<&str> = TARGETS.iter().map(|target| target.debian).collect();
        TARGETS.into_iter().find(|target| target.debian == self.arch).with_context(|| {
            format!(
                "{} is no architecture of this version: it knows {}",
                self.arch,
                known.join(", ")
            )
        })
    }

    /// Makes the sysroot aside, then puts it in its place; the last one stays where that fails.
    fn make(&self, paths: &Paths, ui: &Ui) -> Result<PathBuf> {
        ensure!(is_name(&self.suite), "{} is no release of Debian, as bookworm is", self.suite);
        apt::require_tools()?;
        let name = format!("{}-{}", self.suite, self.arch);
        let place = match &self.out {
            Some(out) => std::path::absolute(out)?,
            None => paths.sysroots().join(&name),
        };
        refuse_foreign(&place)?;
        let parent = place.parent().context("a sysroot cannot be the root folder")?;
        std::fs::create_dir_all(parent)
            .with_context(|| format!("cannot make {}", parent.display()))?;
        let aside = tempfile::Builder::new().prefix(".new-").tempdir_in(parent);
        let aside = aside.with_context(|| format!("cannot write into {}", parent.display()))?;
        let root = aside.path().join("root");

        let sources = match (&self.mirror, &self.keyring) {
            (Some(mirror), Some(keyring)) => vec![Source::given(mirror, &self.suite, keyring)?],
            _ => apt::sources(&self.suite)?,
        };
        let apt = Apt::new(&aside.path().join("apt"), &[&self.arch], &sources)?;
        let stage =
            ui.stage("update", "Updating", format_args!("the lists of Debian {}", self.suite));
        let lacking = apt.update(&sources, &self.suite)?;
        stage.finish();
        lacking.iter().for_each(|lacking| ui.warning(lacking));
        let packages: Vec<&str> =
            PACKAGES.into_iter().chain(self.package.iter().map(String::as_str)).collect();
        let what = format!("{} for {} and what they depend on", packages.join(" "), self.arch);
        let stage = ui.stage("fetch", "Fetching", &what);
        let files = apt.fetch(&packages)?;
        stage.finish();
        let stage = ui.stage("unpack", "Unpacking", format_args!("{} packages", files.len()));
        unpack::into(&files, &root)?;
        std::fs::write(root.join(MARK), contents(self, &files))
            .with_context(|| format!("cannot write into {}", root.display()))?;
        stage.finish();
        put(&root, &place)?;
        ui.status("Finished", format_args!("{} in {}", ui::bytes(size(&place)), place.display()));
        Ok(place)
    }
}

/// What the folder says of itself: where it comes from, and every package with its version.
fn contents(debian: &Debian, files: &[PathBuf]) -> String {
    let mut text = format!(
        "A sysroot of Debian {} for {}, made by `cargo xtask sysroot`, which may replace it.\n\n",
        debian.suite, debian.arch
    );
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().replace("%3a", ":");
        text += name.strip_suffix(".deb").unwrap_or(&name);
        text.push('\n');
    }
    text
}

/// `--out ~` must not cost anybody a home folder.
fn refuse_foreign(place: &Path) -> Result<()> {
    let is_empty = || std::fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_none());
    ensure!(
        !place.exists() || place.join(MARK).is_file() || is_empty(),
        "{} is there and is no sysroot of `cargo xtask sysroot` (it has no {MARK}); name a new or empty folder \
         with --out",
        place.display()
    );
    Ok(())
}

/// Puts the new folder in its place, in one step; what was there lies where the new one was.
fn put(root: &Path, place: &Path) -> Result<()> {
    let act = || format!("cannot put the new sysroot in its place, {}", place.display());
    match place.exists() {
        true => exchange(root, place).with_context(act),
        false => std::fs::rename(root, place).with_context(act),
    }
}

/// A path as app/Cargo.toml names it: relative where it is in the workspace, so that clones agree.
fn from_app(paths: &Paths, path: &Path) -> String {
    let inside = path.strip_prefix(&paths.root).ok();
    let up = paths.app.strip_prefix(&paths.root).map(|app| app.components().count());
    match (inside, up) {
        (Some(inside), Ok(up)) => format!("{}{}", "../".repeat(up), inside.display()),
        _ => path.display().to_string(),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Bytes of the files below a folder.
fn size(folder: &Path) -> u64 {
    let files = walkdir::WalkDir::new(folder).into_iter().flatten();
    files
        .filter(|entry| entry.file_type().is_file())
        .filter_map(|entry| Some(entry.metadata().ok()?.len()))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_names_its_sysroot_from_the_launcher_s_package() {
        let root = PathBuf::from("/work");
        let paths = Paths { target: root.join("target"), app: root.join("app"), root };
        let at = |path: &str| from_app(&paths, Path::new(path));
        assert_eq!(
            at("/work/target/sysroots/bookworm-arm64/usr"),
            "../target/sysroots/bookworm-arm64/usr"
        );
        assert_eq!(at("/srv/sysroot/usr"), "/srv/sysroot/usr");
    }

    #[test]
    fn only_a_sysroot_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        assert!(refuse_foreign(folder.path()).is_ok());
        std::fs::write(folder.path().join("thesis.txt"), "").unwrap();
        let error = refuse_foreign(folder.path()).unwrap_err().to_string();
        assert!(error.contains("is no sysroot of `cargo xtask sysroot`"), "{error}");
        std::fs::write(folder.path().join(MARK), "").unwrap();
        assert!(refuse_foreign(folder.path()).is_ok());
    }
}
