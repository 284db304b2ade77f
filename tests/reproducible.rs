//! Two clones in two folders give the same launcher, and it names no folder of this machine.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{self, Image, ROOT};

/// Builds the sample in a clone, with a target folder of its own.
fn build(clone: &Path) -> Image {
    let task = support::xtask()
        .cwd(clone)
        .args(["dist", "--message-format", "json"])
        .env("CARGO_TARGET_DIR", clone.join("target"));
    Image::of(&task.run().success())
}

#[test]
fn two_clones_give_the_same_bytes_and_no_path_of_the_machine() {
    let near = tempfile::Builder::new().prefix("a").tempdir().expect("a folder");
    let far = tempfile::Builder::new().prefix("a-much-longer-name-").tempdir().expect("a folder");
    let deep = far.path().join("with/more/folders below");
    fs::create_dir_all(&deep).expect("a folder is made");
    let images = [near.path(), deep.as_path()].map(|folder| {
        support::clone_into(folder);
        let image = build(folder);
        assert_eq!(
            image.folder,
            folder.canonicalize().expect("it is there").join("target/dist/host/device-console")
        );
        (image, folder.to_owned())
    });
    let [(first, first_folder), (second, second_folder)] = &images;
    let bytes = |image: &Image| fs::read(&image.launcher).expect("it can be read");
    let (one, two) = (bytes(first), bytes(second));
    if one != two {
        let at = one.iter().zip(&two).position(|(a, b)| a != b).unwrap_or(one.len().min(two.len()));
        let around = |bytes: &[u8]| {
            let part = &bytes[at.saturating_sub(64)..(at + 64).min(bytes.len())];
            String::from_utf8_lossy(part).into_owned()
        };
        panic!(
            "the launchers of {} and {} bytes differ at {at:#x}\n{:?}\n{:?}",
            one.len(),
            two.len(),
            around(&one),
            around(&two)
        );
    }
    assert_eq!(first.report["sha256"], second.report["sha256"]);
    assert_eq!(first.report["build"], second.report["build"]);
    assert_eq!(first.report["build"].as_str().map(str::len), Some(32));
    for folder in folders(&[first_folder, second_folder]) {
        let text = folder.to_string_lossy().into_owned();
        let at = one.windows(text.len()).position(|window| window == text.as_bytes());
        assert_eq!(at, None, "{text} is in the launcher");
    }
}

/// Folders that a launcher must not name.
fn folders(clones: &[&PathBuf]) -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let home = variable("HOME");
    let in_home = |name: &str| home.as_ref().map(|home| home.join(name));
    let plan = support::plan("hello");
    let prefix = plan["interpreter"]["prefix"].as_str().map(PathBuf::from);
    let mut folders: Vec<PathBuf> = clones.iter().map(|clone| clone.to_path_buf()).collect();
    folders.extend(
        [
            Some(ROOT.clone()),
            variable("CARGO_HOME").or_else(|| in_home(".cargo")),
            variable("RUSTUP_HOME").or_else(|| in_home(".rustup")),
            variable("CARGO_TARGET_DIR"),
            // `/usr` is a folder of the device as well.
            prefix.filter(|prefix| prefix != Path::new("/usr")),
            // A home of one level (`/root`) is a word that a library may well have.
            home.filter(|home| home.components().count() > 2),
        ]
        .into_iter()
        .flatten(),
    );
    folders
}
