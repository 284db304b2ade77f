//! The image folder: built aside under a lock, then put in its place in one step.
//!
//! At every moment the folder's name leads to a whole image or to none that was there before: a
//! process killed anywhere leaves at most `.NAME.new` and `.NAME.old`, which the next run tidies up.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::report;

/// An image folder that this process alone is building.
#[derive(Debug)]
pub struct Folder {
    place: PathBuf,
    aside: PathBuf,
    old: PathBuf,
    /// Unlocked when it is closed.
    _lock: File,
}

impl Folder {
    /// Takes the image folder `place` for this process, waiting for another one, and makes an empty folder beside it.
    ///
    /// # Errors
    /// The place is something that dist did not write, or a file cannot be made.
    pub fn lock(locks: &Path, place: &Path, waiting: impl FnOnce(&Path)) -> Result<Folder> {
        let (parent, name) = split(place)?;
        fs::create_dir_all(&parent)
            .with_context(|| format!("cannot make the folder {}", parent.display()))?;
        let parent = parent
            .canonicalize()
            .with_context(|| format!("cannot find the folder {}", parent.display()))?;
        let place = parent.join(&name);
        let folder = Folder {
            _lock: locked(locks, &place, waiting)?,
            aside: parent.join(format!(".{name}.new")),
            old: parent.join(format!(".{name}.old")),
            place,
        };
        folder.refuse_foreign()?;
        folder.tidy().with_context(|| {
            format!("cannot remove what an earlier run left beside {}", folder.place.display())
        })?;
        fs::create_dir(&folder.aside)
            .with_context(|| format!("cannot make the folder {}", folder.aside.display()))?;
        Ok(folder)
    }

    /// The empty folder in which the image is built.
    pub fn aside(&self) -> &Path {
        &self.aside
    }

    /// Puts the built image in its place; the previous one is removed afterwards.
    ///
    /// # Errors
    /// A folder cannot be renamed; the previous image is still there then.
    pub fn publish(self) -> Result<()> {
        self.swap().with_context(|| {
            format!("cannot put the new image in its place, {}", self.place.display())
        })
    }

    fn swap(&self) -> io::Result<()> {
        if !self.place.exists() {
            return fs::rename(&self.aside, &self.place);
        }
        match exchange(&self.aside, &self.place) {
            // The previous image lies aside now and is removed when this is dropped.
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
            // A file system without the exchange: two steps, and `tidy` knows the state between them.
            Err(_) => {
                fs::rename(&self.place, &self.old)?;
                fs::rename(&self.aside, &self.place).inspect_err(|_| {
                    // Back to what was there; if that fails too, the next run's `tidy` does it.
                    let _ = fs::rename(&self.old, &self.place);
                })
            }
        }
    }

    /// Repairs and removes what a killed run left.
    fn tidy(&self) -> io::Result<()> {
        if self.old.exists() && !self.place.exists() {
            fs::rename(&self.old, &self.place)?;
        }
        remove(&self.old)?;
        remove(&self.aside)
    }

    /// `--out ~` must not cost anybody a home folder.
    fn refuse_foreign(&self) -> Result<()> {
        if !self.place.exists() || self.place.join(report::JSON).is_file() {
            return Ok(());
        }
        let empty = fs::read_dir(&self.place).is_ok_and(|mut entries| entries.next().is_none());
        if !empty {
            bail!(
                "{} is there and is no image folder (it has no {}); name a new or empty folder \
                 with --out",
                self.place.display(),
                report::JSON
            );
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be tidied up now is tidied up by the next run.
        let _ = self.tidy();
    }
}

fn split(place: &Path) -> Result<(PathBuf, String)> {
    let name = place.file_name().and_then(|name| name.to_str());
    match (place.parent(), name) {
        (Some(parent), Some(name)) => Ok((parent.to_path_buf(), name.to_owned())),
        _ => bail!("{} cannot be an image folder; name a new folder with --out", place.display()),
    }
}

/// The lock's file is named after the image folder and lies elsewhere, so that nothing of it ships.
fn locked(locks: &Path, place: &Path, waiting: impl FnOnce(&Path)) -> Result<File> {
    let digest = Sha256::digest(place.as_os_str().as_encoded_bytes());
    let path = locks.join(super::hex(&digest[..8]));
    let context = || format!("cannot lock {}", path.display());
    fs::create_dir_all(locks).with_context(context)?;
    let file = File::create(&path).with_context(context)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            waiting(place);
            file.lock().with_context(context)?;
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(context),
    }
    Ok(file)
}

/// Two folders swap their names in one step.
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(crate) fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(crate) fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(dir: &Path, content: &str) {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join(report::JSON), content).unwrap();
    }

    fn content(dir: &Path) -> String {
        fs::read_to_string(dir.join(report::JSON)).unwrap()
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn lock(dir: &Path) -> Result<Folder> {
        Folder::lock(&dir.join("locks"), &dir.join("images/app"), |_| panic!("nobody else is here"))
    }

    #[test]
    fn the_new_image_replaces_the_old_one_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["first", "second"] {
            let folder = lock(dir.path()).unwrap();
            image(folder.aside(), text);
            folder.publish().unwrap();
            assert_eq!(content(&dir.path().join("images/app")), text);
            assert_eq!(names(&dir.path().join("images")), ["app"]);
        }
    }

    #[test]
    fn a_failed_run_leaves_the_last_image() {
        let dir = tempfile::tempdir().unwrap();
        let images = dir.path().join("images");
        image(&images.join("app"), "last");
        let folder = lock(dir.path()).unwrap();
        image(folder.aside(), "half");
        drop(folder);
        assert_eq!(content(&images.join("app")), "last");
        assert_eq!(names(&images), ["app"]);
    }

    #[test]
    fn a_killed_run_is_tidied_up_whatever_it_left() {
        let dir = tempfile::tempdir().unwrap();
        let images = dir.path().join("images");
        // Killed while building; between the exchange and the removal; between the two renames.
        for left in [&["app", ".app.new"][..], &["app", ".app.old"], &[".app.old", ".app.new"]] {
            remove(&images).unwrap();
            for name in left {
                image(&images.join(name), name);
            }
            drop(lock(dir.path()).unwrap());
            assert_eq!(names(&images), ["app"], "{left:?}");
            assert_eq!(content(&images.join("app")), left[0], "{left:?}");
        }
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("images/app");
        fs::create_dir_all(&place).unwrap();
        drop(lock(dir.path()).unwrap());
        fs::write(place.join("thesis.tex"), "").unwrap();
        let error = lock(dir.path()).unwrap_err().to_string();
        assert!(
            error.ends_with(
                "images/app is there and is no image folder (it has no report.json); name a new \
                 or empty folder with --out"
            ),
            "{error}"
        );
        assert_eq!(names(&place), ["thesis.tex"]);
    }

    #[test]
    fn a_second_run_waits_for_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path()).unwrap();
        let (locks, place) = (dir.path().join("locks"), dir.path().join("images/app"));
        let (told, tell) = std::sync::mpsc::channel();
        let second = std::thread::spawn(move || {
            Folder::lock(&locks, &place, |_| told.send(()).unwrap()).map(drop)
        });
        tell.recv().unwrap();
        image(first.aside(), "first");
        first.publish().unwrap();
        second.join().unwrap().unwrap();
        assert_eq!(content(&dir.path().join("images/app")), "first");
    }
}
