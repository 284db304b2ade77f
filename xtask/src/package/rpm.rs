//! Packages of rpm, of its fourth version: not signed, compressed with gzip.

use anyhow::{Context, Result};
use rpm::{BuildConfig, CompressionWithLevel, Dependency, FileOptions, PackageBuilder};

use super::Package;
use super::contents::Kind;
use super::image::Image;
use super::model::Model;
use super::scripts::{Scripts, script};
use crate::config::Format;

/// rpm counts how many versions are there after it is done.
const SETTLE: &str = "action=install\n[ \"$1\" -le 1 ] || action=upgrade\n";
const STOP: &str = "[ \"$1\" -eq 0 ] || exit 0\naction=remove\n";
/// Of the package, beside the application's version.
const RELEASE: &str = "1";

/// Makes one.
pub fn package(model: &Model, image: &Image) -> Result<Package> {
    let contents = model.contents(image, Format::Rpm)?;
    let (depends, notes) = model.depends(image, Format::Rpm);
    let arch = model.architecture(Format::Rpm, image)?;
    let version = model.version_for(Format::Rpm)?;
    let epoch = u32::try_from(image.epoch).context("rpm knows no time after 2106")?;

    let mut builder =
        PackageBuilder::new(&model.name, &version, &model.license, &arch, &model.summary);
    builder
        .using_config(
            BuildConfig::v4().source_date(epoch).compression(CompressionWithLevel::Gzip(9)),
        )
        .release(RELEASE)
        .description(model.summary.as_str())
        .packager(model.maintainer(Format::Rpm)?)
        .build_host("localhost");
    if let Some(homepage) = &model.homepage {
        builder.url(homepage.as_str());
    }
    let number = model.epoch()?;
    if number != 0 {
        builder.epoch(u32::try_from(number).context("rpm takes no epoch as large")?);
    }
    for name in depends {
        builder.requires(dependency(&name));
    }
    for (path, entry) in contents.iter() {
        let to = format!("/{path}");
        let mode = u16::try_from(entry.mode).context("no such permissions")?;
        match &entry.kind {
            Kind::Folder if path.ends_with(&format!("/{}", model.name)) => {
                builder.with_dir_entry(FileOptions::dir(to).permissions(mode))
            }
            // Others are the system's, or go with the one above.
            Kind::Folder => continue,
            Kind::File(bytes) => {
                let options = FileOptions::new(to).permissions(mode);
                let documentation = path.contains("/share/doc/");
                let options = if documentation { options.doc() } else { options };
                builder.with_file_contents(bytes.as_slice(), options)
            }
            Kind::Link(target) => builder.with_symlink(FileOptions::symlink(to, target)),
        }
        .with_context(|| format!("rpm cannot have /{path}"))?;
    }
    let scripts = Scripts::of(&model.service, &model.inits(Format::Rpm)?);
    if let Some(text) = script(SETTLE, &scripts.settle) {
        builder.post_install_script(text);
    }
    if let Some(text) = script(STOP, &scripts.stop) {
        builder.pre_uninstall_script(text);
    }
    if let Some(text) = script(STOP, &scripts.gone) {
        builder.post_uninstall_script(text);
    }
    let mut bytes = Vec::new();
    let package = builder.build().context("cannot put the package together")?;
    package.write(&mut bytes).context("cannot put the package together")?;
    Ok(Package { file: format!("{}-{version}-{RELEASE}.{arch}.rpm", model.name), bytes, notes })
}

/// "name", or "name >= 1.2".
fn dependency(text: &str) -> Dependency {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        [name, ">=", version] => Dependency::greater_eq(*name, *version),
        [name, ">", version] => Dependency::greater(*name, *version),
        [name, "<=", version] => Dependency::less_eq(*name, *version),
        [name, "<", version] => Dependency::less(*name, *version),
        [name, "=", version] => Dependency::eq(*name, *version),
        _ => Dependency::any(text),
    }
}
