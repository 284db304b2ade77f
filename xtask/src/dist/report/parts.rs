//! What is in an image under a name and a version of its own: what bills of materials list and rules judge.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use super::crates::Crates;
use super::documented::{self, Documented};
use super::inventory::{FileItem, Inventory, Owner};
use super::licenses;
use crate::dist::resolve::Plan;
use crate::licenses::License;

/// Something with a name and a version.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// Package URL, which names it among all parts of the world; empty where nobody has given it one.
    pub purl: String,
    /// As its makers write it.
    pub name: String,
    pub version: String,
    /// What vulnerabilities are filed under, where there is a dictionary of them.
    pub cpe: Option<String>,
    pub license: License,
    /// Shared libraries in it that nobody names with a version: path and SHA-256, lower-case hex.
    pub files: Vec<(String, String)>,
    /// What its makers have put into its extension modules and libraries.
    pub within: Vec<Documented>,
}

/// Everything in an image, but for the application itself.
#[derive(Debug)]
pub struct Parts {
    /// Shared libraries of the application.
    pub files: Vec<(String, String)>,
    /// CPython first, if it ships, then distributions, then what is of Rust.
    pub parts: Vec<Part>,
    /// Bills of materials of distributions that are not understood.
    pub warnings: Vec<String>,
}

impl Parts {
    /// Reads it off what ships.
    ///
    /// # Errors
    /// A file of a distribution's metadata cannot be read.
    pub fn of(plan: &Plan, inventory: &Inventory, crates: Crates) -> Result<Parts> {
        let libraries = |owns: &dyn Fn(&Owner) -> bool| -> Vec<(String, String)> {
            let owned = inventory.libraries.iter().filter(|library| owns(&library.owner));
            let hash = |path: &String| inventory.hashes.get(path).cloned().unwrap_or_default();
            owned.map(|FileItem { path, .. }| (path.clone(), hash(path))).collect()
        };
        let python = &plan.interpreter.full_version;
        let interpreter = Part {
            purl: format!("pkg:generic/python@{}", encode(python)),
            name: "CPython".to_owned(),
            version: python.clone(),
            cpe: Some(format!("cpe:2.3:a:python:python:{python}:*:*:*:*:*:*:*")),
            license: licenses::of_python(plan)?,
            files: libraries(&|owner| owner.origin == "stdlib"),
            within: Vec::new(),
        };
        // The device's own is in the device's bill of materials.
        let mut parts = Vec::new();
        parts.extend((!plan.link.is_system()).then_some(interpreter));
        let natives = natives(inventory);
        let mut warnings = Vec::new();
        let mut stated = licenses::of_dependencies(plan, inventory)?;
        for (id, found) in &inventory.distributions {
            let info = plan.site.as_ref().map(|site| site.join(&found.info));
            let info = info.filter(|_| natives.contains(id.as_str()));
            let read = info.map(|info| documented::read(&info)).transpose()?;
            let (within, unread) = read.unwrap_or_default();
            warnings.extend(unread.into_iter().map(|file| {
                format!("{file} of {} is no bill of materials that is understood here", found.name)
            }));
            parts.push(Part {
                purl: format!("pkg:pypi/{id}@{}", encode(&found.version)),
                name: found.name.clone(),
                version: found.version.clone(),
                cpe: None,
                license: stated.remove(id).unwrap_or_default(),
                files: libraries(&|owner| owner.distribution.as_ref() == Some(id)),
                within,
            });
        }
        parts.extend(crates.parts());
        let known = &plan.config.device.licenses.known;
        for part in &mut parts {
            correct(&part.name, &mut part.license, known);
            part.within.iter_mut().for_each(|one| correct(&one.name, &mut one.license, known));
        }
        let files = libraries(&|owner| owner.origin == "application");
        Ok(Parts { files, parts, warnings })
    }

    /// Whether the image may have the licences of what is in it.
    ///
    /// # Errors
    /// It may not; with all that is wrong.
    pub fn check(&self, plan: &Plan) -> Result<()> {
        let configured = &plan.config.device.licenses;
        let mut refused = Vec::new();
        let mut judge = |name: &str, version: &str, license: &License, owner: &str| {
            if configured.except.contains_key(&id(name)) {
                return;
            }
            if let Err(why) = configured.rules.check(license) {
                refused.push(format!("  {name} {version}{owner} {why}"));
            }
        };
        for part in &self.parts {
            judge(&part.name, &part.version, &part.license, "");
            for one in &part.within {
                let owner = format!(", in {},", part.name);
                judge(&one.name, &one.version, &one.license, &owner);
            }
        }
        if refused.is_empty() {
            return Ok(());
        }
        bail!(
            "the licences of what is in the image are not those that [package.metadata.pyrmware.licenses] in {} \
             accepts:\n{}\n`cargo xtask why MODULE` says what brings it in; `known` there corrects what is stated \
             wrongly or not at all, `except` takes a part out of the rules, with a reason",
            plan.config.paths.app_manifest().display(),
            refused.join("\n")
        )
    }
}

/// Distributions of which an extension module or a library ships: what they say is in those ships, too.
fn natives(inventory: &Inventory) -> BTreeSet<&str> {
    let modules = inventory.modules.iter().filter(|module| module.kind == "extension");
    let owners = modules.map(|module| &module.owner);
    let libraries = inventory.libraries.iter().map(|library| &library.owner);
    owners.chain(libraries).filter_map(|owner| owner.distribution.as_deref()).collect()
}

fn id(name: &str) -> String {
    crate::dist::collect::names::normalise(name)
}

fn correct(name: &str, license: &mut License, known: &BTreeMap<String, License>) {
    if let Some(right) = known.get(&id(name)) {
        license.name.clone_from(&right.name);
        license.spdx = true;
    }
}

/// What a purl needs escaped in names and versions ("1.0+local").
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_escaped_for_a_url() {
        assert_eq!(encode("1.0+local"), "1.0%2Blocal");
    }

    #[test]
    fn what_is_known_better_is_taken_by_any_spelling_of_the_name() {
        let known = BTreeMap::from([("odd-name".to_owned(), License::stated("MIT"))]);
        let mut license = License::stated("see LICENSE");
        correct("Other", &mut license, &known);
        assert!(!license.spdx);
        correct("Odd_Name", &mut license, &known);
        assert_eq!((license.name.as_str(), license.spdx), ("MIT", true));
    }
}
