//! Launchers that take the device's own Python, which here is this machine's: libpython and the standard library.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use pyrmware_payload::{Payload, keys};

use crate::apps;
use crate::devices::{dist, has_shared, workspace};
use crate::support::task::Task;
use crate::support::{self, Image, Interpreter, SAMPLE};

const DEVICE: &str = "[package.metadata.pyrmware.device.own]\nlink = \"system\"\n";

/// Of the applications these test most of what is another's here: `__file__`, resources, `ctypes` and `ssl`,
/// children, a dependency with C code.
const BY_DEFAULT: [&str; 4] = ["layout", "native", "procs", "stdlib"];

/// The image of an application; none: the interpreter that is chosen has no shared libpython.
fn image(workspace: &Path, app: &str) -> Option<Image> {
    if !has_shared(&support::plan(SAMPLE)) {
        println!("not tested: the interpreter that is chosen has no shared libpython");
        return None;
    }
    Some(dist(workspace, &support::project(app), "own"))
}

#[test]
fn applications_do_the_same_with_the_device_s_python() {
    let folder = workspace("system-apps", "", DEVICE);
    for app in apps::chosen(&BY_DEFAULT) {
        let Some(image) = image(&folder, app) else { return };
        match app {
            SAMPLE => apps::sample_behaves(&image),
            // With a libpython that is shared nothing is lazy.
            _ => apps::behaves(app, &image, true, |case| (app, case) != ("lazy", "waits")),
        }
    }
}

#[test]
fn nothing_of_the_interpreter_ships() {
    let folder = workspace("system-ships", "", DEVICE);
    let Some(image) = image(&folder, SAMPLE) else { return };
    let bundled = support::image(SAMPLE);
    let bytes = |image: &Image| image.launcher.metadata().expect("it is there").len();
    assert!(bytes(&image) * 2 < bytes(&bundled), "{} {}", bytes(&image), bytes(&bundled));

    assert_eq!((&image.report["link"], image.beside().count()), (&"system".into(), 0));
    assert_eq!(image.report["bytes"]["interpreter"], 0);
    let modules = image.report["modules"]["kept"].as_array().expect("a list");
    let of_stdlib = modules.iter().filter(|module| module["origin"] == "stdlib").count();
    assert_eq!(of_stdlib, 0, "{modules:#?}");
    let needed = image.report["system_libraries"].as_object().expect("a table");
    let libpython = needed.iter().find(|(name, _)| name.starts_with("libpython3."));
    assert!(libpython.is_some(), "{needed:#?}");
    for bill in ["cdx", "spdx"] {
        let has_python = |image: &Image| {
            let file = image.folder.join(format!("device-console.{bill}.json"));
            fs::read_to_string(file).expect("it is there").contains("pkg:generic/python@")
        };
        assert_eq!((has_python(&image), has_python(&bundled)), (false, true), "{bill}");
    }
}

#[test]
fn a_device_with_another_python_or_none_says_so() {
    let folder = workspace("system-checks", "", DEVICE);
    let Some(image) = image(&folder, "hello") else { return };
    let alone = image.alone();
    let plan = support::plan("hello");
    let version = plan["interpreter"]["version"].as_str().expect("a version");
    let bytes = fs::read(&image.launcher).expect("it is there");
    let payload = Payload::open(&bytes[image.payload(&bytes)]).expect("it was just packed");
    let stdlib = payload.setting(keys::STDLIB).expect("it is set");
    let stdlib = stdlib.lines().next().expect("the first of its folders");

    let hidden = format!("mount -t tmpfs none {stdlib} && exec {}", alone.launcher.display());
    let unshare = Task::new("unshare").args(["--map-root-user", "--mount", "sh", "-c", &hidden]);
    let ended = unshare.run().exits(71);
    let text = format!(
        "hello: Python could not start: the device has libpython {version}, and no standard library in {stdlib}, \
         where this launcher was built to look; install that of the device's Python, or build the launcher without \
         `link = \"system\"`"
    );
    assert!(ended.err().contains(&text), "{ended}");

    let short = version.rsplit_once('.').expect("three numbers").0;
    for (theirs, library) in others(short) {
        let disguise = tempfile::tempdir().expect("a folder");
        let name = format!("libpython{short}.so.1.0");
        symlink(&library, disguise.path().join(name)).expect("a link is made");
        let ended = alone.task().env("LD_LIBRARY_PATH", disguise.path()).run();
        if ended.code == 127 {
            // A function is not there: the dynamic linker says so before the launcher can.
            assert!(ended.err().contains("undefined symbol"), "{ended}");
            continue;
        }
        let text = format!(
            "hello: this launcher is for Python {short}, and the device's libpython is Python {theirs}: build it \
             against the sysroot of this device"
        );
        assert!(ended.code == 71 && ended.err().contains(&text), "{ended}");
    }
}

/// Shared libpythons of other versions on this machine, with their version: "3.12".
fn others(short: &str) -> Vec<(String, PathBuf)> {
    let of = |Interpreter { version, prefix }: Interpreter| {
        let short = version.rsplit_once('.')?.0.to_owned();
        let library = Path::new(&prefix).join(format!("lib/libpython{short}.so.1.0"));
        library.is_file().then_some((short, library))
    };
    support::interpreters().into_iter().filter_map(of).filter(|(other, _)| other != short).collect()
}
