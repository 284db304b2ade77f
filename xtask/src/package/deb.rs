//! Debian's packages: an `ar` of a version, the control files and the tree.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use md5::{Digest, Md5};

use super::Package;
use super::archive::{gzip, tar};
use super::contents::Contents;
use super::image::Image;
use super::model::{Model, is_configuration};
use super::scripts::{Scripts, add};
use crate::config::Format;
use crate::dist::hex;

/// dpkg says what it does; what it only takes back is nothing to do.
const SETTLE: &str = "\
case \"$1\" in
    configure) action=install; [ -z \"$2\" ] || action=upgrade ;;
    *) exit 0 ;;
esac
";
/// An upgrade restarts the service when all is in its place.
const STOP: &str = "\
case \"$1\" in
    remove) action=remove ;;
    *) exit 0 ;;
esac
";
const GONE: &str = "\
case \"$1\" in
    remove|purge) action=$1 ;;
    *) exit 0 ;;
esac
";

/// Makes one.
pub fn package(model: &Model, image: &Image) -> Result<Package> {
    let contents = model.contents(image, Format::Deb)?;
    let (depends, notes) = model.depends(image, Format::Deb);
    let arch = model.architecture(Format::Deb, image)?;
    let version = model.version_for(Format::Deb)?;

    let mut control = Contents::default();
    let text = fields(model, Format::Deb, &arch, &depends, &contents)?;
    control.file("control", 0o644, text);
    let digest = |(path, bytes)| format!("{}  {path}\n", hex(&Md5::digest(bytes)));
    control.file("md5sums", 0o644, contents.files().map(digest).collect::<String>());
    let configuration = contents.files().filter(|(path, _)| is_configuration(path));
    let configuration: String = configuration.map(|(path, _)| format!("/{path}\n")).collect();
    if !configuration.is_empty() {
        control.file("conffiles", 0o644, configuration);
    }
    let scripts = Scripts::of(&model.service, &model.inits(Format::Deb)?);
    add(&mut control, "postinst", SETTLE, &scripts.settle);
    add(&mut control, "prerm", STOP, &scripts.stop);
    add(&mut control, "postrm", GONE, &scripts.gone);

    let mut archive = ar::Builder::new(Vec::new());
    let none = |_: &_| Vec::new();
    for (name, bytes) in [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", gzip(&tar(&control, image.epoch, none)?)?),
        ("data.tar.gz", gzip(&tar(&contents, image.epoch, none)?)?),
    ] {
        let mut header = ar::Header::new(name.into(), bytes.len() as u64);
        header.set_mode(0o100_644);
        header.set_mtime(image.epoch);
        archive.append(&header, bytes.as_slice()).context("cannot make an archive")?;
    }
    let bytes = archive.into_inner().context("cannot make an archive")?;
    Ok(Package { file: format!("{}_{version}_{arch}.deb", model.name), bytes, notes })
}

/// The file `control`, which opkg has from dpkg.
pub fn fields(
    model: &Model,
    format: Format,
    arch: &str,
    depends: &[String],
    contents: &Contents,
) -> Result<String> {
    let epoch = match model.epoch()? {
        0 => String::new(),
        epoch => format!("{epoch}:"),
    };
    let mut text = format!(
        "Package: {}\nVersion: {epoch}{}\nArchitecture: {arch}\nMaintainer: {}\n",
        model.name,
        model.version_for(format)?,
        model.maintainer(format)?
    );
    // Writing to a string cannot fail.
    let size = match format {
        Format::Ipk => contents.size(),
        _ => contents.size().div_ceil(1024),
    };
    let _ = writeln!(text, "Installed-Size: {size}");
    if !depends.is_empty() {
        let _ = writeln!(text, "Depends: {}", depends.join(", "));
    }
    if format == Format::Ipk && !model.license.is_empty() {
        let _ = writeln!(text, "License: {}", model.license);
    }
    let _ = writeln!(text, "Section: misc\nPriority: optional");
    if let Some(homepage) = &model.homepage {
        let _ = writeln!(text, "Homepage: {homepage}");
    }
    let _ = writeln!(text, "Description: {}", model.summary);
    let _ = writeln!(text, " The application, what it depends on, and CPython in one program.");
    Ok(text)
}
