//! The launcher of an application on a device: a virtual machine with 96 MB of memory and no swap, a root that
//! is only read, and BusyBox or systemd as its first process.
//!
//! The machine is made of Debian's packages. What happens is read from its console, where the application
//! tells of itself in lines of JSON.

#[expect(dead_code, reason = "shared with the other end-to-end tests")]
#[path = "../support/mod.rs"]
mod support;

mod busybox;
mod debian;
mod image;
mod power;
mod reports;
mod systemd;
mod vm;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use debian::Debian;
use image::Image;
use support::{ROOT, workspace};

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
        let debian = Debian::unpacked(folder());
        let clone = workspace::workspace("device-image", "", "");
        let launchers: Vec<_> = LAUNCHERS
            .iter()
            .map(|(name, memory, service)| {
                let name = format!("guest-{name}");
                let device = format!(
                    "[package.metadata.pyrmware.memory]\n{memory}\n\
                     interval = \"100 ms\"\nreport-dir = \"/data/reports\"\n\
                     [package.metadata.pyrmware.service]\n{service}\n"
                );
                workspace::configure(&clone, "", &device);
                let app = ROOT.join("tests/device_image/app");
                let built = workspace::dist(&clone, &app, "host");
                let launcher = folder().join(&name);
                std::fs::copy(&built.launcher, &launcher).expect("it is copied");
                // A shared libpython, where there is no other.
                for file in built.beside() {
                    let to = folder().join(file);
                    std::fs::copy(built.folder.join(file), to).expect("it is copied");
                }
                (name, launcher)
            })
            .collect();
        Image::of(&debian, &launchers, folder())
    })
}
