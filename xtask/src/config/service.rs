//! `[package.metadata.pyrmware.service]`: the sockets that the launcher holds for the application, when it is
//! taken to hang, and what follows a crash.

use std::net::SocketAddr;
use std::time::Duration;

use pyrmware_payload::keys;
use toml::Spanned;

use super::device_side::choose;
use super::memory::Word;
use super::python_side::duration;
use super::raw;
use super::source::{Complaint, Source};

/// What the launcher is to those who start it and those who ask it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    listen: Vec<String>,
    heartbeat: Option<Duration>,
    watchdog: Option<(String, Duration)>,
    on_crash: &'static str,
    restarts: u32,
    back_off: Duration,
    /// What a zygote imports, as it is configured.
    pub preload: Option<Vec<String>>,
}

impl Default for Service {
    fn default() -> Service {
        Service {
            listen: Vec::new(),
            heartbeat: None,
            watchdog: None,
            on_crash: "restart",
            restarts: 8,
            back_off: Duration::from_secs(1),
            preload: None,
        }
    }
}

/// A watchdog resets the machine after so many heartbeats were missed, unless it is said.
const MISSED: u32 = 2;

pub(super) fn check(
    source: &Source,
    table: &Spanned<raw::Service>,
    has_zygote: bool,
) -> Result<Service, Complaint> {
    let raw = table.get_ref();
    let of_zygote = [
        raw.on_crash.as_ref().map(|value| ("on-crash", value.span())),
        raw.preload.as_ref().and_then(|list| Some(("preload", list.first()?.span()))),
    ];
    if let Some((key, span)) = of_zygote.into_iter().flatten().find(|_| !has_zygote) {
        let text = format!("{key} needs a zygote");
        let help =
            "there is one with restart = \"zygote\" under [package.metadata.pyrmware.memory]";
        return Err(source.complain(span, text).help(help));
    }
    let heartbeat = raw.heartbeat.as_ref().map(|value| duration(source, value)).transpose()?;
    let words = ["restart", "exit"].map(|word| (word, Word(word)));
    let default = Service::default();
    Ok(Service {
        listen: raw
            .listen
            .iter()
            .flatten()
            .map(|text| address(source, text))
            .collect::<Result<_, _>>()?,
        heartbeat,
        watchdog: watchdog(source, raw, heartbeat)?,
        on_crash: choose(source, raw.on_crash.as_ref(), &words)?.or(default.on_crash),
        restarts: raw.restarts.as_ref().map_or(default.restarts, |value| *value.get_ref()),
        back_off: match &raw.back_off {
            Some(value) if value.get_ref().as_str() == Some("0 s") => Duration::ZERO,
            Some(value) => duration(source, value).map_err(|complaint| {
                complaint.help("or \"0 s\": the application starts again at once")
            })?,
            None => default.back_off,
        },
        preload: raw
            .preload
            .as_ref()
            .map(|list| list.iter().map(|name| name.get_ref().clone()).collect()),
    })
}

fn watchdog(
    source: &Source,
    raw: &raw::Service,
    heartbeat: Option<Duration>,
) -> Result<Option<(String, Duration)>, Complaint> {
    let Some(device) = &raw.watchdog else {
        let Some(timeout) = &raw.watchdog_timeout else { return Ok(None) };
        let help = "name the device: watchdog = \"/dev/watchdog0\"";
        return Err(source
            .complain(timeout.span(), "there is no watchdog to set it for")
            .help(help));
    };
    if !device.get_ref().starts_with('/') {
        let help = "it is a file of the device, such as /dev/watchdog0";
        return Err(source.complain(device.span(), "this is no absolute path").help(help));
    }
    let Some(heartbeat) = heartbeat else {
        let text = "a watchdog is fed for the application's heartbeats, and none are awaited";
        return Err(source
            .complain(device.span(), text)
            .help("say how often: heartbeat = \"30 s\""));
    };
    let Some(value) = &raw.watchdog_timeout else {
        return Ok(Some((device.get_ref().clone(), heartbeat * MISSED)));
    };
    let timeout = duration(source, value)?;
    if timeout < Duration::from_secs(1) || timeout.subsec_nanos() != 0 {
        let text = "a watchdog counts whole seconds";
        return Err(source.complain(value.span(), text).help("accepted: \"1 s\" and more"));
    }
    Ok(Some((device.get_ref().clone(), timeout)))
}

/// `tcp://127.0.0.1:80`, `[::]:80`, `unix:/run/app.sock`, `unix:@name`; always with its scheme in the result.
fn address(source: &Source, text: &Spanned<String>) -> Result<String, Complaint> {
    const LONGEST: usize = 107;
    let word = text.get_ref();
    if let Some(path) = word.strip_prefix("unix:") {
        let fits = path.len() <= LONGEST && !path.contains(['\0', '\n']);
        if fits && path.len() > 1 && path.starts_with(['/', '@']) {
            return Ok(word.clone());
        }
    } else if let Ok(address) = word.strip_prefix("tcp://").unwrap_or(word).parse::<SocketAddr>()
        && address.port() != 0
    {
        return Ok(format!("tcp://{address}"));
    }
    Err(source.complain(text.span(), "this is no address to listen on").help(
        "accepted: \"tcp://127.0.0.1:80\", \"tcp://[::]:80\", \"unix:/run/app.sock\", \"unix:@name\"",
    ))
}

impl Service {
    /// What it listens on, each with its scheme: `tcp://127.0.0.1:80`, `unix:/run/app.sock`.
    pub fn listen(&self) -> &[String] {
        &self.listen
    }

    /// Before the second restart in a row.
    pub fn back_off(&self) -> Duration {
        self.back_off
    }

    /// The longest time between two heartbeats.
    pub fn heartbeat(&self) -> Option<Duration> {
        self.heartbeat
    }

    /// The file of the machine's watchdog.
    pub fn watchdog(&self) -> Option<&str> {
        self.watchdog.as_ref().map(|(device, _)| device.as_str())
    }

    /// As the launcher reads them in its payload; without what a zygote imports.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let milliseconds = |time: Duration| time.as_millis().max(1).to_string();
        let mut all = vec![
            (keys::SERVICE_ON_CRASH, self.on_crash.to_owned()),
            (keys::SERVICE_RESTARTS, self.restarts.to_string()),
            (keys::SERVICE_BACK_OFF, self.back_off.as_millis().to_string()),
        ];
        if !self.listen.is_empty() {
            all.push((keys::SERVICE_LISTEN, self.listen.join("\n")));
        }
        all.extend(self.heartbeat.map(|time| (keys::SERVICE_HEARTBEAT, milliseconds(time))));
        if let Some((device, timeout)) = &self.watchdog {
            let seconds = timeout.as_secs_f64().ceil().max(1.0);
            all.push((keys::SERVICE_WATCHDOG, device.clone()));
            all.push((keys::SERVICE_WATCHDOG_TIMEOUT, seconds.to_string()));
        }
        all
    }
}
