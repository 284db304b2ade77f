//! `<app>.spdx.json`: SPDX 2.3.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{timestamp, uuid};
use crate::dist::link::Image;
use crate::dist::report::parts::{Part, Parts, encode};
use crate::dist::resolve::Plan;
use crate::licenses::License;

/// What is not said.
const NOTHING: &str = "NOASSERTION";

/// Writes the document.
pub fn document(plan: &Plan, image: &Image, parts: &Parts) -> Value {
    let project = &plan.config.project;
    let purl = format!("pkg:generic/{}@{}", encode(&project.name), encode(&project.version));
    let mut document = Document::default();
    let mut app = document.package(&project.name, &project.version, &purl, &License::default());
    app["primaryPackagePurpose"] = "FIRMWARE".into();
    app["checksums"] = checksums(&image.sha256);
    if !project.description.is_empty() {
        app["description"] = project.description.as_str().into();
    }
    let top = document.add(app, None);
    document.files(&top, &parts.files);
    for part in &parts.parts {
        document.part(&top, part);
    }
    let uuid = uuid(&image.sha256);
    let Document { packages, relationships, words } = document;
    let mut whole = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("{} {}", project.name, project.version),
        "documentNamespace": format!("urn:uuid:{uuid}"),
        "creationInfo": {
            "created": timestamp(plan.epoch),
            "creators": [format!("Tool: pyrmware-{}", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relationships,
    });
    if !words.is_empty() {
        let info = |(text, id): (&String, &String)| json!({"licenseId": id, "name": text, "extractedText": text});
        whole["hasExtractedLicensingInfos"] = words.iter().map(info).collect();
    }
    whole
}

#[derive(Default)]
struct Document {
    packages: Vec<Value>,
    relationships: Vec<Value>,
    /// Licences that have no name in SPDX: what is said of them -> their names in this document.
    words: BTreeMap<String, String>,
}

impl Document {
    fn part(&mut self, top: &str, part: &Part) {
        let mut package = self.package(&part.name, &part.version, &part.purl, &part.license);
        if let (Some(cpe), Some(references)) = (&part.cpe, package["externalRefs"].as_array_mut()) {
            references.push(reference("SECURITY", "cpe23Type", cpe));
        }
        let owner = self.add(package, Some(top));
        self.files(&owner, &part.files);
        for one in &part.within {
            let package = self.package(&one.name, &one.version, &one.purl, &one.license);
            self.add(package, Some(&owner));
        }
    }

    /// Shared libraries, which nobody names with a version: packages of one file, for that is what SPDX gives
    /// a SHA-256 alone.
    fn files(&mut self, owner: &str, files: &[(String, String)]) {
        for (path, sha256) in files {
            let name = path.rsplit('/').next().unwrap_or(path);
            let mut package = self.package(name, "", "", &License::default());
            package["packageFileName"] = path.as_str().into();
            package["checksums"] = checksums(sha256);
            self.add(package, Some(owner));
        }
    }

    fn package(&mut self, name: &str, version: &str, purl: &str, license: &License) -> Value {
        let declared = match (license.name.as_str(), license.spdx) {
            ("", _) => NOTHING.to_owned(),
            (text, true) => text.to_owned(),
            (text, false) => self.in_words(text),
        };
        let mut package = json!({
            "SPDXID": format!("SPDXRef-{}", self.packages.len()),
            "name": name,
            "downloadLocation": NOTHING,
            "filesAnalyzed": false,
            "licenseConcluded": NOTHING,
            "licenseDeclared": declared,
            "copyrightText": NOTHING,
            "supplier": NOTHING,
            "primaryPackagePurpose": "LIBRARY",
        });
        if !version.is_empty() {
            package["versionInfo"] = version.into();
        }
        if !purl.is_empty() {
            package["externalRefs"] = json!([reference("PACKAGE-MANAGER", "purl", purl)]);
        }
        package
    }

    fn in_words(&mut self, text: &str) -> String {
        let number = self.words.len();
        let id = self.words.entry(text.to_owned());
        id.or_insert_with(|| format!("LicenseRef-{number}")).clone()
    }

    /// Gives its name.
    fn add(&mut self, package: Value, owner: Option<&str>) -> String {
        let id = package["SPDXID"].as_str().unwrap_or_default().to_owned();
        let (from, relation) = match owner {
            Some(owner) => (owner, "CONTAINS"),
            None => ("SPDXRef-DOCUMENT", "DESCRIBES"),
        };
        self.relationships.push(json!({
            "spdxElementId": from,
            "relationshipType": relation,
            "relatedSpdxElement": id,
        }));
        self.packages.push(package);
        id
    }
}

fn reference(category: &str, kind: &str, locator: &str) -> Value {
    json!({"referenceCategory": category, "referenceType": kind, "referenceLocator": locator})
}

fn checksums(sha256: &str) -> Value {
    json!([{"algorithm": "SHA256", "checksumValue": sha256}])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_in_words_has_one_name() {
        let mut document = Document::default();
        let licences = ["BSD", "MIT", "", "BSD", "GPL"];
        let declared = licences.map(|text| {
            let package = document.package("x", "1", "", &License::stated(text));
            package["licenseDeclared"].as_str().unwrap().to_owned()
        });
        assert_eq!(declared, ["LicenseRef-0", "MIT", NOTHING, "LicenseRef-0", "LicenseRef-1"]);
    }

    #[test]
    fn what_is_inside_belongs_to_what_it_is_in() {
        let mut document = Document::default();
        let app = document.package("app", "1", "", &License::default());
        let top = document.add(app, None);
        let part = Part {
            name: "wheel".to_owned(),
            purl: "pkg:pypi/wheel@1".to_owned(),
            files: vec![("wheel.libs/libx.so.1".to_owned(), "ab".to_owned())],
            ..Part::default()
        };
        document.part(&top, &part);
        let related = |at: usize| {
            let one = &document.relationships[at];
            [&one["spdxElementId"], &one["relationshipType"], &one["relatedSpdxElement"]]
        };
        assert_eq!(related(0), ["SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-0"]);
        assert_eq!(related(1), ["SPDXRef-0", "CONTAINS", "SPDXRef-1"]);
        assert_eq!(related(2), ["SPDXRef-1", "CONTAINS", "SPDXRef-2"]);
        assert_eq!(document.packages[2]["packageFileName"], "wheel.libs/libx.so.1");
    }
}
