//! Unpacks Debian's packages into a folder that can lie anywhere.

use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// What nothing is built with: other languages, manuals, histories.
const LEFT_OUT: [&str; 6] = [
    "./usr/share/doc/*/*.gz",
    "./usr/share/info/*",
    "./usr/share/lintian/*",
    "./usr/share/locale/*",
    "./usr/share/man/*",
    "./usr/lib/*/gconv/*",
];
/// Folders that are links into `usr`, as on every Debian of today; not all packages know.
const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// Unpacks packages into the new folder `root`.
///
/// # Errors
/// A package is damaged, or a file cannot be written.
pub fn into(packages: &[PathBuf], root: &Path) -> Result<()> {
    for name in MERGED {
        let (inside, link) = (Path::new("usr").join(name), root.join(name));
        std::fs::create_dir_all(root.join(&inside))
            .and_then(|()| std::os::unix::fs::symlink(&inside, &link))
            .with_context(|| format!("cannot make {}", link.display()))?;
    }
    for package in packages {
        unpack(package, root).with_context(|| format!("cannot unpack {}", package.display()))?;
    }
    make_links_relative(root)
}

fn unpack(package: &Path, root: &Path) -> Result<()> {
    let mut files = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start dpkg-deb")?;
    let archive = files.stdout.take().context("dpkg-deb has no output")?;
    let tar = Command::new("tar")
        .args(["--extract", "--keep-directory-symlink", "--no-same-owner", "--directory"])
        .arg(root)
        .args(LEFT_OUT.map(|pattern| format!("--exclude={pattern}")))
        .stdin(archive)
        .status();
    let unpacked = files.wait().context("cannot wait for dpkg-deb")?;
    ensure!(unpacked.success(), "dpkg-deb ended with {unpacked}");
    let tar = tar.context("cannot start tar")?;
    ensure!(tar.success(), "tar ended with {tar}");
    Ok(())
}

/// A link to `/usr/lib/x` is meant from the device's root: here it would lead into this machine.
fn make_links_relative(root: &Path) -> Result<()> {
    for entry in walkdir::WalkDir::new(root) {
        let entry = entry.context("cannot list the sysroot")?;
        if !entry.path_is_symlink() {
            continue;
        }
        let (link, act) = (entry.path(), || format!("cannot mend {}", entry.path().display()));
        let to = std::fs::read_link(link).with_context(act)?;
        let inside = link.strip_prefix(root).unwrap_or(link);
        if let Some(to) = relative(inside, &to) {
            std::fs::remove_file(link)
                .and_then(|()| std::os::unix::fs::symlink(&to, link))
                .with_context(act)?;
        }
    }
    Ok(())
}

/// The way from a link, by its path inside the root, to an absolute target there.
fn relative(link: &Path, target: &Path) -> Option<PathBuf> {
    let target = target.strip_prefix("/").ok()?;
    let mut from = link.parent().unwrap_or(Path::new("")).components().peekable();
    let mut to = target.components().peekable();
    while from.peek().is_some() && from.peek() == to.peek() {
        from.next();
        to.next();
    }
    let up = from.map(|_| Component::ParentDir);
    Some(up.chain(to).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_links_lead_to_the_same_place_inside() {
        let way = |link: &str, target: &str| relative(Path::new(link), Path::new(target));
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(way("usr/lib/a/libm.so", "/lib/a/libm.so.6"), path("../../../lib/a/libm.so.6"));
        assert_eq!(way("usr/lib/a/libm.so", "/usr/lib/a/libm.so.6"), path("libm.so.6"));
        assert_eq!(way("usr/lib/a", "/usr/lib/b/c"), path("b/c"));
        assert_eq!(way("usr/lib/a", "b"), None);
    }
}
