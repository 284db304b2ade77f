//! The Rust crates inside the launcher, as cargo resolved them, and Rust's own library.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::licenses;
use super::parts::{Part, encode};
use crate::dist::hex;
use crate::dist::protect::Sealed;
use crate::dist::resolve::{self, Plan};
use crate::licenses::License;

/// What of Rust is in a launcher.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crates {
    /// The release of Rust whose standard library is linked: "1.91.0".
    rust: String,
    /// Crates that come from a registry. The launcher's own package is the application's program, not something
    /// that it contains.
    crates: Vec<Crate>,
}

/// A crate whose code is in the launcher.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Crate {
    name: String,
    version: String,
    /// As the crate says; empty when it says nothing.
    license: String,
    /// File name -> text.
    texts: BTreeMap<String, String>,
}

impl Crates {
    /// Asks cargo. What it said is kept until what it reads changes, for it takes as long as linking does.
    ///
    /// # Errors
    /// Cargo or rustc fail, or a file cannot be read or written.
    pub fn of_launcher(plan: &Plan, sealed: &Sealed) -> Result<Crates> {
        let paths = &plan.config.paths;
        let rust = resolve::rust_release()?;
        let features = sealed.features().join(",");
        let what = format!("4 {rust} {:?} {} {features}", plan.cargo, plan.target);
        let mut state = Sha256::new_with_prefix(what);
        let manifests = [paths.app_manifest(), paths.app().join("payload/Cargo.toml")];
        for file in manifests.into_iter().chain([paths.root.join("Cargo.lock")]) {
            let act = || format!("cannot read {}", file.display());
            state.update(fs::read(&file).with_context(act)?);
        }
        let kept = paths.cache().join("crates").join(hex(&state.finalize()));
        if let Some(found) =
            fs::read(&kept).ok().and_then(|text| serde_json::from_slice(&text).ok())
        {
            return Ok(found);
        }
        let found = Crates { rust, crates: ask(plan, &features)? };
        let act = || format!("cannot write {}", kept.display());
        let folder = kept.parent().with_context(act)?;
        fs::create_dir_all(folder).with_context(act)?;
        let mut file = NamedTempFile::new_in(folder).with_context(act)?;
        file.write_all(&serde_json::to_vec(&found)?).with_context(act)?;
        file.persist(&kept).with_context(act)?;
        Ok(found)
    }

    /// As parts of the image: Rust's library first.
    pub fn parts(self) -> impl Iterator<Item = Part> {
        let rust = Part {
            purl: format!("pkg:generic/rust@{}", encode(&self.rust)),
            name: "Rust standard library".to_owned(),
            cpe: Some(format!("cpe:2.3:a:rust-lang:rust:{}:*:*:*:*:*:*:*", self.rust)),
            license: License::stated("MIT OR Apache-2.0"),
            version: self.rust,
            ..Part::default()
        };
        let part = |one: Crate| Part {
            purl: format!("pkg:cargo/{}@{}", one.name, encode(&one.version)),
            license: License { texts: one.texts, ..License::stated(&one.license) },
            name: one.name,
            version: one.version,
            ..Part::default()
        };
        std::iter::once(rust).chain(self.crates.into_iter().map(part))
    }
}

/// `cargo tree` says which: the features of `cargo metadata` are those of the whole workspace, and xtask's would
/// be taken for the launcher's. `cargo metadata` says where they are; it wants to see each crate that Cargo.lock
/// names for this target, also those that nobody has compiled and that may still have to be fetched.
fn ask(plan: &Plan, features: &str) -> Result<Vec<Crate>> {
    let manifest = plan.config.paths.app_manifest();
    let output = Command::new(&plan.cargo)
        .arg("tree")
        .arg("--manifest-path")
        .arg(&manifest)
        .args(["--offline", "--edges", "normal,no-proc-macro", "--target", &plan.target])
        .args(["--prefix", "none", "--format", "{p}", "--features", features])
        .output()
        .with_context(|| format!("cannot start {}", plan.cargo.display()))?;
    if !output.status.success() {
        bail!(
            "cargo cannot list the launcher's crates\n{}",
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    let mut options = vec!["--filter-platform".to_owned(), plan.target.clone()];
    options.extend(plan.config.resolution.offline.then(|| "--offline".to_owned()));
    let metadata = MetadataCommand::new()
        .cargo_path(&plan.cargo)
        .manifest_path(&manifest)
        .other_options(options)
        .exec()
        .context("cargo cannot say where the launcher's crates are")?;
    let linked = parse(&String::from_utf8_lossy(&output.stdout));
    linked.into_iter().map(|(name, version)| read(&metadata, name, version)).collect()
}

/// (name, version) of lines like `libc v0.2.177`. `own v0.1.0 (/its/folder) (*)` comes from no registry.
fn parse(tree: &str) -> BTreeSet<(String, String)> {
    tree.lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let name = words.next()?.to_owned();
            let version = words.next()?.strip_prefix('v')?.to_owned();
            let local = words.next().is_some_and(|word| word.starts_with("(/"));
            (!local).then_some((name, version))
        })
        .collect()
}

fn read(metadata: &Metadata, name: String, version: String) -> Result<Crate> {
    let mut packages = metadata.packages.iter();
    let found =
        packages.find(|one| one.name.as_str() == name && one.version.to_string() == version);
    let package = found.with_context(|| format!("cargo does not say where {name} {version} is"))?;
    let folder = package.manifest_path.parent().map_or(Path::new("."), |path| path.as_std_path());
    let license = package.license.clone().unwrap_or_default();
    Ok(Crate { name, version, license, texts: licenses::texts(folder, 1)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_read_without_repetitions_and_folders() {
        let tree = "\
own v0.1.0 (/home/dev/ws/app)
libc v0.2.177
own-format v0.2.0 (/home/dev/ws/app/payload)
libc v0.2.177 (*)
";
        assert_eq!(parse(tree), BTreeSet::from([("libc".to_owned(), "0.2.177".to_owned())]));
    }

    #[test]
    fn rust_s_own_library_is_a_part() {
        let crates = Crates {
            rust: "1.91.0".to_owned(),
            crates: vec![Crate {
                name: "libc".into(),
                version: "0.2.177".into(),
                license: "MIT/Apache-2.0".into(),
                texts: BTreeMap::new(),
            }],
        };
        let parts: Vec<_> = crates.parts().map(|part| (part.purl, part.license.name)).collect();
        let free = || "MIT OR Apache-2.0".to_owned();
        assert_eq!(
            parts,
            [
                ("pkg:generic/rust@1.91.0".to_owned(), free()),
                ("pkg:cargo/libc@0.2.177".to_owned(), free())
            ]
        );
    }
}
