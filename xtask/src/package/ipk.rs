//! opkg's packages: a compressed archive of what Debian's have.

use anyhow::Result;

use super::Package;
use super::archive::{gzip, tar};
use super::contents::Contents;
use super::deb::fields;
use super::image::Image;
use super::model::Model;
use super::scripts::{Scripts, add};
use crate::config::Format;

/// opkg sets a variable where another version is there.
const SETTLE: &str = "action=install\n[ \"${PKG_UPGRADE:-0}\" != 1 ] || action=upgrade\n";
const STOP: &str = "[ \"${PKG_UPGRADE:-0}\" != 1 ] || exit 0\naction=remove\n";

/// Makes one.
pub fn package(model: &Model, image: &Image) -> Result<Package> {
    let contents = model.contents(image, Format::Ipk)?;
    let (depends, notes) = model.depends(image, Format::Ipk);
    let arch = model.architecture(Format::Ipk, image)?;
    let version = model.version_for(Format::Ipk)?;

    let mut control = Contents::default();
    let text = fields(model, Format::Ipk, &arch, &depends, &contents)?;
    control.file("control", 0o644, text);
    let scripts = Scripts::of(&model.service, &model.inits(Format::Ipk)?);
    add(&mut control, "postinst", SETTLE, &scripts.settle);
    add(&mut control, "prerm", STOP, &scripts.stop);
    add(&mut control, "postrm", STOP, &scripts.gone);

    let none = |_: &_| Vec::new();
    let mut whole = Contents::default();
    whole.file("debian-binary", 0o644, "2.0\n");
    whole.file("control.tar.gz", 0o644, gzip(&tar(&control, image.epoch, none)?)?);
    whole.file("data.tar.gz", 0o644, gzip(&tar(&contents, image.epoch, none)?)?);
    let bytes = gzip(&tar(&whole, image.epoch, none)?)?;
    Ok(Package { file: format!("{}_{version}_{arch}.ipk", model.name), bytes, notes })
}
