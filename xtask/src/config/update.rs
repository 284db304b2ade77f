//! `[package.metadata.pyrmware.update]`: updates of the application without a new launcher.

use std::time::Duration;

use pyrmware_payload::keys;
use toml::Spanned;

use super::python_side::duration;
use super::raw;
use super::source::{Complaint, Source};

/// How the launcher takes updates; without the table it takes none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    dir: String,
    tries: u32,
    ready_within: Duration,
}

/// An update is started so often before it is ready, unless it is said.
const TRIES: u32 = 3;
/// More would be no limit.
const MOST_TRIES: u32 = 100;
/// What each of these starts has, unless it is said.
const READY_WITHIN: Duration = Duration::from_secs(60);

pub(super) fn check(source: &Source, table: &Spanned<raw::Update>) -> Result<Update, Complaint> {
    let raw = table.get_ref();
    let help = "it is a folder of the device, such as /var/lib/app/update";
    let Some(dir) = &raw.dir else {
        let text = "dir is missing: the folder in which updates are found";
        return Err(source.complain(table.span(), text).help(help));
    };
    if !dir.get_ref().starts_with('/') {
        return Err(source.complain(dir.span(), "this is no absolute path").help(help));
    }
    if let Some(tries) = &raw.tries
        && !(1..=MOST_TRIES).contains(tries.get_ref())
    {
        let text = "an update cannot be started so often";
        let help = format!("accepted: 1 to {MOST_TRIES}");
        return Err(source.complain(tries.span(), text).help(help));
    }
    let ready_within =
        raw.ready_within.as_ref().map(|value| duration(source, value)).transpose()?;
    Ok(Update {
        dir: dir.get_ref().clone(),
        tries: raw.tries.as_ref().map_or(TRIES, |tries| *tries.get_ref()),
        ready_within: ready_within.unwrap_or(READY_WITHIN),
    })
}

impl Update {
    /// The folder in which a device finds updates.
    pub fn dir(&self) -> &str {
        &self.dir
    }

    /// As the payload has it.
    pub fn settings(&self) -> [(&'static str, String); 3] {
        [
            (keys::UPDATE_DIR, self.dir.clone()),
            (keys::UPDATE_TRIES, self.tries.to_string()),
            (keys::UPDATE_READY_WITHIN, self.ready_within.as_millis().max(1).to_string()),
        ]
    }
}
