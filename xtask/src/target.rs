//! The machines that launchers can be built for, and what each is called by whom.

use anyhow::{Context, Result};

/// A machine: one row of [`TARGETS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// As Rust calls it.
    pub triple: &'static str,
    /// As GNU's tools and Debian's library folders do: "aarch64-linux-gnu".
    pub gnu: &'static str,
    /// As Debian's packages do: "arm64".
    pub debian: &'static str,
    /// As `uname -m`, `platform.machine()` and the tags of wheels do: "aarch64".
    pub machine: &'static str,
    /// As qemu does: "aarch64".
    pub qemu: &'static str,
    /// How wide a pointer is.
    pub bits: u8,
    /// What uv calls it, before `-manylinux_2_N`; none: uv has no wheels for it.
    pub uv: Option<&'static str>,
}

/// All of them. Whoever adds one needs a sysroot for it, and a look at `qemu-user`.
pub const TARGETS: [Target; 4] = [
    Target {
        triple: "x86_64-unknown-linux-gnu",
        gnu: "x86_64-linux-gnu",
        debian: "amd64",
        machine: "x86_64",
        qemu: "x86_64",
        bits: 64,
        uv: Some("x86_64"),
    },
    Target {
        triple: "aarch64-unknown-linux-gnu",
        gnu: "aarch64-linux-gnu",
        debian: "arm64",
        machine: "aarch64",
        qemu: "aarch64",
        bits: 64,
        uv: Some("aarch64"),
    },
    Target {
        triple: "armv7-unknown-linux-gnueabihf",
        gnu: "arm-linux-gnueabihf",
        debian: "armhf",
        machine: "armv7l",
        qemu: "arm",
        bits: 32,
        uv: None,
    },
    Target {
        triple: "riscv64gc-unknown-linux-gnu",
        gnu: "riscv64-linux-gnu",
        debian: "riscv64",
        machine: "riscv64",
        qemu: "riscv64",
        bits: 64,
        uv: None,
    },
];

impl Target {
    /// The machine of a Rust target triple. Image builds put their own name where others say `unknown`:
    /// `aarch64-poky-linux-gnu`, of which their rustc has a description of its own.
    ///
    /// # Errors
    /// It is none that launchers can be built for from elsewhere.
    pub fn of(triple: &str) -> Result<Target> {
        let words: Vec<&str> = triple.split('-').collect();
        let usual = match words[..] {
            [machine, _, system, library] => format!("{machine}-unknown-{system}-{library}"),
            _ => triple.to_owned(),
        };
        let known =
            TARGETS.into_iter().find(|target| target.triple == usual).with_context(|| {
                let known: Vec<&str> = TARGETS.iter().map(|target| target.triple).collect();
                format!(
                    "{triple} is no target that another machine can build for; there are {}",
                    known.join(", ")
                )
            })?;
        // A run has one of them.
        let triple = if known.triple == triple { known.triple } else { triple.to_owned().leak() };
        Ok(Target { triple, ..known })
    }

    /// What Debian's cross compiler is called, and the package that brings it.
    pub fn gcc(&self) -> (String, String) {
        // Debian writes no underscores into names of packages.
        (format!("{}-gcc", self.gnu), format!("gcc-{}", self.gnu.replace('_', "-")))
    }

    /// The environment variable that cargo reads for a key of `[target.TRIPLE]`: "LINKER".
    pub fn cargo_variable(&self, key: &str) -> String {
        format!("CARGO_TARGET_{}_{key}", self.triple.to_uppercase().replace('-', "_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_each_other() {
        let arm = Target::of("armv7-unknown-linux-gnueabihf").unwrap();
        assert_eq!(
            arm.cargo_variable("LINKER"),
            "CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_LINKER"
        );
        assert_eq!(arm.gcc(), ("arm-linux-gnueabihf-gcc".into(), "gcc-arm-linux-gnueabihf".into()));
        let poky = Target::of("armv7-poky-linux-gnueabihf").unwrap();
        assert_eq!((poky.triple, poky.gnu), ("armv7-poky-linux-gnueabihf", arm.gnu));
        assert!(Target::of("aarch64-poky-linux-musl").is_err());
        let error = Target::of("mips-unknown-linux-gnu").unwrap_err().to_string();
        assert!(error.starts_with("mips-unknown-linux-gnu is no target"), "{error}");
        assert!(error.contains("aarch64-unknown-linux-gnu"), "{error}");
    }
}
