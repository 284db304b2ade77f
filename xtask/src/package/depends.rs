//! What a package needs of others: only what follows from the launcher, in the words of the format.

use crate::config::Format;

use super::image::Image;

/// Debian's packages of libraries, whose names are the same from Debian 12 on.
const DEBIAN: [(&str, &str); 20] = [
    ("libbz2.so.1.0", "libbz2-1.0"),
    ("libcrypt.so.1", "libcrypt1"),
    ("libcrypto.so.3", "libssl3"),
    ("libexpat.so.1", "libexpat1"),
    ("libffi.so.8", "libffi8"),
    ("libgcc_s.so.1", "libgcc-s1"),
    ("libgdbm.so.6", "libgdbm6"),
    ("liblzma.so.5", "liblzma5"),
    ("libmpdec.so.3", "libmpdec3"),
    ("libncursesw.so.6", "libncursesw6"),
    ("libnsl.so.2", "libnsl2"),
    ("libpanelw.so.6", "libncursesw6"),
    ("libreadline.so.8", "libreadline8"),
    ("libsqlite3.so.0", "libsqlite3-0"),
    ("libssl.so.3", "libssl3"),
    ("libstdc++.so.6", "libstdc++6"),
    ("libtinfo.so.6", "libtinfo6"),
    ("libtirpc.so.3", "libtirpc3"),
    ("libuuid.so.1", "libuuid1"),
    ("libz.so.1", "zlib1g"),
];

/// Of the C library itself.
const GLIBC: [&str; 8] = [
    "libc.so.6",
    "libdl.so.2",
    "libm.so.6",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libutil.so.1",
    "libanl.so.1",
];

/// What was found, and the libraries of which nobody knows where they come from.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Sorted, each once.
    pub depends: Vec<String>,
    /// SONAMEs.
    pub unknown: Vec<String>,
}

/// What the libraries that an image asks for make a package of this format depend on. opkg's feeds name
/// libraries as they please, and a tree of files depends on nothing.
pub fn found(image: &Image, format: Format) -> Found {
    let mut found = Found::default();
    for library in image.system_libraries.iter().map(String::as_str) {
        let glibc = GLIBC.contains(&library) || library.starts_with("ld-linux");
        match format {
            Format::Deb if glibc => {
                let version = image.glibc.as_ref().map(|version| format!(" (>= {version})"));
                found.depends.push(format!("libc6{}", version.unwrap_or_default()));
            }
            Format::Deb => match DEBIAN.iter().find(|(name, _)| *name == library) {
                Some((_, package)) => found.depends.push((*package).to_owned()),
                None => match python(library) {
                    Some(package) => found.depends.push(package),
                    None => found.unknown.push(library.to_owned()),
                },
            },
            Format::Rpm => found.depends.push(of_rpm(image, library)),
            Format::Apk => found.depends.push(format!("so:{library}")),
            Format::Ipk | Format::Tar => {}
        }
    }
    found.depends.sort();
    found.depends.dedup();
    found
}

/// Debian's package of a libpython, which brings the standard library.
fn python(library: &str) -> Option<String> {
    let minor = library.strip_prefix("libpython3.")?.strip_suffix(".so.1.0")?;
    minor.parse::<u8>().ok().map(|minor| format!("libpython3.{minor}"))
}

/// As rpm itself names what a library provides: "libssl.so.3()(64bit)".
fn of_rpm(image: &Image, library: &str) -> String {
    let wide = if image.wide { "(64bit)" } else { "" };
    match &image.glibc {
        Some(version) if library == "libc.so.6" => format!("{library}(GLIBC_{version}){wide}"),
        _ if image.wide => format!("{library}(){wide}"),
        _ => library.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_named_as_the_format_names_them() {
        let libraries =
            ["libc.so.6", "libm.so.6", "libodd.so.2", "libpython3.11.so.1.0", "libssl.so.3"];
        let image = Image::of_test(&libraries, Some("2.34"));
        let of = |format| found(&image, format);
        let deb = of(Format::Deb);
        assert_eq!(deb.depends, ["libc6 (>= 2.34)", "libpython3.11", "libssl3"]);
        assert_eq!(deb.unknown, ["libodd.so.2"]);
        assert_eq!(
            of(Format::Rpm).depends,
            [
                "libc.so.6(GLIBC_2.34)(64bit)",
                "libm.so.6()(64bit)",
                "libodd.so.2()(64bit)",
                "libpython3.11.so.1.0()(64bit)",
                "libssl.so.3()(64bit)"
            ]
        );
        assert_eq!(of(Format::Apk).depends[4], "so:libssl.so.3");
        assert_eq!(of(Format::Ipk), Found::default());
    }
}
