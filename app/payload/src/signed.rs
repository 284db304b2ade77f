//! A signed payload: a hash tree whose root is signed as `minisign` does.
//!
//! The manifest has the BLAKE3 hash of every file. The entry [`ROOT`], a few lines of text, has the
//! manifest's, and [`SIGNATURE`] is minisign's signature of the root. So one signature stands for all,
//! and a start hashes what it reads, not the payload. By hand, with the payload cut out of the launcher's
//! read-only data, where it ends with the ZIP's comment `pyrmware manifest at …`:
//!
//! ```text
//! unzip PAYLOAD .pyrmware-root .pyrmware-root.minisig .pyrmware-manifest
//! minisign -V -p KEY.pub -m .pyrmware-root
//! b3sum .pyrmware-manifest
//! ```

use minisign_verify::{PublicKey, Signature};

use crate::{Fault, Payload, ROOT};

/// What the root says.
#[cfg(feature = "writer")]
pub(crate) fn root(app: &str, version: &str, build: &str, manifest: &[u8]) -> String {
    let hash = blake3::hash(manifest).to_hex();
    format!("{app} {version}\nbuild {build}\nBLAKE3 {hash} {}\n", crate::MANIFEST)
}

impl Payload<'_> {
    /// Whether the holder of this key has signed the manifest, and with it every file's hash.
    ///
    /// # Errors
    /// [`Fault::NotSigned`], [`Fault::Forged`].
    pub fn verify(&self, public_key: &str) -> Result<(), Fault> {
        let (root, signature) = self.signature().ok_or(Fault::NotSigned)?;
        let forged = |path: &str| Fault::Forged { path: path.to_owned() };
        let key = PublicKey::from_base64(public_key).map_err(|_| forged("the public key"))?;
        let signature = Signature::decode(signature).map_err(|_| forged(crate::SIGNATURE))?;
        key.verify(root, &signature, false).map_err(|_| forged(ROOT))?;
        let line = format!("\nBLAKE3 {} ", blake3::hash(self.manifest()).to_hex());
        match std::str::from_utf8(root).is_ok_and(|root| root.contains(&line)) {
            true => Ok(()),
            false => Err(forged(crate::MANIFEST)),
        }
    }

    /// Whether every file is as it was signed, extension modules' code too.
    ///
    /// # Errors
    /// [`Fault::Forged`], [`Fault::NotSigned`] where there are no hashes.
    pub fn verify_files(&self) -> Result<(), Fault> {
        if self.files().next().is_some_and(|file| file.hash.is_none()) {
            return Err(Fault::NotSigned);
        }
        self.files().try_for_each(|file| file.verified())
    }
}
