//! The folder of reports: it survives power cuts, never fills up, and does not wear flash out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::disk;

/// So many are kept, the youngest.
const KEPT: usize = 10;
/// Of one reason not more are written
const OFTEN: usize = 4;
/// in this time.
const WITHIN: Duration = Duration::from_secs(3600);
const PREFIX: &str = "memory-";
/// What is not whole yet.
const ASIDE: &str = ".memory-";

/// Where reports are written.
pub struct Folder {
    path: PathBuf,
    /// What was written, and why.
    written: Vec<(String, Instant)>,
    /// What runs before this one have written, as far as the clock tells.
    has_looked: bool,
    /// The last report could not be written, which was told.
    is_broken: bool,
}

/// What came of a report.
#[derive(Debug)]
pub enum Outcome {
    /// It is there.
    Written,
    /// There were enough for the time being.
    Enough,
    /// It could not be written, as the one before.
    Broken,
}

impl Folder {
    /// One that need not exist.
    pub fn new(path: PathBuf) -> Folder {
        Folder { path, written: Vec::new(), has_looked: false, is_broken: false }
    }

    /// Writes a report, unless there were enough of its reason.
    ///
    /// # Errors
    /// It cannot be written, and the one before could be: what to tell.
    pub fn write(&mut self, reason: &str, report: &str) -> Result<Outcome, String> {
        if !self.has_looked {
            self.has_looked = true;
            self.written = recently(&self.path).unwrap_or_default();
        }
        self.written.retain(|(_, at)| at.elapsed() < WITHIN);
        if self.written.iter().filter(|(known, _)| known == reason).count() >= OFTEN {
            return Ok(Outcome::Enough);
        }
        match write(&self.path, reason, report) {
            Ok(()) => {
                self.is_broken = false;
                self.written.push((reason.to_owned(), Instant::now()));
                Ok(Outcome::Written)
            }
            Err(_) if self.is_broken => Ok(Outcome::Broken),
            Err(error) => {
                self.is_broken = true;
                let folder = self.path.display();
                Err(format!(
                    "memory: no report can be written to {folder}: {error}; goes on without"
                ))
            }
        }
    }
}

/// Writes a report, and takes away the oldest.
fn write(folder: &Path, reason: &str, report: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let old = reports(folder)?;
    // By number, not by time: clocks of devices begin anew.
    let next = old.iter().filter_map(|path| number(path)).max().map_or(1, |last| last + 1);
    disk::replace(folder, &format!("{PREFIX}{next:06}-{reason}.json"), report)?;
    for path in &old[..(old.len() + 1).saturating_sub(KEPT)] {
        fs::remove_file(path)?;
    }
    left_aside(folder)
}

/// Takes away what processes that were killed while writing have left.
fn left_aside(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let aside = name.to_str().and_then(|name| name.strip_prefix(ASIDE)?.rsplit_once('-'));
        let process = aside.and_then(|(_, process)| process.parse::<u32>().ok());
        if process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists()) {
            fs::remove_file(folder.join(name))?;
        }
    }
    Ok(())
}

fn name(path: &Path) -> &str {
    path.file_stem().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Number and reason of a report's name.
fn parts(path: &Path) -> Option<(u64, &str)> {
    let (number, reason) = name(path).strip_prefix(PREFIX)?.split_once('-')?;
    Some((number.parse().ok()?, reason))
}

fn number(path: &Path) -> Option<u64> {
    Some(parts(path)?.0)
}

/// The reports that there are, the oldest first.
fn reports(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let is_report = |path: &PathBuf| {
        path.extension().is_some_and(|kind| kind == "json") && parts(path).is_some()
    };
    let entries: io::Result<Vec<_>> = fs::read_dir(folder)?.collect();
    let mut found: Vec<PathBuf> =
        entries?.into_iter().map(|entry| entry.path()).filter(is_report).collect();
    found.sort_by_key(|path| number(path));
    Ok(found)
}

/// The reasons of reports that are no older than [`WITHIN`], by their files: an application that is started
/// again and again writes no more for it.
fn recently(folder: &Path) -> io::Result<Vec<(String, Instant)>> {
    let mut recent = Vec::new();
    for path in reports(folder)? {
        let age = SystemTime::now().duration_since(fs::metadata(&path)?.modified()?);
        // One from the future was written by a clock that began anew since.
        let at = age.ok().and_then(|age| Instant::now().checked_sub(age));
        if let (Some(at), Some((_, reason))) = (at, parts(&path)) {
            recent.push((reason.to_owned(), at));
        }
    }
    Ok(recent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("pyrmware-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_youngest_stay_and_other_files_are_nobodys_business() {
        let path = folder("rotation");
        fs::create_dir_all(&path).unwrap();
        let others = [".memory-x", "memory-notes.json", "memory-000001-mine.txt", "other.json"];
        for name in others {
            fs::write(path.join(name), "").unwrap();
        }
        // What a process that is gone has left: no process has such a number.
        fs::write(path.join(".memory-000003-hard.json-4294967295"), "half").unwrap();
        fs::write(path.join("memory-000007-old.json"), "").unwrap();
        let mut folder = Folder::new(path.clone());
        for number in 0..12 {
            let reason = format!("reason{number}");
            assert!(matches!(folder.write(&reason, "{}\n"), Ok(Outcome::Written)));
        }
        let names = names(&path);
        let reports: Vec<_> =
            names.iter().filter(|name| !others.contains(&name.as_str())).collect();
        assert_eq!((reports.len(), names.len()), (KEPT, KEPT + others.len()), "{names:?}");
        assert_eq!(reports[0], "memory-000010-reason2.json");
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn of_one_reason_so_many_are_written_in_an_hour_whoever_writes_them() {
        let path = folder("often");
        for _ in 0..OFTEN {
            // Each by a run of its own.
            let outcome = Folder::new(path.clone()).write("soft", "{}\n");
            assert!(matches!(outcome, Ok(Outcome::Written)), "{outcome:?}");
        }
        let mut folder = Folder::new(path.clone());
        assert!(matches!(folder.write("soft", "{}\n"), Ok(Outcome::Enough)));
        assert!(matches!(folder.write("hard", "{}\n"), Ok(Outcome::Written)));
        assert_eq!(names(&path).len(), OFTEN + 1);
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn what_cannot_be_written_is_told_once() {
        let path = folder("broken");
        fs::write(&path, "a file").unwrap();
        let mut folder = Folder::new(path.clone());
        let told = folder.write("soft", "{}\n").unwrap_err();
        let wanted = format!("memory: no report can be written to {}: ", path.display());
        assert!(told.starts_with(&wanted) && told.ends_with("; goes on without"), "{told}");
        assert!(matches!(folder.write("soft", "{}\n"), Ok(Outcome::Broken)));
        fs::remove_file(&path).unwrap();
        assert!(matches!(folder.write("soft", "{}\n"), Ok(Outcome::Written)));
        fs::remove_dir_all(&path).unwrap();
    }
}
