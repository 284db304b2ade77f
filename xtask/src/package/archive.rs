//! tar and gzip without clock, owner or machine; and the package that is nothing else.

use std::io::Write;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use super::Package;
use super::contents::{Contents, Entry, Kind};
use super::image::Image;
use super::model::Model;
use crate::config::Format;

/// The whole tree, with the service files of every system beside those that the format is configured to have.
pub fn package(model: &Model, image: &Image) -> Result<Package> {
    let contents = model.contents(image, Format::Tar)?;
    let arch = model.architecture(Format::Tar, image)?;
    let version = model.version_for(Format::Tar)?;
    Ok(Package {
        file: format!("{}-{version}-{arch}.tar.gz", model.name),
        bytes: gzip(&tar(&contents, image.epoch, |_| Vec::new())?)?,
        notes: Vec::new(),
    })
}

/// An archive of all, sorted; `extend` makes the [`record`]s of an entry's extended header.
pub fn tar(contents: &Contents, epoch: u64, extend: impl Fn(&Entry) -> Vec<u8>) -> Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for (path, entry) in contents.iter() {
        let failed = || format!("{path} cannot be in an archive");
        let records = extend(entry);
        if !records.is_empty() {
            let mut header = header(0o644, epoch)?;
            header.set_entry_type(EntryType::XHeader);
            header.set_size(records.len() as u64);
            // apk takes a header without a name for the archive's end.
            archive
                .append_data(&mut header, "PaxHeaders", records.as_slice())
                .with_context(failed)?;
        }
        let mut header = header(entry.mode, epoch)?;
        match &entry.kind {
            Kind::Folder => {
                header.set_entry_type(EntryType::Directory);
                archive
                    .append_data(&mut header, format!("{path}/"), &[][..])
                    .with_context(failed)?;
            }
            Kind::Link(target) => {
                header.set_entry_type(EntryType::Symlink);
                archive.append_link(&mut header, path, target).with_context(failed)?;
            }
            Kind::File(bytes) => {
                header.set_entry_type(EntryType::Regular);
                header.set_size(bytes.len() as u64);
                archive.append_data(&mut header, path, bytes.as_slice()).with_context(failed)?;
            }
        }
    }
    archive.into_inner().context("cannot make an archive")
}

fn header(mode: u32, epoch: u64) -> Result<Header> {
    let mut header = Header::new_ustar();
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(epoch);
    header.set_username("root")?;
    header.set_groupname("root")?;
    header.set_size(0);
    Ok(header)
}

/// A record of an extended header, which begins with its own length: "30 mtime=1350244992.023960108".
pub fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    loop {
        let text = format!("{length}{rest}");
        if text.len() == length {
            return text.into_bytes();
        }
        length = text.len();
    }
}

/// Compressed as far as it goes, without name and time.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).context("cannot compress")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_tree_is_the_same_archive_in_an_order_that_can_be_unpacked() {
        let mut contents = Contents::default();
        contents.link("usr/bin/app", "../lib/app/app");
        contents.file("usr/lib/app/app", 0o755, "program");
        contents.file("etc/app", 0o644, "text");
        let bytes = tar(&contents, 7, |_| Vec::new()).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entries = archive.entries().unwrap().map(Result::unwrap);
        let names: Vec<(String, u64)> = entries
            .map(|entry| {
                let path = entry.path().unwrap().display().to_string();
                (path, entry.header().mtime().unwrap())
            })
            .collect();
        let paths: Vec<&str> = names.iter().map(|(path, _)| path.as_str()).collect();
        let expected =
            ["etc/", "etc/app", "usr/", "usr/bin/", "usr/bin/app", "usr/lib/", "usr/lib/app/"];
        assert_eq!(paths, [&expected[..], &["usr/lib/app/app"]].concat());
        assert!(names.iter().all(|(_, time)| *time == 7));
        let packed = gzip(&bytes).unwrap();
        assert_eq!(packed, gzip(&tar(&contents, 7, |_| Vec::new()).unwrap()).unwrap());
        assert_eq!(packed[3..8], [0; 5], "neither name nor time");
    }

    #[test]
    fn a_record_knows_its_length() {
        assert_eq!(record("mtime", "1350244992.023960108"), b"30 mtime=1350244992.023960108\n");
        // A digit more makes the number itself longer.
        assert_eq!(record("k", "12345").len(), 11);
        assert_eq!(record("k", "1234"), b"9 k=1234\n");
    }
}
