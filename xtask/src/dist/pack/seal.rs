//! Encrypts modules when everything else about the payload is known: the build id is bound to them.

use pyrmware_payload::{Key, Manifest, Place, Writer, keys};
use sha2::{Digest, Sha256};

use crate::config::Mode;
use crate::dist::hex;
use crate::dist::protect::{Sealed, Secret};

/// Replaces the bytecode of encrypted modules, and says in the manifest which key opens them.
pub fn run(sealed: &Sealed, build: &str, writer: &mut Writer<'_>, manifest: &mut Manifest) {
    let embedded;
    let key = match &sealed.secret {
        None => return,
        Some(Secret::Given(key, _)) => key.as_ref(),
        Some(Secret::Embedded) => {
            let secret: [u8; Key::LENGTH] = Sha256::digest(build).into();
            manifest.settings.insert(keys::KEY.to_owned(), format!("embedded:{}", hex(&secret)));
            embedded = Key::new(&secret);
            &embedded
        }
    };
    manifest.settings.insert(keys::KEY_ID.to_owned(), key.id().to_owned());
    let modules = manifest.modules.iter();
    for (_, module) in modules.filter(|(name, _)| sealed.modes.get(*name) == Some(&Mode::Encrypted))
    {
        if let Some(path) = &module.file {
            writer.replace(path, |pyc| key.seal_module(&Place { build, path }, pyc));
        }
    }
}
