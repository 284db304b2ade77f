//! `Outcome -> Image`: what of an image folder goes into packages.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::config::Format;
use crate::dist::Outcome;
use crate::dist::collect::elf;
use crate::dist::report;
use crate::target::Target;

/// What of an image folder goes into a package.
#[derive(Debug, Default)]
pub struct Image {
    folder: PathBuf,
    /// Files beside the launcher.
    pub sidecars: Vec<String>,
    /// SONAMEs of libraries that it does not bring.
    pub system_libraries: Vec<String>,
    /// The release of glibc that it needs at least: "2.34".
    pub glibc: Option<String>,
    /// Rust's triple of the machine.
    target: String,
    /// Whether that has 64 bits.
    pub wide: bool,
    /// The time of all files, in seconds since 1970.
    pub epoch: u64,
}

/// The part of report.json that is read.
#[derive(Deserialize)]
struct Report {
    target: String,
    sidecars: BTreeMap<String, u64>,
    system_libraries: BTreeMap<String, Vec<String>>,
    glibc: Option<String>,
}

impl Image {
    /// Reads what `dist` has written.
    ///
    /// # Errors
    /// The report cannot be read.
    pub fn read(outcome: &Outcome) -> Result<Image> {
        let path = outcome.folder.join(report::JSON);
        let failed = || format!("cannot read {}", path.display());
        let report: Report =
            serde_json::from_slice(&fs::read(&path).with_context(failed)?).with_context(failed)?;
        Ok(Image {
            folder: outcome.folder.clone(),
            sidecars: report.sidecars.into_keys().collect(),
            system_libraries: report.system_libraries.into_keys().collect(),
            glibc: report.glibc,
            wide: elf::machine(&report.target).is_some_and(|(_, wide)| wide),
            target: report.target,
            epoch: outcome.epoch,
        })
    }

    /// One that asks for these libraries.
    #[cfg(test)]
    pub fn of_test(libraries: &[&str], glibc: Option<&str>) -> Image {
        Image {
            system_libraries: libraries.iter().map(|name| (*name).to_owned()).collect(),
            glibc: glibc.map(str::to_owned),
            wide: true,
            ..Image::default()
        }
    }

    /// A file of it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn bytes(&self, file: &str) -> Result<Vec<u8>> {
        let path = self.folder.join(file);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Rust's triple of the machine that it is for.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The machine as the format calls it, where there is one name for it.
    pub fn machine(&self, format: Format) -> Option<&'static str> {
        machine(format, &self.target)
    }
}

/// A Rust target triple as the format calls it. OpenWrt has names for kinds of processors, of which there are
/// many for 32-bit ARM.
fn machine(format: Format, triple: &str) -> Option<&'static str> {
    let target = Target::of(triple).ok()?;
    match (format, target.machine) {
        (Format::Deb, _) => Some(target.debian),
        (Format::Rpm, "armv7l") => Some("armv7hl"),
        (Format::Ipk, "x86_64") => Some("x86_64"),
        (Format::Ipk, "aarch64") => Some("aarch64_generic"),
        (Format::Ipk, _) => None,
        (Format::Tar | Format::Apk, "armv7l") => Some("armv7"),
        (_, machine) => Some(machine),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_called_as_each_format_calls_them() {
        let of = |triple: &str| Format::ALL.map(|format| machine(format, triple).unwrap_or("?"));
        let [x86, arm, riscv] = ["x86_64", "armv7l", "riscv64"];
        for (triple, names) in [
            ("x86_64-unknown-linux-gnu", [x86, "amd64", x86, x86, x86]),
            (
                "aarch64-unknown-linux-gnu",
                ["aarch64", "arm64", "aarch64_generic", "aarch64", "aarch64"],
            ),
            ("armv7-unknown-linux-gnueabihf", ["armv7", "armhf", "?", "armv7", "armv7hl"]),
            ("riscv64gc-unknown-linux-gnu", [riscv, riscv, "?", riscv, riscv]),
        ] {
            assert_eq!(of(triple), names, "{triple}");
        }
        assert_eq!(of(arm), ["?"; 5]);
    }
}
