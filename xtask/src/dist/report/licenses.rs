//! `licenses.txt`: the licences of everything that ships, with their texts where there are any.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use walkdir::WalkDir;

use super::inventory::Inventory;
use super::parts::{Part, Parts};
use crate::dist::resolve::Plan;
use crate::licenses::License;

/// Licences of the dependencies that ship, by normalised name.
pub fn of_dependencies(plan: &Plan, inventory: &Inventory) -> Result<BTreeMap<String, License>> {
    let Some(site) = &plan.site else { return Ok(BTreeMap::new()) };
    inventory
        .distributions
        .iter()
        .map(|(id, found)| Ok((id.clone(), read(&site.join(&found.info))?)))
        .collect()
}

/// CPython's: its text is in the standard library's folder, or where distributions put it.
pub fn of_python(plan: &Plan) -> Result<License> {
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
    let text = places.iter().find(|path| path.is_file()).map(|path| read_text(path)).transpose()?;
    let texts = text.into_iter().map(|text| ("LICENSE".to_owned(), text)).collect();
    Ok(License { texts, ..License::stated("Python-2.0") })
}

/// Everything as one text. A text that many crates have is there once.
pub fn text(plan: &Plan, parts: &Parts) -> String {
    let project = &plan.config.project;
    let mut out = format!("Licences of what is in {} {}\n", project.name, project.version);
    let mut seen = BTreeMap::new();
    for part in &parts.parts {
        section(&mut out, part, &mut seen);
    }
    out
}

/// Writing to a string cannot fail.
fn section<'a>(out: &mut String, part: &'a Part, seen: &mut BTreeMap<&'a str, String>) {
    let title = format!("{} {}", part.name, part.version);
    let _ = write!(out, "\n{}\n{title}\n{0}\n", "=".repeat(78));
    let named = |license: &License| match license.name.as_str() {
        "" => "not stated in its metadata".to_owned(),
        name => name.to_owned(),
    };
    let _ = writeln!(out, "Licence: {}", named(&part.license));
    for one in &part.within {
        let _ = writeln!(out, "In it: {} {}: {}", one.name, one.version, named(&one.license));
    }
    for (name, text) in &part.license.texts {
        let text = text.trim_end();
        match seen.get(text) {
            Some(place) => {
                let _ = write!(out, "\n--- {name}: the same text as that of {place}\n");
            }
            None => {
                let _ = write!(out, "\n--- {name}\n\n{text}\n");
                seen.insert(text, format!("{title}, {name}"));
            }
        }
    }
    if part.license.texts.is_empty() {
        out.push_str("\nNo licence file comes with it.\n");
    }
}

/// Reads METADATA and the licence files of a `.dist-info` folder.
fn read(info: &Path) -> Result<License> {
    let metadata = read_text(&info.join("METADATA"))?;
    Ok(License { texts: texts(info, usize::MAX)?, ..stated(&metadata) })
}

/// The licence files of a folder and those below it, down to a depth.
pub fn texts(folder: &Path, depth: usize) -> Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    for entry in WalkDir::new(folder).max_depth(depth).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        let path = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        if entry.file_type().is_file() && is_license(path) {
            texts.insert(path.display().to_string(), read_text(entry.path())?);
        }
    }
    Ok(texts)
}

/// `licenses/…` (PEP 639), or one of the names of old.
fn is_license(path: &Path) -> bool {
    let upper = |path: &Path| path.to_string_lossy().to_uppercase();
    let named = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS"];
    path.starts_with("licenses")
        || path.starts_with("license_files")
        || named.iter().any(|name| upper(path).starts_with(name))
}

/// What the METADATA says.
fn stated(metadata: &str) -> License {
    let headers = || metadata.lines().take_while(|line| !line.is_empty());
    let field = |name: &str| {
        let found = headers().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.map(str::trim).filter(|text| !text.is_empty() && *text != "UNKNOWN")
    };
    if let Some(expression) = field("License-Expression") {
        return License::stated(expression);
    }
    let classified: Vec<&str> = headers()
        .filter_map(|line| line.strip_prefix("Classifier: License :: "))
        .map(|text| text.rsplit(" :: ").next().unwrap_or(text))
        .collect();
    // The old field often holds the whole text, of which this is the first line.
    let short = field("License").filter(|text| text.len() <= 40).map(License::stated);
    let classifier = License::stated(&classified.join(", "));
    match short {
        // "BSD", where the classifier knows which.
        Some(short) if short.spdx || !classifier.spdx => short,
        _ if !classified.is_empty() => classifier,
        _ => License::stated(field("License").unwrap_or_default()),
    }
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
                "License: BSD-3-Clause\nClassifier: License :: OSI Approved :: BSD License\n",
                ("BSD-3-Clause", true),
            ),
            ("License: BSD\nClassifier: License :: OSI Approved :: BSD License\n", ("BSD", false)),
            ("License: Free\nClassifier: License :: OSI Approved :: MIT License\n", ("MIT", true)),
            (
                "License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License\n",
                ("MIT", true),
            ),
            (
                "License: Permission is hereby granted, free of charge, to anybody\nClassifier: License :: A :: B\n",
                ("B", false),
            ),
            ("Name: a\n\nLicense: in the description\n", ("", false)),
        ] {
            let License { name, spdx, .. } = stated(metadata);
            assert_eq!((name.as_str(), spdx), expected, "{metadata}");
        }
    }

    #[test]
    fn a_text_is_there_once() {
        let part = |name: &str, text: &str| Part {
            name: name.to_owned(),
            version: "1".to_owned(),
            license: License {
                texts: BTreeMap::from([("LICENSE".to_owned(), text.to_owned())]),
                ..License::stated("MIT")
            },
            ..Part::default()
        };
        let (mut out, mut seen) = (String::new(), BTreeMap::new());
        let parts = [part("one", "Take it.\n"), part("two", "Take it.\n"), part("three", "")];
        parts.iter().for_each(|part| section(&mut out, part, &mut seen));
        assert_eq!(out.matches("Take it.").count(), 1, "{out}");
        assert!(out.contains("--- LICENSE: the same text as that of one 1, LICENSE\n"), "{out}");
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
