//! `pylock.toml` (PEP 751): read whoever wrote it, and written by us.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::requirements::{Pin, Pins};
use crate::python::marker::{Marker, normalise};

/// What we read of a lock.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct PyLock {
    pub lock_version: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires_python: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default_groups: Vec<String>,
    pub created_by: String,
    #[serde(default)]
    pub packages: Vec<Package>,
    #[serde(default, skip_serializing_if = "Tool::is_empty")]
    pub tool: Tool,
}

/// `[tool]`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Tool {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pyrmware: Option<Ours>,
}

impl Tool {
    fn is_empty(&self) -> bool {
        self.pyrmware.is_none()
    }
}

/// `[tool.pyrmware]`: only a lock that we wrote has it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ours {
    /// Digest of what the lock was made for.
    pub requirements: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Package {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wheels: Vec<Artifact>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdist: Option<Artifact>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<Artifact>,
    #[serde(default, skip_serializing)]
    pub vcs: Option<toml::Table>,
    #[serde(default, skip_serializing)]
    pub directory: Option<toml::Table>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Artifact {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    pub hashes: BTreeMap<String, String>,
}

impl PyLock {
    pub fn parse(text: &str) -> Result<Self> {
        let lock: Self = toml::from_str(text)?;
        ensure!(
            lock.lock_version == "1.0" || lock.lock_version.starts_with("1."),
            "its lock-version is {}; 1.0 is understood",
            lock.lock_version
        );
        Ok(lock)
    }

    /// What made the lock, if we did: the digest of [`super::lock`].
    pub fn digest(&self) -> Option<&str> {
        self.tool.pyrmware.as_ref().map(|ours| ours.requirements.as_str())
    }

    /// Whether the lock was made for the environment.
    pub fn covers(&self, environment: &BTreeMap<String, String>) -> Result<bool> {
        for marker in &self.environments {
            if marker.parse::<Marker>()?.holds(environment) {
                return Ok(true);
            }
        }
        Ok(self.environments.is_empty())
    }

    /// The packages that apply, and where the files are that the lock names by path.
    pub fn pins(
        &self,
        folder: &Path,
        environment: &BTreeMap<String, String>,
        sdists: &[String],
    ) -> Result<Pins> {
        let mut environment = environment.clone();
        environment.insert("dependency_groups".to_owned(), self.default_groups.join(" "));
        let mut read = Pins::default();
        for package in &self.packages {
            let marker = package.marker.as_deref().map(str::parse::<Marker>).transpose()?;
            if marker.is_some_and(|marker| !marker.holds(&environment)) {
                continue;
            }
            let pin = package.pin(folder, sdists)?;
            for option in package.sources(folder) {
                if !read.options.contains(&option) {
                    read.options.push(option);
                }
            }
            read.pins.push(pin);
        }
        Ok(read)
    }
}

impl Package {
    fn pin(&self, folder: &Path, sdists: &[String]) -> Result<Pin> {
        let name = normalise(&self.name);
        if self.vcs.is_some() || self.directory.is_some() {
            bail!(
                "`{name}` comes from a folder or a repository, which no hash covers; lock a wheel of it"
            );
        }
        if let Some(archive) = &self.archive {
            let url = archive.url.clone().or_else(|| {
                let path = archive.path.as_ref()?;
                Some(format!("file://{}", folder.join(path).display()))
            });
            let url =
                url.with_context(|| format!("`{name}` has an archive without `url` and `path`"))?;
            let version = self.version.clone().unwrap_or_default();
            return Ok(Pin {
                name,
                version,
                url: Some(url),
                marker: None,
                hashes: archive.hashes(),
            });
        }
        let version = self.version.clone().with_context(|| format!("`{name}` has no version"))?;
        let source = self.sdist.iter().filter(|_| sdists.contains(&name));
        let hashes: BTreeSet<String> =
            self.wheels.iter().chain(source).flat_map(Artifact::hashes).collect();
        if hashes.is_empty() && self.sdist.is_some() {
            bail!(
                "`{name}` {version} is locked as source only; `sdists = [\"{name}\"]` in [tool.pyrmware] allows building it"
            );
        }
        ensure!(!hashes.is_empty(), "`{name}` {version} has no files with hashes");
        Ok(Pin { name, version, url: None, marker: None, hashes })
    }

    /// Options that tell an installer where the files are, if not on its index.
    fn sources(&self, folder: &Path) -> Vec<String> {
        let mut options: Vec<String> =
            self.index.iter().map(|index| format!("--extra-index-url {index}")).collect();
        for file in self.wheels.iter().chain(&self.sdist) {
            let local = file.url.as_deref().and_then(|url| url.strip_prefix("file://"));
            let path = file
                .path
                .as_deref()
                .filter(|_| file.url.is_none())
                .or(local)
                .map(|path| folder.join(path));
            if let Some(parent) = path.as_deref().and_then(Path::parent) {
                options.push(format!("--find-links {}", parent.display()));
            }
        }
        options
    }
}

impl Artifact {
    /// "sha256:…" of the strongest digests that installers check.
    fn hashes(&self) -> BTreeSet<String> {
        let known = ["sha256", "sha384", "sha512"].into_iter();
        known
            .filter_map(|name| Some(format!("{name}:{}", self.hashes.get(name)?)))
            .take(1)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
lock-version = "1.0"
created-by = "another tool"
environments = ["sys_platform == 'linux'"]
default-groups = ["default"]
[[packages]]
name = "Numpy"
version = "2.2.6"
marker = "python_full_version < '3.11'"
wheels = [{ url = "https://host.invalid/numpy-2.2.6.whl", upload-time = 2025-05-17T21:27:58Z, hashes = { sha256 = "aa" } }]
[[packages]]
name = "numpy"
version = "2.5.0"
marker = "python_full_version >= '3.11' and 'default' in dependency_groups"
index = "https://mirror.invalid/simple"
wheels = [
  { path = "wheels/numpy-1.whl", hashes = { sha256 = "bb" } },
  { url = "https://host.invalid/numpy-2.whl", hashes = { md5 = "00", sha256 = "cc" } },
]
[[packages]]
name = "source"
version = "1.0"
sdist = { url = "https://host.invalid/source-1.0.tar.gz", hashes = { sha512 = "dd" } }
"#;

    fn environment() -> BTreeMap<String, String> {
        [("python_full_version", "3.12.1"), ("sys_platform", "linux")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn the_packages_of_the_environment_are_pinned() {
        let lock = PyLock::parse(TEXT).unwrap();
        assert!(lock.covers(&environment()).unwrap());
        let read = lock.pins(Path::new("/app"), &environment(), &["source".to_owned()]).unwrap();
        assert_eq!(
            super::super::requirements::write(&read.pins, &read.options),
            "--extra-index-url https://mirror.invalid/simple\n--find-links /app/wheels\n\
             numpy==2.5.0 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n\
             source==1.0 \\\n    --hash=sha512:dd\n"
        );
    }

    #[test]
    fn source_needs_the_key() {
        let lock = PyLock::parse(TEXT).unwrap();
        let error = lock.pins(Path::new("/app"), &environment(), &[]).unwrap_err().to_string();
        assert_eq!(
            error,
            "`source` 1.0 is locked as source only; `sdists = [\"source\"]` in [tool.pyrmware] allows building it"
        );
    }

    #[test]
    fn other_environments_and_versions_are_noticed() {
        let lock = PyLock::parse(TEXT).unwrap();
        assert!(!lock.covers(&[("sys_platform".to_owned(), "win32".to_owned())].into()).unwrap());
        let error =
            PyLock::parse("lock-version = \"2.0\"\ncreated-by = \"x\"").unwrap_err().to_string();
        assert_eq!(error, "its lock-version is 2.0; 1.0 is understood");
    }

    #[test]
    fn folders_are_refused() {
        let text = "lock-version = '1.0'\ncreated-by = 'x'\n[[packages]]\nname = 'lib'\ndirectory = { path = '../lib' }";
        let error =
            PyLock::parse(text).unwrap().pins(Path::new("/app"), &environment(), &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`lib` comes from a folder or a repository, which no hash covers; lock a wheel of it"
        );
    }
}
