//! The launcher of an application on a device of 96 MB that is a virtual machine of the kind that builds: memory,
//! restarts, watchdogs, power cuts.

#[expect(dead_code, reason = "shared with the other end-to-end tests")]
#[path = "../support/mod.rs"]
mod support;

mod busybox;
#[expect(dead_code, reason = "shared with devices of other kinds")]
#[path = "../device/mod.rs"]
mod device;
mod disk_log;
mod power;
mod reports;
mod systemd;
mod updates;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use device::{Debian, Image, X86_64};
use support::task::Task;
use support::workspace;

/// A launcher of the application: its name, and what it is told of memory and of the service.
const LAUNCHERS: [(&str, &str, &str); 7] = [
    // The machine's memory counts, of which there are 60 MB, and 40 for processes.
    ("exec", "soft = \"40%\"\nhard = \"70%\"\nrestart = \"exec\"", ""),
    // The control group's counts.
    ("init", "soft = \"60%\"\nhard = \"80%\"\nrestart = \"init\"", ""),
    // It is told and no more: what grows fast is the kernel's to end.
    ("report", "hard = \"95%\"\non-hard = \"report\"", ""),
    // It is nowhere near it.
    ("pressed", "soft = \"64 MiB\"", ""),
    (
        "zygote",
        "soft = \"60%\"\nhard = \"80%\"\nrestart = \"zygote\"",
        "heartbeat = \"5 s\"\nlisten = [\"unix:/run/guest.sock\"]",
    ),
    // systemd's watchdog is fed while there are heartbeats,
    ("watched", "hard = \"80%\"", "heartbeat = \"5 s\""),
    // and the machine's.
    (
        "reset",
        "hard = \"80%\"",
        "heartbeat = \"5 s\"\nwatchdog = \"/dev/watchdog0\"\nwatchdog-timeout = \"20 s\"",
    ),
];

fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = support::scratch().join("device-image");
        std::fs::create_dir_all(&folder).expect("a folder is made");
        folder
    })
}

/// The image of the device, made once in a run.
fn image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let debian = Debian::unpacked(&X86_64, &release(), folder());
        let clone = workspace::workspace("device-image", "", "");
        let launchers = LAUNCHERS.map(|(name, memory, service)| {
            workspace::configure(&clone, "", &device::guest_tables(memory, service));
            let built = workspace::dist(&clone, &device::guest(), "host");
            let launcher = folder().join(format!("guest-{name}"));
            std::fs::copy(&built.launcher, &launcher).expect("it is copied");
            // A shared libpython, where there is no other.
            for file in built.beside() {
                let to = folder().join(file);
                std::fs::copy(built.folder.join(file), to).expect("it is copied");
            }
            (name, launcher)
        });
        let mut launchers = Vec::from(launchers);
        launchers.push(("update", gate().to_owned()));
        let libraries: Vec<_> = launchers.iter().flat_map(|(_, file)| libraries(file)).collect();
        Image::of(&X86_64, &debian, &launchers, &libraries, folder())
    })
}

/// A launcher that takes updates: version 1 of the application `gate`.
fn gate() -> &'static Path {
    static LAUNCHER: OnceLock<PathBuf> = OnceLock::new();
    LAUNCHER.get_or_init(|| {
        let launcher = folder().join("guest-update");
        std::fs::copy(updates::GATE.dist("1").launcher, &launcher).expect("it is copied");
        launcher
    })
}

/// This machine's release of Debian, whose libraries are those that launchers are linked with here.
fn release() -> String {
    let text = std::fs::read_to_string("/etc/os-release").expect("every Debian has it");
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    name.expect("a release of Debian").trim_matches('"').to_owned()
}

/// The shared libraries of this machine that a launcher needs: its interpreter need not be Debian's.
fn libraries(launcher: &Path) -> Vec<PathBuf> {
    let found = Task::new("ldd").arg(launcher).run().success().out();
    // "libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x…)"
    let paths = found.lines().filter_map(|line| line.split("=> ").nth(1)?.split(' ').next());
    paths.map(PathBuf::from).collect()
}
