//! The reports on a device's disk, which is looked at from outside.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::task::Task;

/// What the next start finds in a folder of a disk, in a folder here: nothing, where it is not there.
pub fn content(disk: &[u8], path: &str) -> TempDir {
    let work = tempfile::tempdir().expect("a folder");
    let copy = work.path().join("disk");
    fs::write(&copy, disk).expect("it is written");
    // As the kernel does when it mounts it: what is in the journal is done. 1: something was.
    let tool = |name| {
        let path = which::which_in(name, Some("/usr/sbin:/sbin"), "/");
        Task::new(path.expect("e2fsprogs is installed"))
    };
    let checked = tool("e2fsck").arg("-y").arg(&copy).run();
    assert!(matches!(checked.code, 0 | 1), "{checked}");
    let dump = format!("rdump {path} {}", work.path().display());
    tool("debugfs").args(["-R", &dump]).arg(&copy).run().success();
    let found = work.path().join(path.trim_start_matches('/'));
    let folder = tempfile::tempdir().expect("a folder");
    if found.is_dir() {
        fs::remove_dir(folder.path()).expect("it is empty");
        fs::rename(found, folder.path()).expect("it is renamed");
    }
    folder
}

/// What is in the report folder.
pub struct Reports {
    /// By number.
    pub whole: BTreeMap<u64, Value>,
    /// Names of what is not finished.
    pub aside: Vec<String>,
}

impl Reports {
    /// What the next start finds on this disk.
    pub fn on(disk: &Path) -> Reports {
        let disk = fs::read(disk).expect("it can be read");
        let folder = content(&disk, "/reports");
        let mut reports = Reports { whole: BTreeMap::new(), aside: Vec::new() };
        for entry in fs::read_dir(folder.path()).expect("it can be listed") {
            let path = entry.expect("it is listed").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let number = name.strip_prefix("memory-").and_then(|rest| rest.split('-').next());
            let Some(number) = number else {
                reports.aside.push(name);
                continue;
            };
            let text = fs::read(&path).expect("it can be read");
            let report = serde_json::from_slice(&text).unwrap_or_else(|error| {
                panic!("{name} is damaged: {error}: {}", text.escape_ascii())
            });
            reports.whole.insert(number.parse().expect("a number"), report);
        }
        reports
    }

    /// The number of the last one.
    pub fn youngest(&self) -> u64 {
        self.whole.keys().next_back().copied().unwrap_or(0)
    }
}
