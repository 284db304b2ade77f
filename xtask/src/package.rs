//! `cargo xtask package`: dist, then the image folder as packages with the files that start the application as
//! a service: `Config -> Model`, `Outcome + Model -> Contents -> bytes`.

mod apk;
mod archive;
mod contents;
mod deb;
mod depends;
pub(crate) mod image;
pub(crate) mod init;
mod ipk;
mod model;
mod rpm;
mod scripts;
mod service;
mod version;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::config::{Config, Flags, Format};
use crate::dist::{self, hex};
use crate::ui::{self, Ui};
use image::Image;
use model::Model;

/// Build, then make packages that install the launcher and start it as a service
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask package --format deb
  cargo xtask package --format deb --format rpm --device gateway --to /srv/packages
  dpkg --install $(cargo xtask package -q --format deb)

What packages say is in [package.metadata.pyrmware.package] of app/Cargo.toml: see README.")]
pub struct Args {
    /// A kind of package; may be repeated [default: `formats` in app/Cargo.toml]
    #[arg(long = "format", value_name = "FORMAT")]
    formats: Vec<Format>,
    /// The folder for packages [default: the one that the image folder is in, target/dist/DEVICE]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

impl Args {
    /// Builds the image and the packages; the path of each is a line on stdout.
    ///
    /// # Errors
    /// What `dist` has to say, that a format cannot express what the configuration says, or that a file
    /// cannot be written.
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let config = Config::load(&self.flags)?;
        let formats = formats(self.formats, &config)?;
        let to = match self.to {
            Some(to) => {
                std::path::absolute(&to).with_context(|| format!("{} is no path", to.display()))?
            }
            None => config.out.parent().unwrap_or(&config.out).to_owned(),
        };
        // What no package can say is told before the minutes that an image can take.
        let model = Model::of(&config)?;
        formats.iter().try_for_each(|format| model.check(*format))?;
        let image = Image::read(&dist::run(config, ui)?)?;
        fs::create_dir_all(&to)
            .with_context(|| format!("cannot make the folder {}", to.display()))?;
        for format in formats {
            let package = pack(&model, &image, format).with_context(|| {
                format!("cannot make a package of the format {}", format.name())
            })?;
            for note in &package.notes {
                ui.warning(note);
            }
            let path = to.join(&package.file);
            write(&path, &package.bytes)?;
            let size = package.bytes.len() as u64;
            ui.status("Packaged", format_args!("{}: {}", package.file, ui::bytes(size)));
            let event = json!({
                "reason": "package",
                "format": format.name(),
                "path": path,
                "bytes": size,
                "sha256": hex(&Sha256::digest(&package.bytes)),
            });
            ui.result(path.display(), event)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A finished package.
struct Package {
    /// Its file's name.
    file: String,
    bytes: Vec<u8>,
    /// What the user should look at.
    notes: Vec<String>,
}

fn formats(asked: Vec<Format>, config: &Config) -> Result<Vec<Format>> {
    let mut formats = if asked.is_empty() { config.device.package.formats.clone() } else { asked };
    if formats.is_empty() {
        bail!(
            "nothing says which kind of package: give --format {}, or formats = [\"deb\"] in \
             [package.metadata.pyrmware.package] of {}",
            Format::ALL.map(Format::name).join("|"),
            config.paths.app_manifest().display()
        );
    }
    formats.sort();
    formats.dedup();
    Ok(formats)
}

fn pack(model: &Model, image: &Image, format: Format) -> Result<Package> {
    match format {
        Format::Tar => archive::package(model, image),
        Format::Deb => deb::package(model, image),
        Format::Ipk => ipk::package(model, image),
        Format::Apk => apk::package(model, image),
        Format::Rpm => rpm::package(model, image),
    }
}

/// Aside, then in its place.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let name = path.file_name().with_context(failed)?.to_string_lossy().into_owned();
    let aside = path.with_file_name(format!(".{name}.new"));
    fs::write(&aside, bytes).and_then(|()| fs::rename(&aside, path)).with_context(failed)
}
