//! `<app>.cdx.json`: CycloneDX 1.6.

use serde_json::{Value, json};

use super::{NO_TIME, timestamp, uuid};
use crate::dist::link::Image;
use crate::dist::report::parts::{Part, Parts, encode};
use crate::dist::resolve::Plan;
use crate::licenses::License;

/// Writes the bill.
pub fn bill(plan: &Plan, image: &Image, parts: &Parts) -> Value {
    let project = &plan.config.project;
    let app = format!("pkg:generic/{}@{}", encode(&project.name), encode(&project.version));
    let components: Vec<Value> = parts.parts.iter().map(component).collect();
    let refs = |components: &[Value]| -> Vec<Value> {
        components.iter().map(|one| one["bom-ref"].clone()).collect()
    };
    let mut dependencies = vec![json!({"ref": app, "dependsOn": refs(&components)})];
    for one in &components {
        let within = one["components"].as_array().into_iter().flatten();
        let named: Vec<Value> = within.filter(|one| one["type"] != "file").cloned().collect();
        if !named.is_empty() {
            dependencies.push(json!({"ref": one["bom-ref"], "dependsOn": refs(&named)}));
        }
    }
    let mut metadata = json!({
        "tools": {"components": [
            {"type": "application", "name": "pyrmware", "version": env!("CARGO_PKG_VERSION")},
        ]},
        "component": {
            "type": "firmware",
            "bom-ref": app,
            "name": project.name,
            "version": project.version,
            "description": project.description,
            "purl": app,
            "hashes": [{"alg": "SHA-256", "content": image.sha256}],
        },
    });
    let own = files(&app, &parts.files);
    if !own.is_empty() {
        metadata["component"]["components"] = own.into();
    }
    if plan.epoch != NO_TIME {
        metadata["timestamp"] = timestamp(plan.epoch).into();
    }
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", uuid(&image.sha256)),
        "version": 1,
        "metadata": metadata,
        "components": components,
        "dependencies": dependencies,
    })
}

fn component(part: &Part) -> Value {
    let mut component = library(&part.purl, &part.purl, &part.name, &part.version, &part.license);
    if let Some(cpe) = &part.cpe {
        component["cpe"] = cpe.as_str().into();
    }
    let within = part.within.iter().map(|one| {
        // The same crate may be in several wheels, and in the launcher.
        let place = format!("{}#{}@{}", part.purl, one.name, one.version);
        library(&place, &one.purl, &one.name, &one.version, &one.license)
    });
    let within: Vec<Value> = files(&part.purl, &part.files).into_iter().chain(within).collect();
    if !within.is_empty() {
        component["components"] = within.into();
    }
    component
}

fn library(place: &str, purl: &str, name: &str, version: &str, license: &License) -> Value {
    let mut component = json!({"type": "library", "bom-ref": place, "name": name});
    for (key, text) in [("version", version), ("purl", purl)] {
        if !text.is_empty() {
            component[key] = text.into();
        }
    }
    match (license.name.as_str(), license.spdx) {
        ("", _) => {}
        (text, true) => component["licenses"] = json!([{"expression": text}]),
        (text, false) => component["licenses"] = json!([{"license": {"name": text}}]),
    }
    component
}

/// Shared libraries, which nobody names with a version.
fn files(owner: &str, files: &[(String, String)]) -> Vec<Value> {
    let file = |(path, sha256): &(String, String)| {
        json!({
            "type": "file",
            "bom-ref": format!("{owner}#{path}"),
            "name": path,
            "hashes": [{"alg": "SHA-256", "content": sha256}],
        })
    };
    files.iter().map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::report::documented::Documented;

    #[test]
    fn a_licence_is_an_expression_or_words_or_nothing() {
        let licenses =
            |text: &str| library("x", "", "x", "1", &License::stated(text))["licenses"].clone();
        assert_eq!(licenses("MIT OR Apache-2.0")[0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(licenses("BSD")[0]["license"]["name"], "BSD");
        assert_eq!(licenses(""), Value::Null);
    }

    #[test]
    fn what_is_inside_a_wheel_is_in_its_component() {
        let wheel = Part {
            purl: "pkg:pypi/a@1".to_owned(),
            name: "a".to_owned(),
            version: "1".to_owned(),
            files: vec![("a.libs/x.so".to_owned(), "ab".to_owned())],
            within: vec![Documented {
                purl: "pkg:cargo/libc@0.2.1".to_owned(),
                name: "libc".to_owned(),
                version: "0.2.1".to_owned(),
                license: License::stated("MIT"),
            }],
            ..Part::default()
        };
        let expected = json!([{
            "type": "file",
            "bom-ref": "pkg:pypi/a@1#a.libs/x.so",
            "name": "a.libs/x.so",
            "hashes": [{"alg": "SHA-256", "content": "ab"}],
        }, {
            "type": "library",
            "bom-ref": "pkg:pypi/a@1#libc@0.2.1",
            "name": "libc",
            "version": "0.2.1",
            "purl": "pkg:cargo/libc@0.2.1",
            "licenses": [{"expression": "MIT"}],
        }]);
        assert_eq!(component(&wheel)["components"], expected);
    }
}
