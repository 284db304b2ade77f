//! Flags for every crate of the launcher, added to whatever flags the user has.
//!
//! Cargo takes rustc's flags from one place only: `CARGO_ENCODED_RUSTFLAGS`, else `RUSTFLAGS`, else
//! `target.<triple>.rustflags` (all that match, joined), else `build.rustflags`. So ours are appended
//! where the user's are; in configuration files they join `target.<triple>.rustflags`, and
//! `build.rustflags`, which cargo would then no longer read, are carried over.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Separates flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\x1f";

/// How the flags reach cargo.
#[derive(Debug, PartialEq, Eq)]
pub enum Flags {
    /// In the environment, as `CARGO_ENCODED_RUSTFLAGS`.
    Encoded(String),
    /// As the value of `--config`.
    Config(String),
}

/// Adds `own` flags to the user's. `variable` reads the environment, `build` are the flags of
/// `build.rustflags`.
pub fn join(
    own: &[String],
    target: &str,
    variable: impl Fn(&str) -> Option<String>,
    build: impl FnOnce() -> Vec<String>,
) -> Flags {
    let encoded = variable("CARGO_ENCODED_RUSTFLAGS").filter(|flags| !flags.is_empty());
    let plain = || {
        let flags = variable("RUSTFLAGS")?;
        Some(flags.split_whitespace().collect::<Vec<_>>().join(SEPARATOR))
    };
    match encoded.or_else(plain).filter(|flags| !flags.is_empty()) {
        Some(users) => Flags::Encoded(format!("{users}{SEPARATOR}{}", own.join(SEPARATOR))),
        None => {
            let flags: Vec<toml::Value> =
                build().into_iter().chain(own.iter().cloned()).map(toml::Value::String).collect();
            Flags::Config(format!("target.{target}.rustflags={}", toml::Value::Array(flags)))
        }
    }
}

/// The user's `build.rustflags` as cargo would use them for a build in `folder`: none where a
/// `[target.…] rustflags` takes their place anyway.
pub fn from_files(folder: &Path, cargo_home: &Path, target: &str) -> Vec<String> {
    if let Some(flags) = std::env::var_os("CARGO_BUILD_RUSTFLAGS").and_then(text) {
        return flags;
    }
    let variable = format!("CARGO_TARGET_{}_RUSTFLAGS", target.to_uppercase().replace('-', "_"));
    if std::env::var_os(variable).is_some() {
        return Vec::new();
    }
    build_rustflags(&tables(folder, cargo_home), target)
}

/// Whether cargo's configuration names a linker of the target for builds in `folder`.
pub fn has_linker(folder: &Path, target: &str) -> bool {
    let home = super::cargo::home().unwrap_or_default();
    tables(folder, &home).iter().any(|file| {
        let targets = file.get("target").and_then(|targets| targets.get(target));
        targets.is_some_and(|table| table.get("linker").is_some())
    })
}

/// Cargo's configuration files for a build in `folder`, the nearest first.
fn tables(folder: &Path, cargo_home: &Path) -> Vec<toml::Table> {
    let folders = folder.ancestors().map(|folder| folder.join(".cargo"));
    let files = folders.chain([cargo_home.to_owned()]).flat_map(|folder| {
        // The older name wins where both exist, as in cargo.
        let names = ["config", "config.toml"].map(|name| folder.join(name));
        names.into_iter().find(|file| file.is_file())
    });
    let mut files: Vec<PathBuf> = files.collect();
    files.dedup();
    files.iter().filter_map(|file| std::fs::read_to_string(file).ok()?.parse().ok()).collect()
}

/// `build.rustflags` of several configuration files, the nearest first; cargo joins lists with the
/// nearest last.
fn build_rustflags(files: &[toml::Table], target: &str) -> Vec<String> {
    let replaced = files.iter().any(|file| {
        let Some(targets) = file.get("target").and_then(|targets| targets.as_table()) else {
            return false;
        };
        let matching = |name: &str| name == target || name.starts_with("cfg(");
        targets.iter().any(|(name, table)| matching(name) && table.get("rustflags").is_some())
    });
    if replaced {
        return Vec::new();
    }
    let flags = |file: &toml::Table| -> Vec<String> {
        match file.get("build").and_then(|build| build.get("rustflags")) {
            Some(toml::Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
            Some(toml::Value::Array(flags)) => {
                flags.iter().filter_map(|flag| flag.as_str().map(str::to_owned)).collect()
            }
            _ => Vec::new(),
        }
    };
    files.iter().rev().flat_map(flags).collect()
}

fn text(flags: OsString) -> Option<Vec<String>> {
    Some(flags.to_str()?.split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "x86_64-unknown-linux-gnu";

    fn own() -> Vec<String> {
        vec!["--remap-path-prefix=/a b=/c".to_owned()]
    }

    #[test]
    fn the_environment_s_flags_are_kept_in_cargo_s_order() {
        let both = |name: &str| match name {
            "CARGO_ENCODED_RUSTFLAGS" => Some("-Ca\x1f-Cb".to_owned()),
            _ => Some("-Cc".to_owned()),
        };
        let expected = Flags::Encoded("-Ca\x1f-Cb\x1f--remap-path-prefix=/a b=/c".to_owned());
        assert_eq!(join(&own(), TARGET, both, Vec::new), expected);
        let plain = |name: &str| (name == "RUSTFLAGS").then(|| " -Cc  -Cd ".to_owned());
        let expected = Flags::Encoded("-Cc\x1f-Cd\x1f--remap-path-prefix=/a b=/c".to_owned());
        assert_eq!(join(&own(), TARGET, plain, Vec::new), expected);
    }

    #[test]
    fn without_them_ours_join_the_configuration() {
        let empty = |name: &str| (name == "RUSTFLAGS").then(String::new);
        let expected = format!(
            "target.{TARGET}.rustflags=[\"-Ctarget-cpu=native\", \"--remap-path-prefix=/a b=/c\"]"
        );
        let build = || vec!["-Ctarget-cpu=native".to_owned()];
        assert_eq!(join(&own(), TARGET, empty, build), Flags::Config(expected));
    }

    #[test]
    fn build_flags_of_all_files_are_carried_over_unless_cargo_ignores_them() {
        let near: toml::Table = "build.rustflags = ['-Cnear']".parse().unwrap();
        let far: toml::Table = "build.rustflags = '-Cfar  -Cx'".parse().unwrap();
        let files = [near.clone(), far];
        assert_eq!(build_rustflags(&files, TARGET), ["-Cfar", "-Cx", "-Cnear"]);
        for target in [TARGET, "'cfg(unix)'"] {
            let other = format!("[target.{target}]\nrustflags = ['-Cy']").parse().unwrap();
            assert_eq!(build_rustflags(&[near.clone(), other], TARGET), Vec::<String>::new());
        }
        let other = "[target.armv7-unknown-linux-gnueabihf]\nrustflags = ['-Cy']".parse().unwrap();
        assert_eq!(build_rustflags(&[near, other], TARGET), ["-Cnear"]);
    }
}
