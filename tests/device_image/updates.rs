//! Power cuts while an update is taken, tried, and another one given up.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use crate::device::{Vm, data_with};
use crate::disk_log::DiskLog;
use crate::folder;
use crate::support::flips::Dice;
use crate::support::gate::Gate;
use crate::support::task::{Ended, Task};

/// So often the power is cut.
const CUTS: usize = 200;
/// Starts of an update before it is given up.
const TRIES: usize = 3;

/// The application whose launchers take updates there.
pub static GATE: LazyLock<Gate> = LazyLock::new(|| {
    let table =
        "[package.metadata.pyrmware.update]\ndir = \"/data/update\"\nready-within = \"10 min\"\n";
    Gate::new("device-gate", table)
});

/// The version that runs after so many starts of one that fails.
fn start_until_ready(folder: &Path, what: &str) -> (usize, String) {
    let launcher = crate::gate();
    for starts in 0..=TRIES {
        let ended: Ended =
            Task::new(launcher).clean_env().env("PYRMWARE_UPDATE_DIR", folder).arg("3=abort").run();
        let out = ended.out();
        let mut words = out.split_whitespace();
        let version = words.nth(1).unwrap_or_default().to_owned();
        if version == "3" {
            assert_eq!(ended.code, -libc::SIGABRT, "{what}: {ended}");
            continue;
        }
        assert_eq!(ended.code, 0, "{what}: {ended}");
        assert!(out.ends_with(&format!("ready {version}\n")), "{what}: {ended}");
        return (starts, version);
    }
    panic!("{what}: version 3 is started for ever");
}

#[test]
#[ignore = "needs virtual machines: cargo xtask test --device-image"]
fn a_whole_version_starts_after_any_power_cut() {
    let content = folder().join("data-update");
    let _ = fs::remove_dir_all(&content);
    fs::create_dir_all(content.join("updates")).expect("a folder is made");
    for version in ["2", "3"] {
        let path = content.join("updates").join(version);
        fs::write(path, GATE.update(version)).expect("it is written");
    }
    let disk = data_with(folder(), "update", "64M", &content);
    let before = fs::read(&disk).expect("it can be read");
    let log = folder().join("data-update.log");
    fs::write(&log, "").expect("it is written");

    let take = "update:1=take@/data/updates/2,update:run,update:2=take@/data/updates/3";
    let acts = format!("{take},{}update:run", "update:3=abort,".repeat(TRIES));
    let options = format!("init=/sbin/init acts={acts}");
    let mut vm = Vm::start_logged("update", crate::image(), &disk, &log, &options);
    vm.event("boot");
    for line in [
        "took 2",
        "update: 2 is ready and stays",
        "took 3",
        "tried, start 3 of 3",
        "update: 3 is refused",
        "ready 2",
    ] {
        vm.says(line);
    }
    vm.wait_for_end();

    let log = DiskLog::read(&log, before);
    let writes = log.entries.len();
    assert!(writes > CUTS, "{writes} writes");
    let mut dice = Dice(47);
    let (mut versions, mut tried) = ([0; 2], 0);
    let mut cuts: Vec<usize> = (0..CUTS).map(|_| dice.below(writes + 1)).collect();
    cuts.sort_unstable();
    for cut in cuts {
        // At first all that was not flushed is lost, then none, then any part of it.
        let most = [1, 0, 2][cut % 3];
        let disk = log.cut(cut, || most > 0 && dice.below(most) == 0);
        let content = crate::reports::content(&disk, "/update");
        let what = format!("the power is cut before write {cut} of {writes}");
        let (starts, version) = start_until_ready(content.path(), &what);
        tried += usize::from(starts > 0);
        versions[version.parse::<usize>().expect("a number") - 1] += 1;
    }
    let [one, two] = versions;
    eprintln!(
        "{CUTS} cuts in {writes} writes: version 1 starts {one} times, 2 {two} times, {tried} of them after 3"
    );
    // Else nothing was tried.
    assert!(one > 0 && two > 0 && tried > 0);
}
