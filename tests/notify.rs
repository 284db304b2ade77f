//! What the service manager is told, and when watchdogs are fed.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::Alone;
use crate::support::live::{Live, kill};
use crate::support::task::LIMIT;
use crate::support::workspace::{dist, workspace};

/// Tells its manager what its arguments say; makes progress unless SIGUSR1 has stopped it, until SIGUSR2.
const TELLER: &str = r#"
import os
import signal
import sys
import time

import pyrmware

hangs = False


def toggle(*_):
    global hangs
    hangs = not hangs
    os.write(1, b"hangs %a\n" % hangs)


signal.signal(signal.SIGUSR1, toggle)
signal.signal(signal.SIGUSR2, lambda *_: sys.exit(0))
print("main", os.getpid(), pyrmware.last_exit(), flush=True)
if sys.argv[1] == "tell":
    pyrmware.ready("serves\nall")
    if not os.fork():
        pyrmware.ready("of a child")
        os._exit(0)
    os.wait()
    pyrmware.reloading()
    pyrmware.ready()
    pyrmware.stopping("leaves")
    sys.exit(0)
while sys.argv[1] == "beat":
    if not hangs:
        pyrmware.heartbeat()
    time.sleep(0.05)
while sys.argv[1] == "hang":
    time.sleep(1)
"#;

fn teller(name: &str, restart: &str, folder: &Path) -> (TempDir, Alone) {
    let project = tempfile::tempdir().expect("a folder can be made");
    let table = "[project]\nname = \"teller\"\nversion = \"1\"\nrequires-python = \">=3.10\"\n\
                 [tool.pyrmware]\nentry = \"teller\"\n";
    fs::write(project.path().join("pyproject.toml"), table).expect("it is written");
    fs::write(project.path().join("teller.py"), TELLER).expect("it is written");
    let tables = format!(
        "[package.metadata.pyrmware.memory]\nhard = \"1 GiB\"\ngrace = \"2 s\"\nrestart = {restart:?}\n\
         [package.metadata.pyrmware.service]\nheartbeat = \"1 s\"\nback-off = \"0 s\"\n\
         watchdog = {:?}\nwatchdog-timeout = \"1 s\"\n",
        folder.join("watchdog").display()
    );
    let folder = workspace(name, "", &tables);
    let alone = dist(&folder, project.path(), "host").alone();
    (project, alone)
}

#[test]
fn the_manager_is_told_and_watchdogs_are_fed_for_heartbeats_alone() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for restart in ["exec", "zygote"] {
        let (_project, alone) = teller(&format!("notify-{restart}"), restart, folder.path());
        what_the_application_says_arrives(&alone, folder.path(), restart);
        feeding_stops_with_the_heartbeat(&alone, folder.path(), restart);
    }
}

fn what_the_application_says_arrives(alone: &Alone, folder: &Path, restart: &str) {
    let path = folder.join(restart);
    let hidden = format!("pyrmware-notify-{restart}-{}", std::process::id());
    let name = SocketAddr::from_abstract_name(&hidden).expect("a name");
    let sockets = [
        (UnixDatagram::bind(&path), path.display().to_string()),
        (UnixDatagram::bind_addr(&name), format!("@{hidden}")),
    ];
    for (socket, name) in sockets {
        let socket = socket.expect("it can be bound");
        socket.set_read_timeout(Some(LIMIT)).expect("it can be set");
        let live = Live::start(alone, &["tell"], &[("NOTIFY_SOCKET", &name)]);
        let pid = live.pid();
        assert_eq!(message(&socket), "READY=1\nSTATUS=serves all");
        let reloading = message(&socket);
        assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
        assert_eq!(message(&socket), "READY=1");
        assert_eq!(message(&socket), "STOPPING=1\nEXTEND_TIMEOUT_USEC=2000000\nSTATUS=leaves");
        let (code, lines) = live.end();
        assert_eq!(code, 0, "{pid}: {lines:?}");
    }
}

/// The watchdog is a pipe, and what is written to it is seen.
fn feeding_stops_with_the_heartbeat(alone: &Alone, folder: &Path, restart: &str) {
    let path = folder.join("watchdog");
    Command::new("mkfifo").arg(&path).status().expect("there is mkfifo");
    // For both, so that it can be opened before the launcher does.
    let mut device = OpenOptions::new().read(true).write(true).open(&path).expect("it is there");
    let socket = UnixDatagram::bind(folder.join("manager")).expect("it can be bound");
    socket.set_read_timeout(Some(LIMIT)).expect("it can be set");
    let name = folder.join("manager").display().to_string();
    let variables = [("NOTIFY_SOCKET", name.as_str()), ("WATCHDOG_USEC", "1000000")];

    let mut live = Live::start(alone, &["beat"], &variables);
    let main = live.line("main ");
    for _ in 0..5 {
        assert_eq!(fed(&mut device), 0);
        assert_eq!(message(&socket), "WATCHDOG=1");
    }
    live.signal(libc::SIGUSR1);
    live.line("hangs True");
    if restart == "exec" {
        // Three times as long as it is fed at the latest.
        while is_fed(&device, Duration::from_secs(3)) {
            assert_eq!(fed(&mut device), 0);
        }
        // It was the application that it waited for.
        live.signal(libc::SIGUSR1);
        assert_eq!(fed(&mut device), 0);
    } else {
        let next = live.line("main ");
        assert!(next.ends_with("hang") && next != main, "{next}");
        // That has helped, as far as is known yet.
        assert_eq!(fed(&mut device), 0);
    }
    live.signal(libc::SIGUSR2);
    let (code, lines) = live.end();
    assert_eq!(code, 0, "{lines:?}");
    let mut last = 0;
    while is_fed(&device, Duration::ZERO) {
        last = fed(&mut device);
    }
    assert_eq!(last, b'V', "a clean end lets the machine live");

    if restart == "zygote" {
        // It hangs again and again: the machine is to be reset.
        let mut live = Live::start(alone, &["beat"], &variables);
        for _ in 0..2 {
            let main = live.line("main ");
            let pid = main.split(' ').nth(1).and_then(|pid| pid.parse().ok()).expect("a number");
            assert_eq!(fed(&mut device), 0);
            // When this is answered it has handlers, and has begun.
            live.signal(libc::SIGUSR1);
            live.line("hangs True");
            kill(pid, libc::SIGSTOP);
        }
        live.line("hangs again and again: no watchdog is fed any more");
        live.line("main ");
        while is_fed(&device, Duration::from_secs(3)) {
            assert_eq!(fed(&mut device), 0);
        }
    }
    fs::remove_file(&path).expect("it is there");
    fs::remove_file(folder.join("manager")).expect("it is there");
}

/// What was written to the watchdog; waits for it.
fn fed(device: &mut File) -> u8 {
    assert!(is_fed(device, LIMIT), "nothing is written to the watchdog");
    let mut byte = [0];
    device.read_exact(&mut byte).expect("it can be read");
    byte[0]
}

/// Whether anything is written to it within this time.
fn is_fed(device: &File, within: Duration) -> bool {
    let mut polled = libc::pollfd { fd: device.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, as said.
    unsafe { libc::poll(&mut polled, 1, within.as_millis() as i32) == 1 }
}

/// What the manager is told next; waits for it.
pub fn message(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 4096];
    let length = socket.recv(&mut bytes).expect("a message comes");
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}
