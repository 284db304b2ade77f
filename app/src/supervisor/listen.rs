//! Sockets that outlive a restart: bound here, or passed by the service manager, and passed on as it does it.

use std::env;
use std::io;
use std::mem::ManuallyDrop;
use std::net::TcpListener;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use super::sys;
use crate::action::Refusal;
use crate::log::EXIT_CONFIG;

/// The first one's number, as `sd_listen_fds` has it.
const FIRST: RawFd = 3;

/// What is passed to the application.
#[derive(Clone, Debug, Default)]
pub struct Sockets {
    count: RawFd,
    names: Vec<String>,
}

impl Sockets {
    /// Takes those that were passed to this process, and binds all addresses that none of them has.
    ///
    /// # Errors
    /// An address cannot be bound, or the number that its socket must have is taken.
    pub fn open(addresses: &[String]) -> Result<Sockets, Refusal> {
        let mut sockets = Sockets::passed();
        for address in addresses {
            if (0..sockets.count).any(|at| has_address(FIRST + at, address)) {
                continue;
            }
            let why = |error: &dyn std::fmt::Display| Refusal {
                text: format!("cannot listen on {address}: {error}"),
                code: EXIT_CONFIG,
            };
            let bound = bind(address).map_err(|error| why(&error))?;
            let number = FIRST + sockets.count;
            let placed = sys::copy_to(&bound, number).map_err(|error| why(&error))?;
            // Else it would be taken by what was just bound.
            let placed = match placed {
                None if std::os::fd::AsRawFd::as_raw_fd(&bound) == number => Some(bound),
                placed => placed,
            };
            let taken = format!("descriptor {number} is in use; start the launcher without it");
            std::mem::forget(placed.ok_or_else(|| why(&taken))?);
            sockets.count += 1;
            sockets.names.push(name_of(address));
        }
        for at in 0..sockets.count {
            sys::set_close_on_exec(FIRST + at, true);
        }
        Ok(sockets)
    }

    /// As the environment says.
    fn passed() -> Sockets {
        let number = |name| env::var(name).ok()?.parse::<RawFd>().ok();
        if number("LISTEN_PID") != Some(sys::own_pid()) {
            return Sockets::default();
        }
        let count = number("LISTEN_FDS").filter(|count| (1..=1024).contains(count)).unwrap_or(0);
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names: Vec<String> = names.split(':').map(str::to_owned).collect();
        names.resize(count as usize, "unknown".to_owned());
        Sockets { count, names }
    }

    /// What the process with this number is told of them; nothing where there are none.
    pub fn environment(&self, pid: libc::pid_t) -> Vec<(&'static str, String)> {
        if self.count == 0 {
            return Vec::new();
        }
        vec![
            ("LISTEN_FDS", self.count.to_string()),
            ("LISTEN_PID", pid.to_string()),
            ("LISTEN_FDNAMES", self.names.join(":")),
        ]
    }

    /// This process becomes another program, which gets them.
    pub fn keep_over_exec(&self) {
        for at in 0..self.count {
            sys::set_close_on_exec(FIRST + at, false);
        }
    }
}

/// Names stand between colons.
fn name_of(address: &str) -> String {
    address.replace("://", "-").replace(':', "-")
}

fn bind(address: &str) -> io::Result<OwnedFd> {
    if let Some(address) = address.strip_prefix("tcp://") {
        return TcpListener::bind(address).map(OwnedFd::from);
    }
    let path = address.strip_prefix("unix:").unwrap_or(address);
    if let Some(name) = path.strip_prefix('@') {
        let address = SocketAddr::from_abstract_name(name)?;
        return UnixListener::bind_addr(&address).map(OwnedFd::from);
    }
    // What an earlier process has left there, and nobody listens on.
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refused = io::ErrorKind::ConnectionRefused;
    if is_socket && UnixStream::connect(path).is_err_and(|error| error.kind() == refused) {
        std::fs::remove_file(path)?;
    }
    UnixListener::bind(path).map(OwnedFd::from)
}

/// Whether an open socket is bound to this address.
fn has_address(descriptor: RawFd, address: &str) -> bool {
    if let Some(address) = address.strip_prefix("tcp://") {
        // SAFETY: it is only asked for its address, and not closed.
        let socket = unsafe { ManuallyDrop::new(TcpListener::from_raw_fd(descriptor)) };
        return socket.local_addr().is_ok_and(|own| own.to_string() == address);
    }
    // SAFETY: as above.
    let socket = unsafe { ManuallyDrop::new(UnixListener::from_raw_fd(descriptor)) };
    let path = address.strip_prefix("unix:").unwrap_or(address);
    socket.local_addr().is_ok_and(|own| match path.strip_prefix('@') {
        Some(name) => own.as_abstract_name() == Some(name.as_bytes()),
        None => own.as_pathname().is_some_and(|own| own.as_os_str() == path),
    })
}
