//! Updates of the application without a new launcher: payloads in a folder of the device.
//!
//! An update is a payload as the one inside the launcher, signed by the same key, for this very launcher, and
//! of a newer version. It is started so many times before it is ready, each counted before; then it is turned
//! down, and what ran before runs again: the last update that was ready, else the payload inside. Who says that
//! it is ready is the application, by `pyrmware.ready()`. What lies in the folder is told in [`folder`].
//!
//! Trying and settling are those of A/B updates of whole devices (RAUC, U-Boot's boot counter).

mod api;
mod folder;
mod map;

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use pyrmware_payload::{Fault, Payload, keys};

use crate::action::{Refusal, number};
use crate::log::{self, Priority};
use folder::{CURRENT, Folder, Found, NEXT, TRIAL};

pub use api::install;

/// Why a process ends whose update was not ready in time, or has failed.
pub const REASON: &str = "update";

/// How updates are taken.
pub struct Updates {
    folder: Folder,
    tries: u32,
    ready_within: Duration,
    public_key: &'static str,
    embedded: Payload<'static>,
}

/// An update that may be started.
type Update = (Found, Payload<'static>);

/// What this process runs, where that is an update.
struct Running {
    folder: Folder,
    /// [`TRIAL`] or [`CURRENT`].
    name: &'static str,
    id: (u64, u64),
    file: File,
    build: &'static str,
    version: &'static str,
    /// On trial: when it must be ready.
    until: Option<Instant>,
}

static UPDATES: OnceLock<Updates> = OnceLock::new();
static RUNNING: OnceLock<Running> = OnceLock::new();
/// Nothing is awaited from here on: it is ready, or this process does not speak for it.
static SETTLED: Mutex<bool> = Mutex::new(false);
static IS_SETTLED: Condvar = Condvar::new();

/// Why an update is not started.
enum Unfit {
    /// It is turned down.
    Refused(String),
    /// It may be fit, which cannot be found out.
    Unknown(io::Error),
}

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Unfit {
        Unfit::Unknown(error)
    }
}

/// How updates are taken; none: they are not. `folder`: another one than is configured.
///
/// # Errors
/// A setting that xtask does not write.
pub fn configured(
    embedded: &Payload<'static>,
    public_key: Option<&'static str>,
    folder: Option<PathBuf>,
) -> Result<Option<&'static Updates>, Refusal> {
    let (Some(public_key), Ok(configured)) = (public_key, embedded.setting(keys::UPDATE_DIR))
    else {
        return Ok(None);
    };
    if !cfg!(feature = "signed") {
        return Ok(None);
    }
    let updates = Updates {
        folder: Folder(folder.unwrap_or_else(|| configured.into())),
        tries: number(embedded, keys::UPDATE_TRIES)?,
        ready_within: Duration::from_millis(number(embedded, keys::UPDATE_READY_WITHIN)?),
        public_key,
        embedded: *embedded,
    };
    Ok(Some(UPDATES.get_or_init(|| updates)))
}

impl Updates {
    /// The payload of a start of the application: the newest that may be tried. A try is counted.
    pub fn begin(&self) -> Payload<'static> {
        self.folder.sweep();
        if let Some(trial) = self.try_trial() {
            let until = Instant::now() + self.ready_within;
            return self.runs(TRIAL, trial, Some(until));
        }
        match self.find(CURRENT) {
            Ok(None) => self.embedded,
            Ok(Some(current)) => self.runs(CURRENT, current, None),
            Err(why) => {
                self.turn_down(CURRENT, why);
                self.embedded
            }
        }
    }

    /// The same for a process that an application has started: what the application runs.
    pub fn begin_helper(&self) -> Payload<'static> {
        match self.of_application() {
            Some((name, found)) => self.runs(name, found, None),
            None => self.embedded,
        }
    }

    /// The payload of the application that has started this process.
    pub fn in_use(&self) -> Payload<'static> {
        self.of_application().map_or(self.embedded, |(_, (_, payload))| payload)
    }

    fn of_application(&self) -> Option<(&'static str, Update)> {
        let trial = self.find(TRIAL).ok().flatten().filter(|(_, payload)| {
            let tries = self.folder.tries(names(payload)[0]);
            (1..=self.tries).contains(&tries)
        });
        let trial = trial.map(|trial| (TRIAL, trial));
        trial.or_else(|| Some((CURRENT, self.find(CURRENT).ok()??)))
    }

    /// What is on trial or has come, if it may be started once more.
    fn try_trial(&self) -> Option<Update> {
        let accepted = self.find(NEXT).and_then(|next| match next {
            Some((found, _)) => Ok(self.folder.accept(&found)?),
            None => Ok(false),
        });
        if let Err(why) = accepted {
            self.turn_down(NEXT, why);
        }
        let (found, payload) = match self.find(TRIAL) {
            Ok(trial) => trial?,
            Err(why) => {
                self.turn_down(TRIAL, why);
                return None;
            }
        };
        let [build, version] = names(&payload);
        let tries = self.folder.tries(build);
        if tries >= self.tries {
            let why = format!("it was started {tries} times and never ready");
            self.turn_down(TRIAL, Unfit::Refused(why));
            return None;
        }
        let count = tries + 1;
        if let Err(error) = self.folder.count(build, count) {
            // What is not counted would be started for ever.
            let folder = self.folder.0.display();
            let text =
                format!("update: {version} waits: tries cannot be counted in {folder}: {error}");
            log::line(Priority::Warning, &text);
            return None;
        }
        let text = format!("update: {version} is tried, start {count} of {}", self.tries);
        log::line(Priority::Notice, &text);
        Some((found, payload))
    }

    fn runs(
        &self,
        name: &'static str,
        (found, payload): Update,
        until: Option<Instant>,
    ) -> Payload<'static> {
        let [build, version] = names(&payload);
        let Found { id, file, .. } = found;
        let folder = self.folder.clone();
        // Set once: one payload runs.
        let _ = RUNNING.set(Running { folder, name, id, file, build, version, until });
        payload
    }

    /// The update of this name, if there is one, which may be started.
    fn find(&self, name: &str) -> Result<Option<Update>, Unfit> {
        let Some(mut found) = self.folder.find(name)? else { return Ok(None) };
        let content = match name {
            CURRENT => self.fit(found.content.bytes(), false).map(drop),
            _ => self.newest(found.content.bytes()).map(drop),
        };
        content.map_err(Unfit::Refused)?;
        let bytes = std::mem::take(&mut found.content).keep();
        let payload = Payload::open(bytes).map_err(|fault| Unfit::Refused(fault.to_string()))?;
        Ok(Some((found, payload)))
    }

    /// Whether these bytes are an update for this launcher. `whole`: what is read later is looked through now.
    fn fit<'a>(&self, bytes: &'a [u8], whole: bool) -> Result<Payload<'a>, String> {
        let fault = |fault: Fault| fault.to_string();
        let update = Payload::open(bytes).map_err(fault)?;
        verify(&update, self.public_key).map_err(fault)?;
        let pair = |key| {
            let own = self.embedded.setting(key).map_err(fault)?;
            Ok::<_, String>((own, update.setting(key).map_err(fault)?))
        };
        let (own, app) = pair(keys::APP)?;
        if own != app {
            return Err(format!("it is an update of {app}"));
        }
        let (own, wanted) = pair(keys::LAUNCHER)?;
        if own != wanted {
            return Err(format!("it is for the launcher {wanted}, and this one is {own}"));
        }
        if !is_newer(&update, &self.embedded) {
            let [own, version] = [names(&self.embedded)[1], names(&update)[1]];
            return Err(format!("{version} is not newer than {own}, which is in the launcher"));
        }
        if whole || self.embedded.setting(keys::LOCKED_DOWN) == Ok("true") {
            verify_files(&update).map_err(fault)?;
        }
        Ok(update)
    }

    /// The version of an update that may be tried: it is newer than what is in use, too.
    fn newest(&self, bytes: &[u8]) -> Result<String, String> {
        let update = self.fit(bytes, true)?;
        let [build, version] = names(&update);
        if self.folder.has_refused(build) {
            return Err(format!("{version} was refused before"));
        }
        let current = self.folder.find(CURRENT).ok().flatten();
        let current = current.as_ref().and_then(|it| self.fit(it.content.bytes(), false).ok());
        match current.filter(|current| !is_newer(&update, current)) {
            Some(current) => {
                let current = names(&current)[1];
                Err(format!("{version} is not newer than {current}, which is in use"))
            }
            None => Ok(version.to_owned()),
        }
    }

    fn turn_down(&self, name: &str, why: Unfit) {
        let folder = &self.folder;
        match why {
            Unfit::Unknown(error) => {
                let path = folder.0.join(name);
                let text = format!("update: {} cannot be used: {error}", path.display());
                log::line(Priority::Warning, &text);
            }
            Unfit::Refused(why) => {
                // What it says of itself, which may be anybody's words.
                let found = folder.find(name).ok().flatten();
                let payload = found.as_ref().and_then(|it| Payload::open(it.content.bytes()).ok());
                refuse(folder, name, payload.as_ref().map_or([""; 2], names), &why);
            }
        }
    }
}

fn refuse(folder: &Folder, name: &str, [build, version]: [&str; 2], why: &str) {
    let what = if version.is_empty() { name } else { version };
    log::line(Priority::Warning, &format!("update: {what} is refused: {why}"));
    if let Err(error) = folder.refuse(name, build, version, why) {
        let path = folder.0.join(name);
        let text = format!("update: {} cannot be removed: {error}", path.display());
        log::line(Priority::Warning, &text);
    }
}

/// Whether one update may take the place of another.
fn is_newer(update: &Payload<'_>, other: &Payload<'_>) -> bool {
    let order = |payload: &Payload<'_>| payload.setting(keys::VERSION_ORDER).map(str::to_owned);
    matches!((order(update), order(other)), (Ok(update), Ok(other)) if update > other)
}

/// Build id and version.
fn names<'a>(payload: &Payload<'a>) -> [&'a str; 2] {
    [keys::BUILD, keys::VERSION].map(|key| payload.setting(key).unwrap_or_default())
}

#[cfg(feature = "signed")]
fn verify(payload: &Payload<'_>, public_key: &str) -> Result<(), Fault> {
    payload.verify(public_key)
}

/// Whether all that is read later is as it was signed.
///
/// # Errors
/// It is not, or nothing is signed.
#[cfg(feature = "signed")]
pub fn verify_files(payload: &Payload<'_>) -> Result<(), Fault> {
    payload.verify_files()
}

#[cfg(not(feature = "signed"))]
fn verify(_: &Payload<'_>, _: &str) -> Result<(), Fault> {
    Err(Fault::NotSigned)
}

/// Nothing can be found out.
#[cfg(not(feature = "signed"))]
pub fn verify_files(_: &Payload<'_>) -> Result<(), Fault> {
    Err(Fault::NotSigned)
}

/// The application is ready: what is on trial stays.
pub fn settle() {
    let Some(running) = trial() else { return };
    let mut settled = SETTLED.lock().unwrap_or_else(PoisonError::into_inner);
    if std::mem::replace(&mut *settled, true) {
        return;
    }
    IS_SETTLED.notify_all();
    // Another one may have come meanwhile, which this one must not stand for.
    if !running.is_there() {
        return;
    }
    let version = running.version;
    match running.folder.settle() {
        Ok(false) => {}
        Ok(true) => log::line(Priority::Notice, &format!("update: {version} is ready and stays")),
        Err(error) => {
            let text = format!("update: {version} is ready and cannot be kept: {error}");
            log::line(Priority::Error, &text);
        }
    }
}

/// This process does not speak for the application.
pub fn be_silent() {
    // No other thread runs in a process that was just forked, but one may have held this.
    if let Ok(mut settled) = SETTLED.try_lock() {
        *settled = true;
    }
}

/// When what is on trial must be ready; none: nothing is, or it was ready.
pub fn until() -> Option<Instant> {
    trial().filter(|running| running.is_there())?.until
}

/// Told when it was not.
pub fn tell_late() {
    if let Some(running) = trial() {
        let text = format!("update: {} was not ready in time: starts again", running.version);
        log::line(Priority::Error, &text);
    }
}

/// Waits until what is on trial is ready; false: it was not, in time.
pub fn wait() -> bool {
    let Some(until) = trial().and_then(|running| running.until) else { return true };
    let settled = SETTLED.lock().unwrap_or_else(PoisonError::into_inner);
    let left = until.saturating_duration_since(Instant::now());
    let waited = IS_SETTLED.wait_timeout_while(settled, left, |settled| !*settled);
    waited.map_or(true, |(settled, _)| *settled)
}

/// The file of the payload that runs, if it is not the launcher's own.
pub fn file() -> Option<&'static File> {
    RUNNING.get().map(|running| &running.file)
}

/// What runs has turned out to be damaged, and this process is about to end for it.
pub fn damaged(fault: &Fault) {
    if let Some(running) = RUNNING.get().filter(|running| running.is_there()) {
        let [build, version] = [running.build, running.version];
        refuse(&running.folder, running.name, [build, version], &fault.to_string());
    }
}

fn trial() -> Option<&'static Running> {
    RUNNING.get().filter(|running| running.name == TRIAL)
}

impl Running {
    /// Whether it still lies there under its name.
    fn is_there(&self) -> bool {
        self.folder.is(self.name, self.id)
    }
}
