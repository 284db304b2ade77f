//! The forms that are compared.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::config::{Config, Docstrings, KeySource, Mode, Shape};

/// A form in which the application's own code can ship, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(super) enum Form {
    /// As `optimize` is configured
    Bytecode,
    /// Bytecode with nothing that only readers need
    Stripped,
    /// Encrypted bytecode
    Encrypted,
    /// Bytecode in a signed payload
    Signed,
    /// Encrypted bytecode in a signed payload
    Both,
    /// One shared object for each module
    Cython,
    /// One shared object for each package
    Nuitka,
    /// What pyarmor makes
    Pyarmor,
}

impl Form {
    /// Changes a configuration to this form. Keys that are not configured are made in `folder`.
    ///
    /// # Errors
    /// A key cannot be made.
    pub fn apply(self, config: &mut Config, folder: &Path) -> Result<()> {
        let project = &mut config.project;
        let protect = &mut project.protect;
        protect.modes.clear();
        protect.mode = match self {
            Form::Bytecode | Form::Stripped | Form::Signed => Mode::Bytecode,
            Form::Encrypted | Form::Both => Mode::Encrypted,
            Form::Cython => Mode::Cython,
            Form::Nuitka => Mode::Nuitka,
            Form::Pyarmor => Mode::Pyarmor,
        };
        if self == Form::Stripped {
            // Of the dependencies, too: what they may lose is known by rules.
            project.optimize.shape = Shape {
                docstrings: Some(Docstrings::Strip),
                assertions: Some(false),
                lines: Some(false),
                columns: Some(false),
                file_names: Some(false),
                names: Some(false),
            };
        }
        if protect.mode == Mode::Encrypted {
            // A launcher that is locked down takes it from nowhere but where a device has it.
            let file = folder.join("key");
            let key = "0123456789abcdef".repeat(4);
            fs::write(&file, key).with_context(|| format!("cannot write {}", file.display()))?;
            protect.key = Some(KeySource::file(&file));
            protect.key_file = Some(file);
        }
        protect.sign = match self {
            Form::Signed | Form::Both => Some(match protect.sign.take() {
                Some(configured) => configured,
                None => signer(folder)?,
            }),
            _ => None,
        };
        Ok(())
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Form::Both => f.write_str("encrypted and signed"),
            form => write!(f, "{}", format!("{form:?}").to_lowercase()),
        }
    }
}

/// A secret key of minisign's that signs nothing but what is measured.
fn signer(folder: &Path) -> Result<std::path::PathBuf> {
    let file = folder.join("minisign.key");
    let pair =
        minisign::KeyPair::generate_unencrypted_keypair().context("cannot make a key pair")?;
    let secret = pair.sk.to_box(None).context("cannot make a key pair")?.into_string();
    fs::write(&file, secret).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}
