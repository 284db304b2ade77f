//! `<app>.cdx.json`: a software bill of materials, CycloneDX 1.6. The same image gives the same file.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::crates::Crate;
use super::inventory::{FileItem, Inventory, Owner};
use super::licenses::{self, License};
use crate::dist::hex;
use crate::dist::link::Image;
use crate::dist::resolve::Plan;

/// What [`Plan::epoch`] is when nobody named a time; the bill then carries none.
const NO_TIME: u64 = 315_532_800;

/// Writes the bill.
pub fn bill(
    plan: &Plan,
    image: &Image,
    inventory: &Inventory,
    licenses: &BTreeMap<String, License>,
    crates: &BTreeSet<Crate>,
) -> Value {
    let project = &plan.config.project;
    let mut python = python(plan);
    contain(&mut python, inventory, |owner| owner.origin == "stdlib");
    let mut components = vec![python];
    for (id, found) in &inventory.distributions {
        let license = licenses.get(id).cloned().unwrap_or_default();
        let mut wheel = component(
            &format!("pkg:pypi/{id}@{}", encode(&found.version)),
            &found.name,
            &found.version,
            expression(&license.name, license.spdx),
        );
        contain(&mut wheel, inventory, |owner| owner.distribution.as_ref() == Some(id));
        components.push(wheel);
    }
    // The launcher's own package is the application's program, not something that it contains.
    for one in crates.iter().filter(|one| !one.local) {
        components.push(component(
            &format!("pkg:cargo/{}@{}", one.name, encode(&one.version)),
            &one.name,
            &one.version,
            expression(&one.license, true),
        ));
    }
    let app = format!("pkg:generic/{}@{}", encode(&project.name), encode(&project.version));
    let refs: Vec<Value> = components.iter().map(|one| one["bom-ref"].clone()).collect();
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
    contain(&mut metadata["component"], inventory, |owner| owner.origin == "application");
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
        "dependencies": [{"ref": app, "dependsOn": refs}],
    })
}

fn python(plan: &Plan) -> Value {
    let version = &plan.interpreter.full_version;
    let purl = format!("pkg:generic/python@{}", encode(version));
    let mut python = component(&purl, "CPython", version, expression(licenses::PYTHON, true));
    python["cpe"] = format!("cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*").into();
    python
}

fn component(purl: &str, name: &str, version: &str, licenses: Value) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
    });
    if !licenses.is_null() {
        component["licenses"] = licenses;
    }
    component
}

/// Puts the shared libraries of an owner, which nobody names with a version, into its component as files.
fn contain(component: &mut Value, inventory: &Inventory, owns: impl Fn(&Owner) -> bool) {
    let parent = component["bom-ref"].as_str().unwrap_or_default();
    let files: Vec<Value> = inventory
        .libraries
        .iter()
        .filter(|library| owns(&library.owner))
        .map(|FileItem { path, .. }| {
            json!({
                "type": "file",
                "bom-ref": format!("{parent}#{path}"),
                "name": path,
                "hashes": [{"alg": "SHA-256", "content": inventory.hashes.get(path)}],
            })
        })
        .collect();
    if !files.is_empty() {
        component["components"] = files.into();
    }
}

/// An SPDX expression where it is one, else the licence's name in words.
fn expression(text: &str, spdx: bool) -> Value {
    match (text, spdx) {
        ("", _) => Value::Null,
        (text, true) => json!([{"expression": text}]),
        (text, false) => json!([{"license": {"name": text}}]),
    }
}

/// What a purl needs escaped in names and versions ("1.0+local").
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// A UUID of version 8 (RFC 9562: from a hash of our own) that belongs to this launcher.
fn uuid(sha256: &str) -> String {
    let mut bytes: [u8; 16] = [0; 16];
    bytes.copy_from_slice(&Sha256::digest(format!("pyrmware bill of {sha256}"))[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Seconds since 1970 -> `2026-11-22T19:00:00Z`.
fn timestamp(seconds: u64) -> String {
    let (days, time) = (seconds / 86400, seconds % 86400);
    // Days since 0000-03-01, so that a leap day is a year's last day.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, year) = match month {
        0..10 => (month + 3, era * 400 + year),
        _ => (month - 9, era * 400 + year + 1),
    };
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(timestamp(seconds), text);
        }
    }

    #[test]
    fn the_serial_number_belongs_to_the_launcher() {
        let one = uuid("ab");
        assert_eq!(one, uuid("ab"));
        assert_ne!(one, uuid("cd"));
        assert_eq!((one.len(), &one[14..15]), (36, "8"));
        assert!("89ab".contains(&one[19..20]), "{one}");
    }

    #[test]
    fn a_licence_is_an_expression_or_words_or_nothing() {
        assert_eq!(expression("MIT OR Apache-2.0", true)[0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(expression("BSD", false)[0]["license"]["name"], "BSD");
        assert!(component("pkg:x", "x", "1", expression("", false)).get("licenses").is_none());
        assert_eq!(encode("1.0+local"), "1.0%2Blocal");
    }

    #[test]
    fn libraries_inside_a_wheel_are_files_of_it() {
        let library = |distribution: &str, path: &str| FileItem {
            path: path.into(),
            owner: Owner { origin: "dependency", distribution: Some(distribution.into()) },
            bytes: 1,
        };
        let inventory = Inventory {
            libraries: vec![library("a", "a.libs/x.so"), library("b", "b.libs/y.so")],
            hashes: BTreeMap::from([("a.libs/x.so".into(), "ab".into())]),
            ..Inventory::default()
        };
        let mut wheel = component("pkg:pypi/a@1", "a", "1", Value::Null);
        contain(&mut wheel, &inventory, |owner| owner.distribution.as_deref() == Some("a"));
        let expected = json!([{
            "type": "file",
            "bom-ref": "pkg:pypi/a@1#a.libs/x.so",
            "name": "a.libs/x.so",
            "hashes": [{"alg": "SHA-256", "content": "ab"}],
        }]);
        assert_eq!(wheel["components"], expected);
    }
}
