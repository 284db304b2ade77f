//! Debian's packages, from the mirrors of this machine, unpacked below the target folder. The machine itself is not
//! changed, and no root is needed.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Machine;
use crate::support;
use crate::support::task::Task;

/// What a device has besides the libraries that launchers are linked with, which `sysroot` gets anyway.
const PACKAGES: [&str; 2] = ["busybox-static", "systemd"];
/// What it does not have, as patterns of the shell: what programs are built with, what makes another initial RAM
/// disk, and udev, which would look for hardware that is not there.
const LEFT_OUT: &str = "usr/include usr/share var usr/lib/*/*.a usr/lib/*/gconv usr/lib/klibc usr/lib/linux-image-* \
                        usr/lib/python3* usr/lib/systemd/system/*/*udev* usr/lib/udev";

/// Unpacked packages.
pub struct Debian {
    /// The packages' files, with `/bin`, `/lib` and the like being links into `/usr`.
    pub root: PathBuf,
    /// The kernel's: `boot/`, `modules/`.
    pub kernel: PathBuf,
}

impl Debian {
    /// What was unpacked before, else anew, of this release.
    pub fn unpacked(machine: &Machine, suite: &str, folder: &Path) -> Debian {
        let packages = PACKAGES.into_iter().chain([machine.kernel]);
        let packages: Vec<&str> = packages.flat_map(|name| ["--package", name]).collect();
        let architecture = machine.target().debian;
        let digest = Sha256::digest(format!("{packages:?}{LEFT_OUT}"));
        let hash: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let unpacked = folder.join(format!("{suite}-{architecture}-{hash}"));
        let (root, kernel) = (unpacked.join("root"), unpacked.join("kernel"));
        if !unpacked.is_dir() {
            let aside = folder.join("debian-aside");
            let _ = fs::remove_dir_all(&aside);
            fs::create_dir_all(aside.join("kernel")).expect("a folder is made");
            let inside = aside.join("root");
            support::xtask()
                .args(["sysroot", "debian", suite, architecture])
                .args(packages)
                .arg("--out")
                .arg(&inside)
                .run()
                .success();
            for (from, to) in [("boot", "boot"), ("usr/lib/modules", "modules")] {
                fs::rename(inside.join(from), aside.join("kernel").join(to)).expect("it is moved");
            }
            let remove = format!("rm -rf {LEFT_OUT}");
            Task::new("sh").args(["-c", &remove]).cwd(&inside).run().success();
            fs::rename(&aside, &unpacked).expect("it is renamed");
        }
        Debian { root, kernel }
    }
}
