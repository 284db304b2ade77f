//! Makes an installed folder depend on the distributions alone: not on the tool, the time or the place.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use walkdir::WalkDir;

use crate::python::marker::{Requirement, normalise};

/// Changes with what [`folder`] does.
pub(super) const VERSION: &str = "1";

/// What an installer writes about itself.
const TRACES: [&str; 4] = ["INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"];

/// Removes the traces of the installer, the scripts and the bytecode, and sorts the records.
pub(super) fn folder(site: &Path) -> Result<()> {
    let lock = site.join(".lock");
    if lock.exists() {
        fs::remove_file(&lock).with_context(|| format!("cannot remove {}", lock.display()))?;
    }
    // Scripts name the interpreter of this machine. A package called `bin` is something else.
    let bin = site.join("bin");
    if bin.is_dir() && !bin.join("__init__.py").exists() {
        remove(&bin)?;
    }
    let caches: Vec<PathBuf> = WalkDir::new(site)
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_dir() && entry.file_name() == "__pycache__")
        .map(walkdir::DirEntry::into_path)
        .collect();
    caches.iter().try_for_each(|cache| remove(cache))?;
    for info in dist_infos(site)? {
        for name in TRACES {
            let file = info.join(name);
            if file.exists() {
                fs::remove_file(&file)
                    .with_context(|| format!("cannot remove {}", file.display()))?;
            }
        }
        let record = info.join("RECORD");
        if let Ok(text) = fs::read_to_string(&record) {
            fs::write(&record, sorted(&text, site))
                .with_context(|| format!("cannot write {}", record.display()))?;
        }
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// The lines of a RECORD whose files are there, in order.
fn sorted(record: &str, site: &Path) -> String {
    let mut lines: Vec<&str> =
        record.lines().filter(|line| site.join(path_of(line)).is_file()).collect();
    lines.sort_unstable();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The first field of a CSV line.
fn path_of(line: &str) -> String {
    match line.strip_prefix('"') {
        // A quote inside is doubled.
        Some(rest) => rest.split("\",").next().unwrap_or_default().replace("\"\"", "\""),
        None => line.split(',').next().unwrap_or_default().to_owned(),
    }
}

/// The `.dist-info` folders, in order.
fn dist_infos(site: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(site).with_context(|| format!("cannot read {}", site.display()))?;
    let mut infos: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "dist-info"))
        .collect();
    infos.sort();
    Ok(infos)
}

/// Name, version and requirements of what is installed.
pub(super) struct Installed {
    /// Normalised name and version, sorted.
    pub distributions: Vec<(String, String)>,
    /// "flask needs click>=8.1, which is not there", …
    pub lacking: Vec<String>,
}

/// What the metadata of the installed folder says, for an environment.
pub(super) fn installed(site: &Path, environment: &BTreeMap<String, String>) -> Result<Installed> {
    let mut versions = BTreeMap::new();
    let mut needs = Vec::new();
    for info in dist_infos(site)? {
        let file = info.join("METADATA");
        let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let text = String::from_utf8_lossy(&text);
        let headers = text
            .lines()
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split_once(": "));
        let mut name = String::new();
        for (key, value) in headers {
            match key {
                "Name" => name = normalise(value.trim()),
                "Version" => drop(versions.insert(name.clone(), value.trim().to_owned())),
                "Requires-Dist" => needs.push((name.clone(), value.trim().to_owned())),
                _ => {}
            }
        }
    }
    let mut lacking = Vec::new();
    for (name, text) in needs {
        // Metadata of the wild is not always what PEP 508 says.
        let Ok(wanted) = text.parse::<Requirement>() else { continue };
        if !wanted.applies(environment) {
            continue;
        }
        let short = text.split(';').next().unwrap_or_default().trim();
        match versions.get(&wanted.name) {
            None => lacking.push(format!("{name} needs {short}, which is not there")),
            Some(version)
                if version.parse().is_ok_and(|version| !wanted.specifier.contains(&version)) =>
            {
                lacking.push(format!("{name} needs {short}, and {version} is there"));
            }
            Some(_) => {}
        }
    }
    Ok(Installed { distributions: versions.into_iter().collect(), lacking })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(site: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let file = site.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
    }

    #[test]
    fn nothing_of_the_installer_is_left() {
        let site = tempfile::tempdir().unwrap();
        put(
            site.path(),
            &[
                (".lock", ""),
                ("bin/tool", "#!/here/python\n"),
                ("a/__init__.py", ""),
                ("a/__pycache__/x.pyc", ""),
                ("a/odd,\"name\".txt", ""),
                ("a-1.dist-info/METADATA", "Name: a\nVersion: 1\n\nb"),
                ("a-1.dist-info/INSTALLER", "uv"),
                ("a-1.dist-info/REQUESTED", ""),
                (
                    "a-1.dist-info/RECORD",
                    "bin/tool,sha256=x,1\r\na/__init__.py,,\r\na-1.dist-info/RECORD,,\r\n\
                     a-1.dist-info/METADATA,,\r\na-1.dist-info/INSTALLER,,\r\n\"a/odd,\"\"name\"\".txt\",,\r\n",
                ),
            ],
        );
        folder(site.path()).unwrap();
        let left: Vec<_> = WalkDir::new(site.path())
            .sort_by_file_name()
            .into_iter()
            .flatten()
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| entry.path().strip_prefix(site.path()).unwrap().display().to_string())
            .collect();
        assert_eq!(
            left,
            [
                "a/__init__.py",
                "a/odd,\"name\".txt",
                "a-1.dist-info/METADATA",
                "a-1.dist-info/RECORD"
            ]
        );
        assert_eq!(
            fs::read_to_string(site.path().join("a-1.dist-info/RECORD")).unwrap(),
            "\"a/odd,\"\"name\"\".txt\",,\na-1.dist-info/METADATA,,\na-1.dist-info/RECORD,,\na/__init__.py,,\n"
        );
    }

    #[test]
    fn what_is_lacking_is_found() {
        let site = tempfile::tempdir().unwrap();
        put(
            site.path(),
            &[
                (
                    "Flask-3.dist-info/METADATA",
                    "Name: Flask\nVersion: 3.0\nRequires-Dist: click>=8 ; python_version > '3'\n\
                     Requires-Dist: Werkzeug<3\nRequires-Dist: dotenv; extra == 'dotenv'\nRequires-Dist: ok\n\nRequires-Dist: no",
                ),
                ("Werkzeug-3.dist-info/METADATA", "Name: Werkzeug\nVersion: 3.0\n"),
                ("ok-1.dist-info/METADATA", "Name: ok\nVersion: 1\n"),
            ],
        );
        let environment = [("python_version".to_owned(), "3.11".to_owned())].into();
        let read = installed(site.path(), &environment).unwrap();
        assert_eq!(
            read.distributions,
            [("flask", "3.0"), ("ok", "1"), ("werkzeug", "3.0")]
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
        assert_eq!(
            read.lacking,
            [
                "flask needs click>=8, which is not there",
                "flask needs Werkzeug<3, and 3.0 is there"
            ]
        );
    }
}
