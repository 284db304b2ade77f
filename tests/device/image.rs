//! The disks of a device: a root that is only read, and one for data.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Debian, Machine};
use crate::support::task::Task;
use crate::support::{self, ROOT};

/// What the kernel needs before it sees a disk, and a watchdog. What is built in is not looked for.
const MODULES: [&str; 6] =
    ["virtio_pci", "virtio_mmio", "virtio_blk", "crc32c_generic", "ext4", "softdog"];
/// What scripts call, and the first process.
const APPLETS: [&str; 19] = [
    "cat",
    "cut",
    "dmesg",
    "echo",
    "grep",
    "head",
    "ifconfig",
    "init",
    "insmod",
    "mkdir",
    "mount",
    "poweroff",
    "sed",
    "sh",
    "sleep",
    "switch_root",
    "sync",
    "tail",
    "umount",
];

/// What a device is made of.
pub struct Image {
    /// What it boots on.
    pub machine: &'static Machine,
    /// The kernel, as qemu starts it.
    pub kernel: PathBuf,
    /// The initial RAM disk.
    pub ram_disk: PathBuf,
    /// The root, an ext4 file system that may be used by many at once.
    pub root: PathBuf,
}

impl Image {
    /// Puts it together in a folder, with these launchers in `/usr/bin`, as `guest-NAME`, and libraries that Debian's
    /// packages may not have brought.
    pub fn of(
        machine: &'static Machine,
        debian: &Debian,
        launchers: &[(&str, PathBuf)],
        libraries: &[PathBuf],
        folder: &Path,
    ) -> Image {
        let work = folder.join("root");
        let _ = fs::remove_dir_all(&work);
        Task::new("cp").args(["--archive", "--"]).arg(&debian.root).arg(&work).run().success();
        for name in ["data", "dev", "proc", "run", "sys", "tmp", "var", "etc/guest"] {
            fs::create_dir_all(work.join(name)).expect("a folder is made");
        }
        link_applets(&work.join("usr/bin"));
        // The first process is BusyBox's or systemd's, whichever the kernel's command line names.
        symlink("../bin/busybox", work.join("usr/sbin/init")).expect("a link is made");
        for (name, launcher) in launchers {
            let to = work.join("usr/bin").join(format!("guest-{name}"));
            fs::copy(launcher, to).expect("it is copied");
        }
        for library in libraries {
            let to = work.join("usr/lib").join(machine.target().gnu);
            let to = to.join(library.file_name().expect("a name"));
            if !to.exists() {
                fs::copy(library, to).expect("a library is copied");
            }
        }
        support::copy(&guest(), &work.join("etc/guest"));
        configure(&work.join("etc"));
        let root = folder.join("root.ext4");
        file_system(&root, "root", "192M", &work);
        fs::remove_dir_all(&work).expect("it is removed");
        let kernels = fs::read_dir(debian.kernel.join("boot")).expect("it can be listed");
        let mut kernels = kernels.map(|entry| entry.expect("it is listed").path());
        let is_kernel = |path: &PathBuf| path.to_string_lossy().contains("/vmlinuz-");
        let kernel = kernels.find(is_kernel).expect("the package has a kernel");
        Image { machine, kernel, ram_disk: ram_disk(debian, folder), root }
    }
}

/// A disk for data, with a journal, and the folder that reports go to.
pub fn data(folder: &Path, name: &str) -> PathBuf {
    let work = folder.join(format!("data-{name}"));
    fs::create_dir_all(work.join("reports")).expect("a folder is made");
    data_with(folder, name, "16M", &work)
}

/// One of this size, with what a folder holds.
pub fn data_with(folder: &Path, name: &str, size: &str, content: &Path) -> PathBuf {
    let disk = folder.join(format!("data-{name}.ext4"));
    file_system(&disk, "data", size, content);
    disk
}

fn guest() -> PathBuf {
    ROOT.join("tests/device/guest")
}

/// An ext4 file system with what a folder holds; the label says which is which, as the order of disks is the board's.
/// Nobody need be root for that.
fn file_system(path: &Path, label: &str, size: &str, content: &Path) {
    let _ = fs::remove_file(path);
    // Debian has it where only root looks.
    let program =
        which::which_in("mke2fs", Some("/usr/sbin:/sbin"), "/").expect("e2fsprogs is installed");
    Task::new(program)
        .args(["-q", "-t", "ext4", "-E", "root_owner=0:0", "-m", "0", "-L", label, "-d"])
        .arg(content)
        .arg(path)
        .arg(size)
        .run()
        .success();
}

fn link_applets(folder: &Path) {
    for name in APPLETS {
        let link = folder.join(name);
        if !link.exists() {
            symlink("busybox", link).expect("a link is made");
        }
    }
}

/// What systemd wants of `/etc`, and BusyBox's table.
fn configure(etc: &Path) {
    let write = |name: &str, text: &str| fs::write(etc.join(name), text).expect("it is written");
    fs::copy(guest().join("inittab"), etc.join("inittab")).expect("it is copied");
    write("passwd", "root:x:0:0:root:/:/bin/sh\n");
    write("group", "root:x:0:\ntty:x:5:\nsystemd-journal:x:101:\n");
    write("machine-id", "0123456789abcdef0123456789abcdef\n");
    write("hostname", "guest\n");
    let units = etc.join("systemd/system");
    fs::create_dir_all(&units).expect("a folder is made");
    for unit in ["guest.service", "guest.socket", "self-tests.service"] {
        fs::copy(guest().join(unit), units.join(unit)).expect("a unit is copied");
    }
}

/// BusyBox, the kernel's modules in the order in which they need each other, and the first process.
fn ram_disk(debian: &Debian, folder: &Path) -> PathBuf {
    let work = folder.join("ram-disk");
    let _ = fs::remove_dir_all(&work);
    for name in ["bin", "dev", "modules", "proc", "root"] {
        fs::create_dir_all(work.join(name)).expect("a folder is made");
    }
    fs::copy(debian.root.join("bin/busybox"), work.join("bin/busybox")).expect("it is copied");
    link_applets(&work.join("bin"));
    let mut order = Vec::new();
    MODULES
        .iter()
        .for_each(|name| add_module(name, &debian.kernel, &work.join("modules"), &mut order));
    fs::write(work.join("modules/order"), order.join("\n")).expect("it is written");
    fs::copy(guest().join("early-init"), work.join("init")).expect("it is copied");
    let ram_disk = folder.join("ram-disk.cpio");
    let pack = "find . | cpio --quiet --create --format=newc --owner=0:0";
    let packed = Command::new("sh")
        .args(["-c", pack])
        .current_dir(&work)
        .stdout(fs::File::create(&ram_disk).expect("it is made"))
        .status();
    assert!(packed.expect("sh starts").success(), "cpio has failed");
    fs::remove_dir_all(&work).expect("it is removed");
    ram_disk
}

/// A module after those that it needs, each once.
fn add_module(name: &str, kernel: &Path, folder: &Path, order: &mut Vec<String>) {
    let (file, packed) = (format!("{name}.ko"), format!("{name}.ko.xz"));
    let mut files = walkdir::WalkDir::new(kernel.join("modules")).into_iter().flatten();
    let found = files.find(|entry| *entry.file_name() == *file || *entry.file_name() == *packed);
    let Some(found) = found.filter(|_| !order.iter().any(|added| added == name)) else { return };
    let bytes = match found.path().extension() {
        Some(end) if end == "xz" => {
            Task::new("xz")
                .args(["--decompress", "--stdout"])
                .arg(found.path())
                .run()
                .success()
                .stdout
        }
        _ => fs::read(found.path()).expect("a module can be read"),
    };
    let at = memchr::memmem::find(&bytes, b"\0depends=").expect("every module says so") + 9;
    let needed = bytes[at..].split(|byte| *byte == 0).next().unwrap_or_default();
    let needed = String::from_utf8_lossy(needed).into_owned();
    needed.split(',').for_each(|name| add_module(name, kernel, folder, order));
    fs::write(folder.join(file), bytes).expect("a module is copied");
    order.push(name.to_owned());
}
