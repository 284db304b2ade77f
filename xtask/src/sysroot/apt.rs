//! apt as on a machine of another architecture that has no package yet: lists, archives and status in a
//! folder of its own, sources of packages from this machine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::python::remedy;

/// Where packages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    uri: String,
    suite: String,
    /// The file with the keys that sign the lists; none: all that this machine trusts.
    keyring: Option<PathBuf>,
}

impl Source {
    /// A mirror that the user names.
    pub fn given(uri: &str, suite: &str, keyring: &Path) -> Result<Source> {
        let keyring = keyring
            .canonicalize()
            .with_context(|| format!("cannot find the keyring {}", keyring.display()))?;
        Ok(Source { uri: uri.to_owned(), suite: suite.to_owned(), keyring: Some(keyring) })
    }

    /// Where its lists are.
    fn place(&self) -> String {
        format!("{}/dists/{}/", self.uri.trim_end_matches('/'), self.suite)
    }

    /// The line of a list of sources.
    fn line(&self) -> String {
        let signed = self.keyring.as_ref().map(|file| format!("[signed-by={}] ", file.display()));
        format!("deb {}{} {} main\n", signed.unwrap_or_default(), self.uri, self.suite)
    }
}

/// Says what is missing before anything is fetched.
pub fn require_tools() -> Result<()> {
    for (tool, package) in [("apt-get", "apt"), ("dpkg-deb", "dpkg"), ("tar", "tar")] {
        ensure!(
            which::which(tool).is_ok(),
            "a sysroot is made of Debian's packages with {tool}, which is not on PATH; remedy: {}, or make the \
             sysroot on a Debian machine and copy it",
            remedy::install(&[package.to_owned()])
        );
    }
    Ok(())
}

/// This machine's own sources of Debian's packages, for another release: the release itself, its updates and
/// its security updates, as far as this machine has each.
pub fn sources(suite: &str) -> Result<Vec<Source>> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"]);
    let said = output(command.arg("Created-By: Packages"), "listing this machine's sources")?;
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let found = for_suite(&said, &release, suite, keyring().as_deref());
    ensure!(
        !found.is_empty(),
        "the package sources of this machine are none of Debian's; name a mirror of Debian with --mirror, and with \
         --keyring the file of its keys, which the package debian-archive-keyring has"
    );
    Ok(found)
}

/// The keys of all of Debian's releases. A source may name those of its own release only.
fn keyring() -> Option<PathBuf> {
    let names = ["debian-archive-keyring.gpg", "debian-archive-keyring.pgp"];
    let mut files = names.iter().map(|name| Path::new("/usr/share/keyrings").join(name));
    files.find(|file| file.is_file())
}

/// Of apt's lines "URI RELEASE COMPONENT" those of this machine's own release, moved to another.
fn for_suite(lines: &str, release: &str, suite: &str, keyring: Option<&Path>) -> Vec<Source> {
    let value = |key: &str| {
        let mut pairs = release.lines().filter_map(|line| line.split_once('='));
        pairs.find(|(name, _)| *name == key).map(|(_, value)| value.trim_matches('"').to_owned())
    };
    if value("ID").as_deref() != Some("debian") {
        return Vec::new();
    }
    let own = value("VERSION_CODENAME").unwrap_or_default();
    let mut names = vec![own.as_str(), "stable", "testing", "unstable", "sid"];
    names.retain(|name| !name.is_empty());
    let rolls = matches!(suite, "sid" | "unstable" | "experimental");
    let mut found: Vec<Source> = Vec::new();
    for line in lines.lines() {
        let [uri, of, "main"] = line.split_whitespace().collect::<Vec<_>>()[..] else { continue };
        let kind = names.iter().find_map(|name| match of.strip_prefix(name) {
            Some(kind @ ("" | "-updates" | "-security")) => Some(kind),
            _ => None,
        });
        // What rolls on has no updates besides.
        let Some(kind) = kind.filter(|kind| kind.is_empty() || !rolls) else { continue };
        let source = Source {
            uri: uri.to_owned(),
            suite: format!("{suite}{kind}"),
            keyring: keyring.map(Path::to_owned),
        };
        if !found.contains(&source) {
            found.push(source);
        }
    }
    found
}

/// An apt of its own.
pub struct Apt {
    config: PathBuf,
    archives: PathBuf,
}

impl Apt {
    /// Writes its configuration into a new folder; of the architectures the first is the machine's own.
    pub fn new(folder: &Path, archs: &[&str], sources: &[Source]) -> Result<Apt> {
        let write = |name: &str, text: &str| {
            let file = folder.join(name);
            std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
        };
        for name in ["etc/parts", "lists/partial", "archives/partial"] {
            let folder = folder.join(name);
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        write("status", "")?;
        write("apt.conf", &configuration(folder, archs))?;
        let apt = Apt { config: folder.join("apt.conf"), archives: folder.join("archives") };
        apt.set(sources)?;
        Ok(apt)
    }

    /// Fetches the lists of packages. Gives what was done without: updates that the mirror does not have whole, as
    /// happens to mirrors of architectures that few use.
    ///
    /// # Errors
    /// The release itself is not to be had.
    pub fn update(&self, sources: &[Source], suite: &str) -> Result<Vec<String>> {
        let update =
            || output(self.get().arg("update"), "fetching the lists of packages").map(drop);
        let Err(error) = update() else { return Ok(Vec::new()) };
        let said = error.to_string();
        let (broken, whole): (Vec<&Source>, Vec<&Source>) = sources
            .iter()
            .partition(|source| source.suite != suite && said.contains(&source.place()));
        if broken.is_empty() {
            return Err(error);
        }
        self.set(whole)?;
        update()?;
        let reason = said.lines().find_map(|line| line.strip_prefix("E: ")).unwrap_or(&said);
        let without = |source: &Source| format!("without {}: {reason}", source.suite);
        Ok(broken.into_iter().map(without).collect())
    }

    /// Writes the list of sources.
    fn set<'a>(&self, sources: impl IntoIterator<Item = &'a Source>) -> Result<()> {
        let file = self.config.with_file_name("etc").join("sources.list");
        let text: String = sources.into_iter().map(Source::line).collect();
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Fetches packages and all that they depend on: the files, sorted.
    pub fn fetch(&self, packages: &[&str]) -> Result<Vec<PathBuf>> {
        let mut command = self.get();
        command.args(["install", "--yes", "--download-only", "--no-install-recommends"]);
        output(command.args(packages), "fetching packages")?;
        self.files()
    }

    /// Fetches these packages and no others: the files, sorted.
    pub fn download(&self, packages: &BTreeSet<String>) -> Result<Vec<PathBuf>> {
        let mut command = self.get();
        command.arg("download").args(packages).current_dir(&self.archives);
        output(&mut command, "fetching packages")?;
        self.files()
    }

    /// Names of the packages that one depends on; `all` of them, with itself, or those that it names.
    pub fn depends(&self, package: &str, all: bool) -> Result<BTreeSet<String>> {
        let mut command = Command::new("apt-cache");
        command.env("APT_CONFIG", &self.config).arg("depends");
        for kind in ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"] {
            command.arg(format!("--no-{kind}"));
        }
        command.args(all.then_some("--recurse")).arg(package);
        let said = output(&mut command, "asking for what packages depend on")?;
        let direct = said.lines().filter_map(|line| line.trim_start().strip_prefix("Depends: "));
        let heads = said.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
        let names = match all {
            true => heads.map(str::to_owned).collect::<BTreeSet<_>>(),
            false => direct.map(str::to_owned).collect(),
        };
        // Of other architectures and of none there is nothing to fetch.
        Ok(names.into_iter().filter(|name| !name.contains(':')).collect())
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let entries = self.archives.read_dir().context("listing the packages that were fetched")?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|end| end == "deb"));
        files.sort();
        ensure!(!files.is_empty(), "apt-get says that it has fetched packages, and there are none");
        Ok(files)
    }

    fn get(&self) -> Command {
        let mut command = Command::new("apt-get");
        command.args(["--quiet", "--quiet", "--option", "APT::Update::Error-Mode=any"]);
        command.env("APT_CONFIG", &self.config);
        command
    }
}

/// `APT_CONFIG` is read after this machine's own configuration, of which proxies and the like stay.
fn configuration(folder: &Path, archs: &[&str]) -> String {
    let place = |name: &str| folder.join(name).display().to_string();
    let values = [
        ("Dir::Etc::sourcelist", place("etc/sources.list")),
        ("Dir::Etc::sourceparts", place("etc/parts")),
        ("Dir::Etc::preferences", place("etc/preferences")),
        ("Dir::Etc::preferencesparts", place("etc/parts")),
        ("Dir::State", folder.display().to_string()),
        ("Dir::State::lists", place("lists")),
        ("Dir::State::status", place("status")),
        ("Dir::State::extended_states", place("extended_states")),
        ("Dir::Cache", folder.display().to_string()),
        ("Dir::Cache::archives", place("archives")),
        ("Dir::Log", folder.display().to_string()),
        ("Debug::NoLocking", "true".to_owned()),
        ("Acquire::Languages", "none".to_owned()),
        ("APT::Architecture", archs.first().copied().unwrap_or_default().to_owned()),
        // An unprivileged user of apt's own could not write here.
        ("APT::Sandbox::User", "root".to_owned()),
    ];
    let mut text = String::from(
        "#clear APT::Architectures;\n#clear APT::Update::Post-Invoke;\n#clear DPkg::Post-Invoke;\n",
    );
    for (name, value) in values {
        text += &format!("{name} \"{value}\";\n");
    }
    let archs: String = archs.iter().map(|arch| format!(" \"{arch}\";")).collect();
    text + &format!("APT::Architectures {{{archs} }};\n")
}

/// What a command writes to stdout, or what it has to say.
fn output(command: &mut Command, act: &str) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output =
        command.env("LC_ALL", "C").output().with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{act} failed: {program} ended with {}\n{}", output.status, said.trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOKWORM: &str = "ID=debian\nVERSION_CODENAME=bookworm\n";
    const LINES: &str = "http://mirror.test/debian/ bookworm main\n\
        http://mirror.test/debian/ bookworm non-free\n\
        http://mirror.test/debian/ bookworm-updates main\n\
        http://mirror.test/security/ bookworm-security main\n\
        http://other.test/node/ nodistro main\n";

    fn lines(release: &str, suite: &str) -> String {
        let found = for_suite(LINES, release, suite, Some(Path::new("/keys.gpg")));
        found.iter().map(Source::line).collect()
    }

    #[test]
    fn the_machine_s_mirrors_serve_other_releases() {
        assert_eq!(
            lines(BOOKWORM, "trixie"),
            "deb [signed-by=/keys.gpg] http://mirror.test/debian/ trixie main\n\
             deb [signed-by=/keys.gpg] http://mirror.test/debian/ trixie-updates main\n\
             deb [signed-by=/keys.gpg] http://mirror.test/security/ trixie-security main\n"
        );
        assert_eq!(
            lines(BOOKWORM, "sid"),
            "deb [signed-by=/keys.gpg] http://mirror.test/debian/ sid main\n"
        );
    }

    #[test]
    fn another_distribution_has_no_mirror_of_debian() {
        assert_eq!(lines("ID=ubuntu\nVERSION_CODENAME=bookworm\n", "bookworm"), "");
    }
}
