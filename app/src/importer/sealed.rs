//! Encrypted modules: opened when their code is to be unmarshalled, wiped when that is done.

#[cfg(feature = "encrypted")]
mod key;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use pyrmware_payload::{Fault, LazyTable, Part, Payload, SealedModule, keys};

use crate::action::{Action, Refusal};

/// Whether any module is encrypted.
fn has_any(payload: &Payload<'_>) -> bool {
    payload.setting(keys::KEY).is_ok()
}

/// Fetches the key, before Python starts and in the first of the launcher's processes: it is in the
/// others, which are forked from it.
#[cfg(feature = "encrypted")]
pub fn unlock(action: &Action) -> Result<(), Refusal> {
    if has_any(&action.payload) {
        key::fetch(&action.payload, action.key_file.as_deref())?;
    }
    Ok(())
}

/// This launcher was built for payloads without encrypted modules.
#[cfg(not(feature = "encrypted"))]
pub fn unlock(action: &Action) -> Result<(), Refusal> {
    if has_any(&action.payload) {
        let text = "this launcher was built without what decrypts modules".to_owned();
        return Err(Refusal { text, code: crate::log::EXIT_CONFIG });
    }
    Ok(())
}

/// Opens a part of the module with this path and has it looked at; then it is wiped. Ends the process
/// if it does not open: the key was checked, so it is the payload that is not what it was.
#[cfg(feature = "encrypted")]
pub fn open<T>(path: &str, part: Part, sealed: &[u8], look: impl FnOnce(&[u8]) -> T) -> T {
    let build = super::source().payload.setting(keys::BUILD).unwrap_or_default();
    let place = pyrmware_payload::Place { build, path };
    match key::get().and_then(|key| key.open(&place, part, sealed)) {
        Some(plain) => look(&plain),
        None => damaged(path),
    }
}

/// There is no module that could be opened.
#[cfg(not(feature = "encrypted"))]
pub fn open<T>(path: &str, _: Part, _: &[u8], _: impl FnOnce(&[u8]) -> T) -> T {
    damaged(path)
}

fn damaged(path: &str) -> ! {
    super::broken(&Fault::Sealed { path: path.to_owned() })
}

/// The names of an encrypted module's lazy bindings, kept: they are the module's own once it has run.
pub fn table(path: &'static str, module: &SealedModule<'static>) -> Option<LazyTable<'static>> {
    static INDEXES: Mutex<BTreeMap<&'static str, LazyTable<'static>>> = Mutex::new(BTreeMap::new());
    let sealed = module.index?;
    let mut indexes = INDEXES.lock().unwrap_or_else(PoisonError::into_inner);
    let open = || open(path, Part::Index, sealed, |index| module.table(Box::leak(index.into())));
    Some(*indexes.entry(path).or_insert_with(open))
}
