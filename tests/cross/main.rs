//! Launchers for other machines: built against sysroots of Debian's packages, run under qemu's user mode, in
//! containers, and on booted devices.
//!
//! `cargo xtask test --devices` installs what that takes. The tests are ignored, so that whoever runs all tests by
//! hand needs none of it.

#[expect(dead_code, reason = "shared with the other end-to-end tests")]
#[path = "../support/mod.rs"]
mod support;

mod booted;
mod containers;
#[expect(dead_code, unused_imports, reason = "shared with the devices of this machine's kind")]
#[path = "../device/mod.rs"]
mod device;
mod refused;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use pyrmware_payload::{Payload, keys};
use serde_json::Value;
use support::task::Task;
use support::{Ended, SAMPLE, workspace};
use tempfile::TempDir;

/// The release of Debian that devices have, and its Python.
const SUITE: &str = "bookworm";

/// A machine that launchers are built for.
struct Machine {
    /// The name of its device, which is the sysroot's too.
    device: &'static str,
    /// As Debian calls it.
    debian: &'static str,
    /// As Python calls it.
    machine: &'static str,
}

const AARCH64: Machine = Machine { device: "bookworm-arm64", debian: "arm64", machine: "aarch64" };
/// This one, with the libraries of another one of its kind.
const X86_64: Machine = Machine { device: "bookworm-amd64", debian: "amd64", machine: "x86_64" };
const ARMV7: Machine = Machine { device: "bookworm-armhf", debian: "armhf", machine: "armv7l" };

/// `cargo xtask` with the Rust that has standard libraries for other machines.
fn xtask() -> Task {
    let task = support::xtask();
    match std::env::var_os("PYRMWARE_DEVICES_RUSTC") {
        Some(rustc) => task.env("RUSTC", rustc),
        None => task,
    }
}

/// The sysroot, made once in a run, with the table of a device that uses it.
fn sysroot(machine: &Machine) -> (PathBuf, String) {
    static MADE: Mutex<Vec<(&'static str, (PathBuf, String))>> = Mutex::new(Vec::new());
    let mut made = MADE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((_, found)) = made.iter().find(|(device, _)| *device == machine.device) {
        return found.clone();
    }
    let folder = support::scratch().join("sysroots").join(machine.device);
    let task = support::xtask().args(["sysroot", "debian", SUITE, machine.debian, "--out"]);
    let table = task.arg(&folder).run().success().out();
    made.push((machine.device, (folder.clone(), table.clone())));
    (folder, table)
}

/// A clone of the workspace with a device for each machine: what `sysroot` prints.
fn clone() -> &'static Path {
    static CLONE: OnceLock<PathBuf> = OnceLock::new();
    CLONE.get_or_init(|| {
        let tables = [AARCH64, ARMV7, X86_64].map(|machine| table(&machine)).join("\n");
        workspace::workspace("cross", "", &tables)
    })
}

/// The table of the machine's device, whose sysroot is found from any clone's launcher.
fn table(machine: &Machine) -> String {
    let above = support::ROOT.display().to_string();
    sysroot(machine).1.replace("\"../", &format!("\"{above}/"))
}

/// `cargo xtask VERB` of a project for a machine, in the clone.
fn task(verb: &str, machine: &Machine, project: &Path) -> Task {
    task_by(xtask(), verb, machine, project)
}

/// The same, as somebody else starts it.
fn task_by(xtask: Task, verb: &str, machine: &Machine, project: &Path) -> Task {
    let target = support::scratch().join("workspaces/target");
    workspace::share_tools(&target.join("pyrmware"));
    let task = xtask.cwd(clone()).env("CARGO_TARGET_DIR", target).arg(verb);
    task.args(["--device", machine.device, "--project"]).arg(project)
}

/// The launcher that a `dist` writes into a folder.
fn launcher(dist: Task, out: &Path) -> PathBuf {
    let ended = dist.args(["--quiet", "--out"]).arg(out).run().success();
    PathBuf::from(ended.out().trim_end())
}

/// Runs the launcher as `cargo xtask run` does, and gives what it says.
fn run(machine: &Machine, project: &Path, args: &[&str]) -> Ended {
    task("run", machine, project).arg("--quiet").arg("--").args(args).run()
}

/// The application is built without a warning, passes its self-test under qemu, and once more when it is run. Gives
/// what it says.
fn works(machine: &Machine, project: &Path) -> String {
    let ended = task("dist", machine, project).args(["--message-format", "json"]).run().success();
    let image = support::Image::of(&ended);
    assert_eq!(image.report["warnings"], Value::Array(Vec::new()), "{ended}");
    assert_eq!(image.report["link"], "static", "{}", image.report);
    run(machine, project, &["--selftest"]).success().out()
}

/// What the sample says of the machine that it is on.
fn sample(machine: &Machine, project: &Path) {
    is_right(machine, &serde_json::from_str(&works(machine, project)).expect("a line of JSON"));
}

fn is_right(machine: &Machine, said: &Value) {
    assert_eq!((&said["ok"], &said["machine"]), (&true.into(), &machine.machine.into()), "{said}");
}

#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn the_sample_works_on_aarch64() {
    sample(&AARCH64, &support::project(SAMPLE));
}

#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn extension_modules_of_every_kind_work_on_aarch64() {
    let said = works(&AARCH64, &support::project("native"));
    assert!(said.contains("models.dataclasses: "), "{said}");
}

/// psutil has no wheels for it: its source is compiled for the device.
#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn the_sample_works_on_armv7() {
    let ended = task("dist", &ARMV7, &support::project(SAMPLE)).run().exits(1);
    assert!(
        ended.err().contains("pip finds no `psutil==") && ended.err().contains("armv7l"),
        "{ended}"
    );
    sample(&ARMV7, compiled_sample().path());
}

/// Cython's C is compiled for the device.
#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn the_sample_works_as_cython_compiles_it() {
    let project = compiled_sample();
    let file = project.path().join("pyproject.toml");
    let text = fs::read_to_string(&file).expect("it can be read");
    fs::write(&file, format!("{text}\n[tool.pyrmware.protect]\nmode = \"cython\"\n"))
        .expect("it is written");
    for machine in [&AARCH64, &ARMV7] {
        let image = own_image(machine, "cython", |verb| task(verb, machine, project.path()));
        let extensions = image.report["extensions"].as_array().expect("a list");
        let is_main = |item: &Value| item["name"] == "device_console.server";
        assert!(extensions.iter().any(is_main), "{extensions:#?}");
    }
}

/// The device's own Python is the sysroot's under qemu's user mode, and is named as the device has it.
#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn the_sample_works_with_the_device_s_own_python() {
    let table = table(&AARCH64) + "link = \"system\"\n";
    let folder = workspace::workspace("cross-own", "", &table);
    let project = support::project(SAMPLE);
    let image = own_image(&AARCH64, "own", |verb| task(verb, &AARCH64, &project).cwd(&folder));
    assert_eq!(image.report["link"], "system", "{}", image.report);
    let bytes = fs::read(&image.launcher).expect("it is there");
    let payload = Payload::open(&bytes[image.payload(&bytes)]).expect("it was just packed");
    let wanted = "/usr/lib/python3.11\n/usr/lib/python3.11/lib-dynload";
    assert_eq!(payload.setting(keys::STDLIB), Ok(wanted));
}

/// The image of the sample that a `dist` writes where no other test does; it passes its self-test, once more when
/// it is run.
fn own_image(machine: &Machine, name: &str, verb: impl Fn(&str) -> Task) -> support::Image {
    let out = support::scratch().join("images").join(format!("{}-{name}", machine.device));
    let verb = |name: &str| verb(name).arg("--out").arg(&out);
    let ended = verb("dist").args(["--message-format", "json"]).run().success();
    let image = support::Image::of(&ended);
    assert!(!ended.err().contains("not verified"), "{ended}");
    let said = verb("run").args(["--quiet", "--", "--selftest"]).run().success().out();
    is_right(machine, &serde_json::from_str(&said).expect("a line of JSON"));
    image
}

/// The sample with what is to be compiled where there are no wheels.
fn compiled_sample() -> TempDir {
    let project = support::copy_of(SAMPLE);
    let file = project.path().join("pyproject.toml");
    let text = fs::read_to_string(&file).expect("it can be read");
    let entry = "entry = \"device_console\"\n";
    assert!(text.contains(entry), "{text}");
    let text = text.replace(entry, &format!("{entry}sdists = [\"psutil\"]\n"));
    fs::write(&file, text).expect("it is written");
    project
}

#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn run_passes_arguments_streams_and_the_exit_code_on() {
    let project = support::project("hello");
    for machine in [&AARCH64, &ARMV7] {
        assert_eq!(
            run(machine, &project, &["--exit", "3"]).exits(3).out(),
            "before exit\nfinally ran\n"
        );
        let ended = task("run", machine, &project).args(["--", "--stdin"]).stdin("through").run();
        assert_eq!(ended.success().out(), "through");
    }
}

/// Each device has what it has alone: an image in its own folder.
#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn all_devices_are_built_one_after_the_other() {
    let target = support::scratch().join("workspaces/target");
    workspace::share_tools(&target.join("pyrmware"));
    let task =
        xtask().cwd(clone()).env("CARGO_TARGET_DIR", &target).args(["dist", "--all-devices"]);
    let ended = task.arg("--project").arg(support::project("hello")).run().success();
    let devices = [&X86_64, &AARCH64, &ARMV7];
    let launchers =
        devices.map(|machine| target.join("dist").join(machine.device).join("hello/hello"));
    let lines: Vec<String> = launchers.iter().map(|path| path.display().to_string()).collect();
    assert_eq!(ended.out().lines().collect::<Vec<_>>(), lines, "{ended}");
    for (launcher, machine) in launchers.iter().zip(devices) {
        let report = support::Image::at(launcher).report;
        assert_eq!(report["device"], machine.device, "{report}");
    }
    let ended =
        xtask().cwd(clone()).env("CARGO_TARGET_DIR", &target).args(["dist", "--all-devices"]);
    let ended = ended.args(["--device", "host"]).run().exits(2);
    assert!(
        ended.err().contains("'--all-devices' cannot be used with '--device <NAME>'"),
        "{ended}"
    );
}

#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn the_plan_names_what_another_machine_takes() {
    let ended = task("plan", &AARCH64, &support::project(SAMPLE)).run().success();
    for word in ["aarch64-unknown-linux-gnu", "glibc 2.36", "aarch64-linux-gnu-gcc", "qemu-aarch64"]
    {
        assert!(ended.out().contains(word), "{word}: {ended}");
    }
    let ended = task("doctor", &AARCH64, &support::project(SAMPLE)).run().success();
    for word in ["target", "linker", "emulator"] {
        assert!(ended.out().contains(&format!("{word} ")), "{word}: {ended}");
    }
}
