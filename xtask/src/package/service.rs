//! `Config -> Service`: what whoever starts the application has to know, whoever that is.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::config::{Config, Init, Update, is_user};

/// The application as a service.
#[derive(Debug, Clone, Default)]
pub struct Service {
    /// Of the package, the unit, the script.
    pub name: String,
    /// One line.
    pub summary: String,
    /// The launcher, absolute.
    pub command: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// As whom it runs; none: as root.
    pub user: Option<String>,
    /// Its folder below `/var/lib`.
    pub state: Option<String>,
    /// Folders below `/run` that its sockets are in.
    pub runtime: BTreeSet<String>,
    /// Other folders that it may write to, absolute.
    pub writable: BTreeSet<String>,
    /// It says when it is ready.
    pub notify: bool,
    /// It must make progress, as it says, within this time.
    pub watchdog: Option<Duration>,
    /// The file of the machine's watchdog, which it feeds itself.
    pub device: Option<String>,
    /// It is several processes, the first of which passes signals on.
    pub zygote: bool,
    /// What it takes to end.
    pub stop: Option<Duration>,
    /// Before it is started again after it failed.
    pub restart: Duration,
    /// It listens on a port that is root's.
    pub low_port: Option<u16>,
    /// Bytes.
    pub memory_max: Option<u64>,
    /// systemd's name of the key of its code.
    pub credential: Option<String>,
    /// The key of its code is in the kernel's keyring.
    pub keyring: bool,
    /// Lines for the unit.
    pub unit: Vec<String>,
}

/// Heartbeats that may be late before the service manager ends all of it.
const MISSED: u32 = 2;
/// Between a failure and the next start at least: what fails at once must not keep the machine busy.
const RESTART: Duration = Duration::from_secs(1);
/// For what comes before and after the application's own end.
const MARGIN: Duration = Duration::from_secs(5);
/// Ports below are root's.
const FIRST_FREE_PORT: u16 = 1024;

impl Service {
    /// Puts together what the tables say.
    ///
    /// # Errors
    /// No user can be named as the package is, or the user could not listen where it is said.
    pub fn of(config: &Config, name: &str, summary: &str, command: String) -> Result<Service> {
        let package = &config.device.package;
        let (service, memory) = (&config.device.service, config.device.memory.as_ref());
        let user = package.user.clone().unwrap_or_else(|| name.to_owned());
        if !is_user(&user) {
            bail!(
                "no user can be named {user}, as the package is; name one with user = \"…\" in \
                 [package.metadata.pyrmware.package] of {}",
                config.paths.app_manifest().display()
            );
        }
        let user = Some(user).filter(|user| user != "root");
        let zygote = memory.is_some_and(|memory| memory.has_zygote());
        let grace = memory.map(|memory| memory.grace());
        let reports = memory.and_then(|memory| memory.report_dir());
        let mut writable: BTreeSet<String> = package.writable.iter().cloned().collect();
        let update = config.device.update.as_ref().map(Update::dir);
        let below = |dir: &str| dir.strip_prefix("/var/lib/")?.split('/').next().map(str::to_owned);
        let state = package.state.clone();
        let state = state.or_else(|| reports.and_then(below)).or_else(|| update.and_then(below));
        // Folders that are not in its own.
        let outside = reports.into_iter().chain(update).filter(|dir| below(dir) != state);
        writable.extend(outside.map(str::to_owned));
        // With a zygote an application that hangs is replaced first.
        let patience = if zygote { grace.unwrap_or_default() } else { Duration::ZERO };
        let key = config.project.protect.key.as_ref().and_then(|key| key.kind());
        Ok(Service {
            runtime: sockets(service.listen(), user.as_deref(), name)?,
            low_port: service.listen().iter().find_map(|address| low_port(address)),
            name: name.to_owned(),
            summary: summary.to_owned(),
            command,
            arguments: package.arguments.clone(),
            user,
            state,
            writable,
            notify: package.notify,
            watchdog: service.heartbeat().map(|time| time * MISSED + patience),
            device: service.watchdog().map(str::to_owned),
            zygote,
            stop: grace.map(|grace| grace + MARGIN),
            restart: service.back_off().max(RESTART),
            memory_max: package.memory_max,
            credential: key.filter(|key| key.0 == "credential").map(|(_, name)| name.to_owned()),
            keyring: key.is_some_and(|(kind, _)| kind == "keyring"),
            unit: package.unit.clone(),
        })
    }

    /// Why this one cannot start it.
    pub fn unable(&self, init: Init) -> Option<String> {
        let (Some(user), false) = (&self.user, init == Init::Systemd) else { return None };
        let what = match (self.low_port, &self.device, &self.credential) {
            (Some(port), ..) => format!("listen on port {port}"),
            (_, Some(device), _) => format!("open {device}"),
            (.., Some(name)) => {
                return Some(format!("the credential {name} is given by systemd alone"));
            }
            _ => return None,
        };
        let init = init.name();
        Some(format!("the user {user} cannot {what} where {init} starts the application"))
    }
}

fn low_port(address: &str) -> Option<u16> {
    let address: SocketAddr = address.strip_prefix("tcp://")?.parse().ok()?;
    Some(address.port()).filter(|port| *port < FIRST_FREE_PORT)
}

/// The folders below `/run` that sockets are in, which only root can make.
fn sockets(listen: &[String], user: Option<&str>, name: &str) -> Result<BTreeSet<String>> {
    let mut folders = BTreeSet::new();
    for path in listen.iter().filter_map(|address| address.strip_prefix("unix:/run/")) {
        match (path.split_once('/'), user) {
            (Some((folder, _)), _) => folders.extend([folder.to_owned()]),
            (None, Some(user)) => bail!(
                "the user {user} of the service cannot make /run/{path}, which `listen` in \
                 [package.metadata.pyrmware.service] names; remedy: /run/{name}/{path}"
            ),
            (None, None) => {}
        }
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_gets_folders_for_sockets_and_is_told_what_is_roots() {
        let listen = |text: &str| vec![format!("unix:{text}"), "tcp://127.0.0.1:2323".to_owned()];
        let folders = sockets(&listen("/run/app/x.sock"), Some("app"), "app").unwrap();
        assert_eq!(folders.into_iter().collect::<Vec<_>>(), ["app"]);
        assert_eq!(sockets(&listen("/run/x.sock"), None, "app").unwrap().len(), 0);
        let error = sockets(&listen("/run/x.sock"), Some("app"), "app").unwrap_err().to_string();
        assert!(error.ends_with("remedy: /run/app/x.sock"), "{error}");
        assert_eq!(low_port("tcp://[::]:80"), Some(80));
        assert_eq!(low_port("tcp://[::]:2323"), None);
        let service =
            Service { user: Some("app".into()), low_port: Some(80), ..Service::default() };
        assert_eq!(service.unable(Init::Systemd), None);
        assert_eq!(
            service.unable(Init::Procd).unwrap(),
            "the user app cannot listen on port 80 where procd starts the application"
        );
    }
}
