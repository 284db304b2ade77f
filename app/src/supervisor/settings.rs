//! What the payload says of starting again, sockets, heartbeats and watchdogs.

use std::path::PathBuf;
use std::time::Duration;

use pyrmware_payload::{Payload, keys};

/// What is configured; made by xtask, which has checked it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A parent stays behind, and a zygote makes the process in which the application runs.
    pub zygote: bool,
    /// What the application has to end.
    pub grace: Duration,
    /// The folder in which what must outlive a process is kept.
    pub report_dir: Option<PathBuf>,
    /// Addresses, with their schemes.
    pub listen: Vec<String>,
    /// Between two heartbeats at most.
    pub heartbeat: Option<Duration>,
    /// The device, and after how many seconds it resets the machine.
    pub watchdog: Option<(PathBuf, u32)>,
    /// What a signal has ended starts again.
    pub restart_crashed: bool,
    /// So many short runs in a row may be followed by another one; none: any number.
    pub restarts: Option<u32>,
    /// Before the second restart in a row; twice as long before each further one.
    pub back_off: Duration,
    /// The build id: who reads a crash's dump needs it.
    pub build: String,
    /// What a zygote imports; after a `+`, with all that waits for first use.
    pub preload: Vec<String>,
}

/// What the application has to end where nothing is said of memory.
const GRACE: Duration = Duration::from_secs(10);

impl Settings {
    /// The error is the key of a setting that cannot be understood, and its value.
    ///
    /// # Errors
    /// A value that xtask does not write.
    pub fn of(payload: &Payload<'_>) -> Result<Settings, (&'static str, String)> {
        let text = |key| payload.setting(key).ok();
        let number = |key: &'static str, default: u64| match text(key) {
            None => Ok(default),
            Some(value) => value.parse().map_err(|_| (key, value.to_owned())),
        };
        let time = |key, default| Ok(Duration::from_millis(number(key, default)?));
        let lines = |key| text(key).into_iter().flat_map(str::lines).map(str::to_owned).collect();
        let heartbeat = time(keys::SERVICE_HEARTBEAT, 0)?;
        let restarts = number(keys::SERVICE_RESTARTS, 8)?;
        let timeout = number(keys::SERVICE_WATCHDOG_TIMEOUT, 60)?;
        Ok(Settings {
            zygote: text(keys::MEMORY_RESTART) == Some("zygote"),
            grace: time(keys::MEMORY_GRACE, GRACE.as_millis() as u64)?,
            report_dir: text(keys::MEMORY_REPORT_DIR).map(PathBuf::from),
            listen: lines(keys::SERVICE_LISTEN),
            heartbeat: (!heartbeat.is_zero()).then_some(heartbeat),
            watchdog: text(keys::SERVICE_WATCHDOG).map(|path| (path.into(), timeout as u32)),
            restart_crashed: text(keys::SERVICE_ON_CRASH) != Some("exit"),
            restarts: (restarts > 0).then_some(restarts as u32),
            back_off: time(keys::SERVICE_BACK_OFF, 1000)?,
            build: text(keys::BUILD).unwrap_or_default().to_owned(),
            preload: lines(keys::SERVICE_PRELOAD),
        })
    }
}
