//! The folder of updates. Whatever happens in it happens by one rename, or by removing one file: a power cut
//! leaves it as it was before or as it is after.
//!
//! | file | what it is | who puts it there |
//! |---|---|---|
//! | `next` | an update that has come | whoever brings it, by renaming |
//! | `trial` | one that was looked through and has not been ready yet | the launcher, from `next` |
//! | `current` | one that was ready | the launcher, from `trial` |
//! | `tries` | build id of `trial`, a space, how often it was started | the launcher |
//! | `refused` | build id of the last update that was turned down, a space, version and reason | the launcher |

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::map::Mapping;
use crate::disk;

/// An update that has come.
pub const NEXT: &str = "next";
/// One that has not been ready yet.
pub const TRIAL: &str = "trial";
/// One that was.
pub const CURRENT: &str = "current";
const TRIES: &str = "tries";
const REFUSED: &str = "refused";

/// The folder of updates; it need not exist.
#[derive(Clone, Debug)]
pub struct Folder(pub PathBuf);

/// An update as it lies there.
pub struct Found {
    /// All of it.
    pub content: Mapping,
    /// Device and number of the file: another one may get its name.
    pub id: (u64, u64),
    /// It, open.
    pub file: File,
}

impl Folder {
    /// The file of this name, if there is one that nobody but this user and root can write to: what was
    /// looked through must stay as it is.
    ///
    /// # Errors
    /// It cannot be read, or others can write to it.
    pub fn find(&self, name: &str) -> io::Result<Option<Found>> {
        let path = self.0.join(name);
        // Whatever lies there, a start does not wait for it.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(&path);
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let status = file.metadata()?;
        if !status.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
        }
        let others = |status: &fs::Metadata| {
            // SAFETY: asks for a number.
            let own = unsafe { libc::geteuid() };
            status.mode() & 0o022 != 0 || ![0, own].contains(&status.uid())
        };
        if others(&status) || others(&fs::metadata(&self.0)?) {
            let text = "others than root and this user can write to it; chmod go-w";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        let id = (status.dev(), status.ino());
        Ok(Some(Found { content: Mapping::of(&file)?, id, file }))
    }

    /// Removes what processes that are gone have left half done.
    pub fn sweep(&self) {
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let process = name.to_str().and_then(|name| name.strip_prefix('.')?.rsplit_once('-'));
            let process = process.and_then(|(_, process)| process.parse::<u32>().ok());
            if process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists()) {
                // The next start comes to it.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// What has come is on trial from here on. False: somebody else has taken it meanwhile.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn accept(&self, found: &Found) -> io::Result<bool> {
        // Whoever brought it may have trusted in it being written some day.
        found.file.sync_all()?;
        self.rename(NEXT, TRIAL)
    }

    /// What was on trial stays. False: it is not there any more.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn settle(&self) -> io::Result<bool> {
        let settled = self.rename(TRIAL, CURRENT)?;
        // It is of use to nobody, and of another build than any that comes.
        let _ = fs::remove_file(self.0.join(TRIES));
        Ok(settled)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<bool> {
        match fs::rename(self.0.join(from), self.0.join(to)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            renamed => renamed.and_then(|()| self.sync()).map(|()| true),
        }
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    /// Whether the file of this name is that one.
    pub fn is(&self, name: &str, id: (u64, u64)) -> bool {
        let found = fs::symlink_metadata(self.0.join(name));
        found.is_ok_and(|status| (status.dev(), status.ino()) == id)
    }

    /// How often this build was started. What cannot be understood says that it never was.
    pub fn tries(&self, build: &str) -> u32 {
        let text = fs::read_to_string(self.0.join(TRIES)).unwrap_or_default();
        let count = text.trim_end().split_once(' ').filter(|(counted, _)| *counted == build);
        count.and_then(|(_, count)| count.parse().ok()).unwrap_or(0)
    }

    /// It is about to be started for the so-manieth time.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn count(&self, build: &str, tries: u32) -> io::Result<()> {
        disk::replace(&self.0, TRIES, &format!("{build} {tries}\n"))
    }

    /// Whether this build was turned down, as the last one.
    pub fn has_refused(&self, build: &str) -> bool {
        let text = fs::read_to_string(self.0.join(REFUSED)).unwrap_or_default();
        !build.is_empty() && text.split(' ').next() == Some(build)
    }

    /// Turns the file of this name down. `build` and `version` are empty where it is not known what it is.
    ///
    /// # Errors
    /// The disk does not take it: then it is there still.
    pub fn refuse(&self, name: &str, build: &str, version: &str, why: &str) -> io::Result<()> {
        // The reason first: without it nobody would know where the update went.
        disk::replace(&self.0, REFUSED, &format!("{build} {version}: {why}\n"))?;
        match fs::remove_file(self.0.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| self.sync()),
        }
    }

    /// Copies a file into the folder, for [`Folder::offer`].
    ///
    /// # Errors
    /// It cannot be read, or the folder is missing, full or not to be written to.
    pub fn bring(&self, from: &Path) -> io::Result<(PathBuf, Mapping)> {
        let aside = self.0.join(format!(".{NEXT}-{}", std::process::id()));
        let copied = (|| {
            let mut source = File::open(from)?;
            let mut file = OpenOptions::new();
            let file = file.read(true).write(true).create(true).truncate(true).mode(0o644);
            let mut file = file.open(&aside)?;
            io::copy(&mut source, &mut file)?;
            file.sync_all()?;
            Mapping::of(&file)
        })();
        if copied.is_err() {
            // What is half there is of no use; why it is not whole is what is told.
            let _ = fs::remove_file(&aside);
        }
        copied.map(|content| (aside, content))
    }

    /// What was brought is the next update.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn offer(&self, aside: &Path) -> io::Result<()> {
        fs::rename(aside, self.0.join(NEXT)).and_then(|()| self.sync())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> Folder {
        let own = format!("pyrmware-update-{name}-{}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(own));
        let _ = fs::remove_dir_all(&folder.0);
        fs::create_dir(&folder.0).unwrap();
        folder
    }

    #[test]
    fn tries_are_those_of_one_build() {
        let folder = folder("tries");
        assert_eq!(folder.tries("a"), 0);
        folder.count("a", 2).unwrap();
        assert_eq!((folder.tries("a"), folder.tries("b"), folder.tries("")), (2, 0, 0));
        for damaged in ["", "a", "a ", "a x", "a -1", "a 99999999999", "\0 1"] {
            fs::write(folder.0.join(TRIES), damaged).unwrap();
            assert_eq!(folder.tries("a"), 0, "{damaged:?}");
        }
        fs::remove_dir_all(folder.0).unwrap();
    }

    #[test]
    fn what_is_turned_down_is_gone_and_remembered() {
        let folder = folder("refused");
        fs::write(folder.0.join(NEXT), "x").unwrap();
        assert!(!folder.has_refused("") && !folder.has_refused("b1"));
        folder.refuse(NEXT, "b1", "2.0", "it is not signed").unwrap();
        assert!(!folder.0.join(NEXT).exists());
        assert!(folder.has_refused("b1") && !folder.has_refused("b"));
        // A power cut between the two is followed by the same again.
        folder.refuse(NEXT, "b1", "2.0", "it is not signed").unwrap();
        let text = fs::read_to_string(folder.0.join(REFUSED)).unwrap();
        assert_eq!(text, "b1 2.0: it is not signed\n");
        fs::remove_dir_all(folder.0).unwrap();
    }

    #[test]
    fn others_must_not_be_able_to_write() {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder("others");
        assert!(folder.find(NEXT).unwrap().is_none());
        let path = folder.0.join(NEXT);
        fs::write(&path, "x").unwrap();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(&path, 0o664);
        assert!(folder.find(NEXT).is_err());
        mode(&path, 0o644);
        assert_eq!(folder.find(NEXT).unwrap().unwrap().content.bytes(), b"x");
        mode(&folder.0, 0o777);
        assert!(folder.find(NEXT).is_err());
        fs::remove_dir_all(folder.0).unwrap();
    }
}
