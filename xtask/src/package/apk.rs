//! Packages of apk in the form of its second version, which the third one reads as well: two compressed
//! archives in a row, what is said of the package and what is in it. They are not signed.

use std::fmt::Write as _;

use anyhow::Result;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::Package;
use super::archive::{gzip, record, tar};
use super::contents::{Contents, Entry, Kind};
use super::image::Image;
use super::model::Model;
use super::scripts::{Scripts, add};
use crate::config::Format;
use crate::dist::hex;

/// An archive ends with two empty blocks, which only the last one of several in a row may have.
const END: usize = 1024;

/// Makes one.
pub fn package(model: &Model, image: &Image) -> Result<Package> {
    let contents = model.contents(image, Format::Apk)?;
    let (depends, notes) = model.depends(image, Format::Apk);
    let version = model.version_for(Format::Apk)?;
    let data = gzip(&tar(&contents, image.epoch, checksum)?)?;

    let mut control = Contents::default();
    control.file(".PKGINFO", 0o644, info(model, image, &contents, &depends, &data)?);
    let scripts = Scripts::of(&model.service, &model.inits(Format::Apk)?);
    for (name, action, body) in [
        (".post-install", "install", &scripts.settle),
        (".post-upgrade", "upgrade", &scripts.settle),
        (".pre-deinstall", "remove", &scripts.stop),
        (".post-deinstall", "remove", &scripts.gone),
    ] {
        add(&mut control, name, &format!("action={action}\n"), body);
    }
    let mut archive = tar(&control, image.epoch, |_| Vec::new())?;
    archive.truncate(archive.len().saturating_sub(END));
    let bytes = [gzip(&archive)?, data].concat();
    Ok(Package { file: format!("{}-{version}.apk", model.name), bytes, notes })
}

/// By which apk checks what it has unpacked.
fn checksum(entry: &Entry) -> Vec<u8> {
    let bytes = match &entry.kind {
        Kind::Folder => return Vec::new(),
        Kind::File(bytes) => bytes.as_slice(),
        Kind::Link(target) => target.as_bytes(),
    };
    record("APK-TOOLS.checksum.SHA1", &hex(&Sha1::digest(bytes)))
}

fn info(
    model: &Model,
    image: &Image,
    contents: &Contents,
    depends: &[String],
    data: &[u8],
) -> Result<String> {
    let mut text = String::new();
    let mut line = |key: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{key} = {value}");
    };
    line("pkgname", &model.name);
    line("pkgver", &model.version_for(Format::Apk)?);
    line("pkgdesc", &model.summary);
    if let Some(homepage) = &model.homepage {
        line("url", homepage);
    }
    line("builddate", &image.epoch.to_string());
    if let Some(maintainer) = model.maintainer_if_any() {
        line("packager", maintainer);
        line("maintainer", maintainer);
    }
    line("size", &contents.size().to_string());
    line("arch", &model.architecture(Format::Apk, image)?);
    if !model.license.is_empty() {
        line("license", &model.license);
    }
    depends.iter().for_each(|name| line("depend", name));
    line("datahash", &hex(&Sha256::digest(data)));
    Ok(text)
}
