//! The keys of the machine that builds: read, never written or shown.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use blake2::{Blake2b512, Digest};
use ed25519_dalek::{Signer as _, SigningKey};
use minisign::SecretKeyBox;
use pyrmware_payload::{Key, Zeroizing};

use super::Secret;
use crate::config::Protect;

/// Names the file of the key: to the builder when the configuration does not, and to a launcher that is not
/// locked down.
pub(super) const KEY_FILE: &str = "PYRMWARE_KEY_FILE";
/// The password of minisign's secret key.
const PASSWORD: &str = "PYRMWARE_SIGN_PASSWORD";

/// Length of what the second line of minisign's secret key holds: algorithms (6), salt (32), limits of
/// scrypt (16), number (8), key pair (64), checksum (32).
const RECORD: usize = 158;
/// Where the key pair begins.
const KEY: usize = 62;

/// The key of encrypted modules.
pub(super) fn secret(protect: &Protect) -> Result<Secret> {
    let set = || std::env::var_os(KEY_FILE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let embedded = protect.key.as_ref().is_some_and(|key| key.is_embedded());
    let path = match protect.key_file.clone() {
        None if embedded => return Ok(Secret::Embedded),
        given => given.or_else(set).with_context(|| {
            format!(
                "modules are to be encrypted and no key is given: make one with `openssl rand -hex \
                 32`, keep it out of the repository, and name its file with key-file in \
                 [tool.pyrmware.protect] or in the environment variable {KEY_FILE}"
            )
        })?,
    };
    if embedded {
        bail!(
            "key = \"embedded\" and key-file exclude each other: an embedded key is in every \
             launcher, and {} must not be",
            path.display()
        );
    }
    let read = std::fs::read(&path);
    let text =
        read.with_context(|| format!("reading the key of encrypted modules, {}", path.display()));
    let text = Zeroizing::new(text?);
    let key = Key::parse(&text).with_context(|| {
        format!(
            "{} has {} bytes; a key is 32 bytes, or 64 hexadecimal digits: `openssl rand -hex 32`",
            path.display(),
            text.len()
        )
    })?;
    Ok(Secret::Given(Arc::new(key), path))
}

/// Minisign's secret key.
///
/// Its file is minisign's; signing is done here, because the crate `minisign` stirs randomness into its
/// signatures, and the same inputs are to give the same launcher.
pub struct Signer {
    /// Tells keys from each other: the first eight bytes of either half.
    number: [u8; 8],
    key: SigningKey,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("public", &self.public()).finish_non_exhaustive()
    }
}

impl Signer {
    /// Reads minisign's file.
    pub(super) fn load(path: &Path) -> Result<Signer> {
        let act = || format!("reading minisign's secret key, {}", path.display());
        let text = Zeroizing::new(std::fs::read_to_string(path).with_context(act)?);
        let line = text.lines().nth(1).unwrap_or_default();
        let mut record = Zeroizing::new(BASE64.decode(line.trim()).unwrap_or_default());
        let refused = || {
            let why = "this is no secret key of minisign; `minisign -G` makes one";
            anyhow!("{}: {why}", path.display())
        };
        if record.len() != RECORD || !record.starts_with(b"Ed") {
            return Err(refused());
        }
        if record[2..4] != [0, 0] {
            let Ok(password) = std::env::var(PASSWORD) else {
                bail!(
                    "{} has a password: give it in the environment variable {PASSWORD}, or make a \
                     key without one (`minisign -G -W`) that only the builder can read",
                    path.display()
                );
            };
            let boxed = SecretKeyBox::from_string(&text).map_err(|error| anyhow!("{error}"));
            let opened = boxed.and_then(|boxed| {
                boxed.into_secret_key(Some(password)).map_err(|error| anyhow!("{error}"))
            });
            let opened = opened.with_context(|| {
                format!("opening {} with the password of {PASSWORD}", path.display())
            })?;
            record = Zeroizing::new(opened.to_bytes());
        }
        let number = record.get(KEY - 8..KEY).and_then(<[u8]>::first_chunk).ok_or_else(refused)?;
        let pair = record.get(KEY..).and_then(<[u8]>::first_chunk).ok_or_else(refused)?;
        // The second half is the public key: what is damaged does not fit.
        let key = SigningKey::from_keypair_bytes(pair).map_err(|_| refused())?;
        Ok(Signer { number: *number, key })
    }

    /// What verifies, as minisign writes it.
    pub fn public(&self) -> String {
        BASE64.encode([b"Ed", &self.number[..], self.key.verifying_key().as_bytes()].concat())
    }

    /// The text of the signature of some bytes; `comment`, one line, is signed with them.
    pub fn sign(&self, bytes: &[u8], comment: &str) -> String {
        let sign = |bytes: &[u8]| self.key.sign(bytes).to_bytes();
        let signature = sign(&Blake2b512::digest(bytes));
        let both = sign(&[&signature[..], comment.as_bytes()].concat());
        format!(
            "untrusted comment: signature of a Pyrmware payload\n{}\ntrusted comment: {comment}\n{}\n",
            BASE64.encode([b"ED", &self.number[..], &signature].concat()),
            BASE64.encode(both)
        )
    }
}
