//! Where the key of encrypted modules comes from.

use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use pyrmware_payload::{Key, Payload, Zeroizing, keys};

use crate::action::Refusal;
use crate::log::EXIT_PAYLOAD;

static KEY: OnceLock<Key> = OnceLock::new();

/// The key, once it was fetched.
pub fn get() -> Option<&'static Key> {
    KEY.get()
}

/// Fetches the key from this file, else from where the manifest says, and checks that it is the right one.
pub fn fetch(payload: &Payload<'_>, file: Option<&Path>) -> Result<(), Refusal> {
    let file = file.map(|file| format!("file:{}", file.display()));
    let from = file.as_deref().map_or_else(|| payload.setting(keys::KEY), Ok)?;
    let wanted = payload.setting(keys::KEY_ID)?;
    let refuse = |why: String| {
        Err(Refusal {
            text: format!("no key for the encrypted modules: {why}"),
            code: EXIT_PAYLOAD,
        })
    };
    let text = match read(from) {
        Ok(text) => text,
        Err(why) => return refuse(why),
    };
    // Of an embedded key the rest of the setting is the key.
    let from = if from.starts_with("embedded:") { "embedded" } else { from };
    match Key::parse(&text) {
        None => refuse(format!(
            "{from} gives {} bytes; a key is 32 bytes, or 64 hexadecimal digits",
            text.len()
        )),
        Some(key) if key.id() != wanted => {
            refuse(format!("{from} gives the key {}, they were encrypted with {wanted}", key.id()))
        }
        Some(key) => {
            let _ = KEY.set(key);
            Ok(())
        }
    }
}

/// The key's text, or why there is none, in words that fit behind a colon.
fn read(from: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let file = |path: &Path| {
        std::fs::read(path).map_err(|error| format!("reading {}: {error}", path.display()))
    };
    let text = match from.split_once(':') {
        Some(("embedded", key)) => key.as_bytes().to_vec(),
        Some(("file", path)) => file(Path::new(path))?,
        Some(("env", name)) => std::env::var_os(name)
            .ok_or_else(|| format!("there is no environment variable {name}"))?
            .into_vec(),
        Some(("credential", name)) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
            Some(folder) => file(&Path::new(&folder).join(name))?,
            None => {
                return Err(format!(
                    "CREDENTIALS_DIRECTORY is not set; the unit needs LoadCredential={name}:…"
                ));
            }
        },
        Some(("keyring", description)) => keyring(description)?,
        Some(("command", line)) => command(line)?,
        _ => return Err(format!("{from:?} is no place of a key")),
    };
    Ok(Zeroizing::new(text))
}

/// What a program writes to its standard output.
fn command(line: &str) -> Result<Vec<u8>, String> {
    let mut words = line.split_whitespace();
    let program = words.next().unwrap_or_default();
    let output = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("starting {program}: {error}"))?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(format!("{program} failed: {}", output.status)),
    }
}

/// A key of type `user` in the kernel: of the process, its session, or its user.
fn keyring(description: &str) -> Result<Vec<u8>, String> {
    const KEYCTL_SEARCH: libc::c_int = 10;
    const KEYCTL_READ: libc::c_int = 11;
    const USER_KEYRING: libc::c_long = -4;
    let name = CString::new(description).map_err(|_| "a description with a NUL".to_owned())?;
    let failed = |act: &str| {
        let error = std::io::Error::last_os_error();
        format!("{act} the kernel's key user:{description}: {error}")
    };
    let kind = c"user";
    // SAFETY: C strings that outlive the calls; nothing is written.
    let key = unsafe {
        let none = std::ptr::null::<libc::c_char>();
        let key = libc::syscall(libc::SYS_request_key, kind.as_ptr(), name.as_ptr(), none, 0);
        // The user's keyring may not be linked to the session's: a service has a session of its own.
        if key < 0 {
            libc::syscall(
                libc::SYS_keyctl,
                KEYCTL_SEARCH,
                USER_KEYRING,
                kind.as_ptr(),
                name.as_ptr(),
                0,
            )
        } else {
            key
        }
    };
    if key < 0 {
        return Err(failed("finding"));
    }
    let mut text = vec![0u8; 128];
    // SAFETY: the kernel writes at most the length that it is told, and gives the key's.
    let length =
        unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_READ, key, text.as_mut_ptr(), text.len()) };
    let length = usize::try_from(length).map_err(|_| failed("reading"))?;
    text.truncate(length);
    Ok(text)
}
