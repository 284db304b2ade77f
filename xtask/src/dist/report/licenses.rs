//! `licenses.txt`: the licences of everything that ships, with their texts where there are any.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use walkdir::WalkDir;

use super::crates::Crate;
use super::inventory::Inventory;
use crate::dist::resolve::Plan;

/// What a dependency says about its licence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct License {
    /// As its METADATA says it: an SPDX expression, or words; empty when it says nothing.
    pub name: String,
    /// Whether `name` is an SPDX expression.
    pub spdx: bool,
    /// File name -> text.
    pub texts: BTreeMap<String, String>,
}

/// CPython's licence as SPDX names it.
pub const PYTHON: &str = "Python-2.0";

/// Licences of the dependencies that ship, by normalised name.
pub fn of_dependencies(plan: &Plan, inventory: &Inventory) -> Result<BTreeMap<String, License>> {
    let Some(site) = &plan.site else { return Ok(BTreeMap::new()) };
    inventory
        .distributions
        .iter()
        .map(|(id, found)| Ok((id.clone(), read(&site.join(&found.info))?)))
        .collect()
}

/// Everything as one text.
pub fn text(
    plan: &Plan,
    inventory: &Inventory,
    licenses: &BTreeMap<String, License>,
    crates: &BTreeSet<Crate>,
) -> Result<String> {
    let project = &plan.config.project;
    let mut out = format!("Licences of what is in {} {}\n", project.name, project.version);
    let python = &plan.interpreter;
    let texts = python_text(plan)?.into_iter().map(|text| ("LICENSE".to_owned(), text)).collect();
    section(&mut out, &format!("CPython {}", python.full_version), PYTHON, &texts);
    for (id, found) in &inventory.distributions {
        let license = licenses.get(id).cloned().unwrap_or_default();
        section(
            &mut out,
            &format!("{} {}", found.name, found.version),
            &license.name,
            &license.texts,
        );
    }
    heading(&mut out, "Rust crates of the launcher");
    for one in crates {
        let license = if one.license.is_empty() { "not stated" } else { &one.license };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{} {}: {license}", one.name, one.version);
    }
    Ok(out)
}

fn heading(out: &mut String, title: &str) {
    let _ = write!(out, "\n{}\n{title}\n{0}\n", "=".repeat(78));
}

fn section(out: &mut String, title: &str, license: &str, texts: &BTreeMap<String, String>) {
    heading(out, title);
    let license = if license.is_empty() { "not stated in its metadata" } else { license };
    let _ = writeln!(out, "Licence: {license}");
    for (name, text) in texts {
        let _ = write!(out, "\n--- {name}\n\n{}\n", text.trim_end());
    }
    if texts.is_empty() {
        out.push_str("\nNo licence file comes with it.\n");
    }
}

/// Reads METADATA and the licence files of a `.dist-info` folder.
fn read(info: &Path) -> Result<License> {
    let metadata = read_text(&info.join("METADATA"))?;
    let (name, spdx) = stated(&metadata);
    let mut texts = BTreeMap::new();
    for entry in WalkDir::new(info).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot read {}", info.display()))?;
        let path = entry.path().strip_prefix(info).unwrap_or(entry.path());
        if entry.file_type().is_file() && is_license(path) {
            texts.insert(path.display().to_string(), read_text(entry.path())?);
        }
    }
    Ok(License { name, spdx, texts })
}

/// `licenses/…` (PEP 639), or one of the names of old.
fn is_license(path: &Path) -> bool {
    let upper = |path: &Path| path.to_string_lossy().to_uppercase();
    let named = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS"];
    path.starts_with("licenses")
        || path.starts_with("license_files")
        || named.iter().any(|name| upper(path).starts_with(name))
}

/// (what the METADATA says, whether that is an SPDX expression).
fn stated(metadata: &str) -> (String, bool) {
    let headers = || metadata.lines().take_while(|line| !line.is_empty());
    let field = |name: &str| {
        let found = headers().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.map(str::trim).filter(|text| !text.is_empty() && *text != "UNKNOWN")
    };
    if let Some(expression) = field("License-Expression") {
        return (expression.to_owned(), true);
    }
    let classified: Vec<&str> = headers()
        .filter_map(|line| line.strip_prefix("Classifier: License :: "))
        .map(|text| text.rsplit(" :: ").next().unwrap_or(text))
        .collect();
    // The old field often holds the whole text, of which this is the first line.
    match (field("License"), classified.as_slice()) {
        (Some(short), _) if short.len() <= 40 => (short.to_owned(), false),
        (_, [_, ..]) => (classified.join(", "), false),
        (Some(long), []) => (long.to_owned(), false),
        (None, []) => (String::new(), false),
    }
}

/// CPython's licence: in the standard library's folder, or where distributions put it.
fn python_text(plan: &Plan) -> Result<Option<String>> {
    let python = &plan.interpreter;
    let (major, minor) = python.version;
    let doc = python.prefix.join("share/doc");
    let places: [PathBuf; 6] = [
        python.stdlib.join("LICENSE.txt"),
        python.stdlib.join("LICENSE"),
        python.prefix.join("LICENSE.txt"),
        python.prefix.join("LICENSE"),
        doc.join(format!("python{major}.{minor}/copyright")),
        doc.join(format!("libpython{major}.{minor}-stdlib/copyright")),
    ];
    places.iter().find(|path| path.is_file()).map(|path| read_text(path)).transpose()
}

/// A text whose encoding is not always UTF-8.
fn read_text(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).replace("\r\n", "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_licence_is_read_from_old_and_new_metadata() {
        for (metadata, expected) in [
            (
                "Name: a\nLicense-Expression: MIT OR Apache-2.0\nLicense: x\n",
                ("MIT OR Apache-2.0", true),
            ),
            (
                "License: BSD-3-Clause\nClassifier: License :: OSI Approved :: X\n",
                ("BSD-3-Clause", false),
            ),
            (
                "License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License\n",
                ("MIT License", false),
            ),
            (
                "License: Permission is hereby granted, free of charge, to anybody\nClassifier: License :: A :: B\n",
                ("B", false),
            ),
            ("Name: a\n\nLicense: in the description\n", ("", false)),
        ] {
            let (name, spdx) = stated(metadata);
            assert_eq!((name.as_str(), spdx), expected, "{metadata}");
        }
    }

    #[test]
    fn licence_files_of_every_age_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let info = dir.path().join("x-1.dist-info");
        for (file, text) in [
            ("METADATA", "License-Expression: MIT\n"),
            ("RECORD", ""),
            ("LICENSE.rst", "old\r\n"),
            ("licenses/vendored/COPYING", "new"),
        ] {
            fs::create_dir_all(info.join(file).parent().unwrap()).unwrap();
            fs::write(info.join(file), text).unwrap();
        }
        let license = read(&info).unwrap();
        assert_eq!((license.name.as_str(), license.spdx), ("MIT", true));
        let texts: Vec<_> = license.texts.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(texts, [("LICENSE.rst", "old\n"), ("licenses/vendored/COPYING", "new")]);
    }
}
