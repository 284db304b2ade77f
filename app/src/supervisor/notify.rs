//! What the service manager is told, as `sd_notify` does.

use std::env;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::channel::Channel;
use super::sys;
use crate::log::{self, Priority};

/// The manager, if there is one that wants to know.
pub struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
    /// How often it wants to hear that all is well; none: it does not watch.
    pub watchdog: Option<Duration>,
}

/// A manager that does not listen must not stop whoever watches over the application.
const PATIENCE: Duration = Duration::from_secs(1);

impl Manager {
    /// The one that the environment names.
    pub fn find() -> Option<Manager> {
        let name = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty())?;
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            [b'/', ..] => SocketAddr::from_pathname(&name),
            // Of other kinds, such as a virtual machine's host, nothing is known.
            _ => return None,
        };
        let opened = address.and_then(|address| {
            let socket = UnixDatagram::unbound()?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok((socket, address))
        });
        match opened {
            Ok((socket, address)) => Some(Manager { socket, address, watchdog: watchdog() }),
            Err(error) => {
                let text =
                    format!("the service manager at {} is not told: {error}", name.display());
                log::line(Priority::Warning, &text);
                None
            }
        }
    }

    /// Tells it: lines of `NAME=value`.
    pub fn tell(&self, message: &str) {
        // Whoever started this process may be gone: the application goes on.
        let _ = self.socket.send_to_addr(message.as_bytes(), &self.address);
    }
}

/// What the manager asks for, if it asks this process.
fn watchdog() -> Option<Duration> {
    let number = |name| env::var(name).ok()?.parse::<u64>().ok();
    let asked = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    let period = number("WATCHDOG_USEC").filter(|period| asked && *period > 0)?;
    Some(Duration::from_micros(period))
}

/// To whom the application's messages go.
enum Target {
    Manager(Manager),
    /// The parent, which is the process that the manager knows.
    Parent(Channel),
}

static TARGET: OnceLock<Target> = OnceLock::new();
/// This is a child of the application, which does not speak for it.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Messages of this process go to the manager itself.
pub fn to_manager(manager: Manager) {
    // Set once: there is one start.
    let _ = TARGET.set(Target::Manager(manager));
}

/// Messages of this process go to its parent.
pub fn to_parent(channel: OwnedFd) {
    // Set once: there is one start.
    let _ = TARGET.set(Target::Parent(Channel::of(channel)));
}

/// This process is a child of the application.
pub fn be_silent() {
    SILENT.store(true, Ordering::Relaxed);
}

/// Tells the manager, by way of the parent where there is one: lines of `NAME=value`.
pub fn tell(message: &str) {
    if SILENT.load(Ordering::Relaxed) {
        return;
    }
    match TARGET.get() {
        Some(Target::Manager(manager)) => manager.tell(message),
        Some(Target::Parent(channel)) => channel.send(message),
        None => {}
    }
}

/// Whether somebody else answers for the application.
pub fn has_parent() -> bool {
    matches!(TARGET.get(), Some(Target::Parent(_)))
}

/// Tells the parent alone, as the last thing that this process does: it has no other files any more. Nothing is
/// told where the kernel cannot close them at once.
pub fn tell_last(message: &str) {
    if let Some(Target::Parent(channel)) = TARGET.get()
        && sys::close_all_but(channel.as_fd())
    {
        channel.send(message);
    }
}

/// Tells the parent alone.
pub fn tell_parent(message: &str) {
    if let Some(Target::Parent(channel)) = TARGET.get() {
        channel.send(message);
    }
}
