//! A device: a virtual machine with little memory and no swap, a root that is only read, and BusyBox or systemd as
//! its first process.
//!
//! It is made of Debian's packages. What happens is read from its console, where the application tells of itself
//! in lines of JSON.

mod debian;
mod image;
mod vm;

use std::path::PathBuf;

use xtask::target::Target;

pub use debian::Debian;
pub use image::{Image, data, data_with};
pub use vm::Vm;

use crate::support::ROOT;

/// A kind of machine that devices are.
pub struct Machine {
    /// As Rust calls it; what Debian and qemu call it follows.
    triple: &'static str,
    /// Debian's package that names the newest kernel.
    kernel: &'static str,
    /// What qemu is told of the board and its processor.
    board: &'static [&'static str],
    /// The board's first serial port, as the kernel calls it.
    console: &'static str,
    /// The kind of qemu's disks that the board has a bus for.
    disk: &'static str,
    /// How much memory it has, in MB.
    memory: u32,
}

/// The machine that builds. Its kernel is for virtual machines: small, and most of what they need is built in.
pub const X86_64: Machine = Machine {
    triple: "x86_64-unknown-linux-gnu",
    kernel: "linux-image-cloud-amd64",
    board: &["-machine", "q35", "-cpu", "max"],
    console: "ttyS0",
    disk: "virtio-blk-pci",
    memory: 96,
};
/// A small processor of 64 bits.
pub const AARCH64: Machine = Machine {
    triple: "aarch64-unknown-linux-gnu",
    kernel: "linux-image-cloud-arm64",
    board: &["-machine", "virt", "-cpu", "cortex-a53"],
    console: "ttyAMA0",
    disk: "virtio-blk-pci",
    memory: 96,
};
/// One of 32 bits, whose kernel does not see this board's PCI.
pub const ARMV7: Machine = Machine {
    triple: "armv7-unknown-linux-gnueabihf",
    kernel: "linux-image-armmp",
    board: &["-machine", "virt", "-cpu", "cortex-a15"],
    console: "ttyAMA0",
    disk: "virtio-blk-device",
    memory: 64,
};

impl Machine {
    fn target(&self) -> Target {
        Target::of(self.triple).expect("it is one of those that launchers are built for")
    }
}

/// The application that does what it is told, and tells of it.
pub fn guest() -> PathBuf {
    ROOT.join("tests/device/app")
}

/// The tables of its launcher that say this of memory and of the service.
pub fn guest_tables(memory: &str, service: &str) -> String {
    format!(
        "[package.metadata.pyrmware.memory]\n{memory}\n\
         interval = \"100 ms\"\nreport-dir = \"/data/reports\"\n\
         [package.metadata.pyrmware.service]\n{service}\n"
    )
}
