//! What a distribution says is inside its extension modules and libraries: the bills of materials in its
//! `.dist-info/sboms` (PEP 770), as maturin, auditwheel and cryptography write them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use walkdir::WalkDir;

use crate::licenses::License;

/// A part that another one's makers have named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Documented {
    /// Package URL; empty when there is none.
    pub purl: String,
    pub name: String,
    /// Empty when there is none.
    pub version: String,
    pub license: License,
}

/// The parts, by name and version, and the documents that say nothing that is understood here.
pub fn read(info: &Path) -> Result<(Vec<Documented>, Vec<String>)> {
    let folder = info.join("sboms");
    let (mut parts, mut unread) = (Vec::new(), Vec::new());
    if !folder.is_dir() {
        return Ok((parts, unread));
    }
    for entry in WalkDir::new(&folder).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        if !entry.file_type().is_file() {
            continue;
        }
        let file = entry.path();
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        match serde_json::from_slice(&bytes).ok().as_ref().and_then(understand) {
            Some(found) => parts.extend(found),
            None => unread.push(file.strip_prefix(info).unwrap_or(file).display().to_string()),
        }
    }
    parts.sort_by(|a, b| (&a.name, &a.version, &a.purl).cmp(&(&b.name, &b.version, &b.purl)));
    parts.dedup_by(|a, b| (&a.name, &a.version, &a.purl) == (&b.name, &b.version, &b.purl));
    Ok((parts, unread))
}

fn understand(bill: &Value) -> Option<Vec<Documented>> {
    if bill["bomFormat"] == "CycloneDX" {
        let mut parts = Vec::new();
        cyclonedx(&bill["components"], &mut parts);
        return Some(parts);
    }
    bill["spdxVersion"].is_string().then(|| spdx(bill))
}

/// Components, and those inside them. What was needed to build only is not in the product.
fn cyclonedx(components: &Value, parts: &mut Vec<Documented>) {
    for one in components.as_array().into_iter().flatten() {
        if one["scope"] != "excluded" && one["type"] != "file" {
            let license = |entry: &Value| {
                let id = ["/expression", "/license/id", "/license/name"];
                id.iter().find_map(|path| Some(entry.pointer(path)?.as_str()?.to_owned()))
            };
            let licenses = one["licenses"].as_array().into_iter().flatten();
            let all: Vec<String> = licenses.filter_map(license).collect();
            parts.extend(part(one, "version", text(&one["purl"]), &all.join(" AND ")));
        }
        cyclonedx(&one["components"], parts);
    }
}

/// Packages, but for the one that the document is about.
fn spdx(bill: &Value) -> Vec<Documented> {
    let list = |key: &str| bill[key].as_array().into_iter().flatten();
    let described = list("documentDescribes").filter_map(Value::as_str);
    let relation = |one: &&Value| one["relationshipType"] == "DESCRIBES";
    let related = list("relationships").filter(relation);
    let related = related.filter_map(|one| one["relatedSpdxElement"].as_str());
    let about: BTreeSet<&str> = described.chain(related).collect();
    let inside = list("packages").filter(|one| !about.contains(text(&one["SPDXID"])));
    let read = |one: &Value| {
        let references = one["externalRefs"].as_array().into_iter().flatten();
        let mut purls = references.filter(|reference| reference["referenceType"] == "purl");
        let purl = purls.next().map_or("", |reference| text(&reference["referenceLocator"]));
        let stated = ["licenseConcluded", "licenseDeclared"].map(|key| text(&one[key]));
        let says = |name: &&str| !["", "NOASSERTION", "NONE"].contains(name);
        let license = stated.into_iter().find(says).unwrap_or_default();
        part(one, "versionInfo", purl, license)
    };
    inside.filter_map(read).collect()
}

fn part(one: &Value, version: &str, purl: &str, license: &str) -> Option<Documented> {
    let name = one["name"].as_str()?;
    Some(Documented {
        // Where it lay when it was built is nobody's business.
        purl: purl.split("?download_url=file:").next().unwrap_or_default().to_owned(),
        name: name.to_owned(),
        version: text(&one[version]).to_owned(),
        license: License::stated(license),
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(parts: &[Documented]) -> Vec<String> {
        let one = |part: &Documented| {
            let Documented { purl, name, version, license } = part;
            format!("{name} {version} {purl} {}", license.name)
        };
        parts.iter().map(one).collect()
    }

    #[test]
    fn both_forms_are_read_and_what_only_built_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("sboms/deeper");
        fs::create_dir_all(&folder).unwrap();
        let cyclonedx = json!({"bomFormat": "CycloneDX", "components": [
            {"type": "library", "name": "z", "version": "1", "purl": "pkg:cargo/z@1?download_url=file://.",
             "licenses": [{"license": {"id": "MIT"}}, {"license": {"id": "ISC"}}],
             "components": [{"type": "library", "name": "inner"}, {"type": "file", "name": "z.c"}]},
            {"type": "library", "name": "cc", "version": "1", "scope": "excluded"},
            {"type": "library", "name": "z", "version": "1", "purl": "pkg:cargo/z@1"},
        ]});
        let spdx = json!({"spdxVersion": "SPDX-2.3", "packages": [
            {"SPDXID": "SPDXRef-0", "name": "the wheel", "versionInfo": "1"},
            {"SPDXID": "SPDXRef-1", "name": "libz", "versionInfo": "1.3", "licenseConcluded": "NOASSERTION",
             "licenseDeclared": "Zlib", "externalRefs": [
                {"referenceType": "purl", "referenceLocator": "pkg:rpm/almalinux/zlib@1.3?arch=x86_64"}]},
        ], "relationships": [
            {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-0"},
        ]});
        for (name, text) in [
            ("a.cdx.json", cyclonedx.to_string()),
            ("b.spdx.json", spdx.to_string()),
            ("deeper/c.xml", "<bom/>".to_owned()),
            ("d.json", "{}".to_owned()),
        ] {
            fs::write(dir.path().join("sboms").join(name), text).unwrap();
        }
        let (parts, unread) = read(dir.path()).unwrap();
        assert_eq!(
            told(&parts),
            [
                "inner   ",
                "libz 1.3 pkg:rpm/almalinux/zlib@1.3?arch=x86_64 Zlib",
                "z 1 pkg:cargo/z@1 MIT AND ISC"
            ]
        );
        assert_eq!(unread, ["sboms/d.json", "sboms/deeper/c.xml"]);
        assert_eq!(read(&dir.path().join("none")).unwrap(), (Vec::new(), Vec::new()));
    }
}
