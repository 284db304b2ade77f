//! Launchers on booted devices: BusyBox or systemd as the first process, a root that is only read, and a `/tmp` where
//! no program runs.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::device::{self, Debian, Image, Vm};
use super::support::{self, SAMPLE, workspace};
use super::{AARCH64, ARMV7, Machine, SUITE, compiled_sample, is_right, launcher, table, task};

const BUSYBOX: &str = "init=/sbin/init";
const SYSTEMD: &str = "init=/usr/lib/systemd/systemd systemd.unit=self-tests.service";

fn folder(machine: &Machine) -> PathBuf {
    support::scratch().join("booted").join(machine.debian)
}

/// The launcher of an application, in a folder of its own, by its name on the device.
fn built<'a>(name: &'a str, machine: &Machine, project: &Path) -> (&'a str, PathBuf) {
    (name, launcher(task("dist", machine, project), &folder(machine).join(name)))
}

fn image(
    machine: &Machine,
    kind: &'static device::Machine,
    launchers: &[(&str, PathBuf)],
) -> Image {
    let folder = folder(machine);
    // The launchers' libraries are among its packages.
    let debian = Debian::unpacked(kind, SUITE, &folder);
    Image::of(kind, &debian, launchers, &[], &folder)
}

fn aarch64() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let memory = "soft = \"40%\"\nhard = \"70%\"\nrestart = \"exec\"";
        let tables = table(&AARCH64) + "\n" + &device::guest_tables(memory, "");
        let clone = workspace::workspace("booted", "", &tables);
        let guest = task("dist", &AARCH64, &device::guest()).cwd(&clone);
        let launchers = [
            built("sample", &AARCH64, &support::project(SAMPLE)),
            built("native", &AARCH64, &support::project("native")),
            ("exec", launcher(guest, &folder(&AARCH64).join("exec"))),
        ];
        image(&AARCH64, &device::AARCH64, &launchers)
    })
}

fn armv7() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let launchers = [built("sample", &ARMV7, compiled_sample().path())];
        image(&ARMV7, &device::ARMV7, &launchers)
    })
}

/// Starts a device that does these acts.
fn boot(name: &'static str, image: &Image, machine: &Machine, init: &str, acts: &str) -> Vm {
    let data = device::data(&folder(machine), name);
    let mut vm = Vm::start(name, image, &data, &format!("{init} acts={acts}"));
    let boot = vm.event("boot");
    let has = |place: &str, option: &str| {
        let options = boot[place].as_str().expect("a text");
        assert!(options.split(',').any(|has| has == option), "{boot}");
    };
    has("root", "ro");
    has("tmp", "noexec");
    vm
}

/// An act ends as it should.
fn succeeds(vm: &mut Vm) {
    assert_eq!(vm.event("ended")["status"], "0", "{vm}");
}

/// The sample's self-test passes, and says where.
fn sample(vm: &mut Vm, machine: &Machine) {
    is_right(machine, &vm.json("answer of the sample", |said| said["ok"].is_boolean()));
    succeeds(vm);
}

/// That of an application with extension modules of every kind.
fn native(vm: &mut Vm) {
    vm.says("models.dataclasses: ");
    succeeds(vm);
}

#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn aarch64_boots_with_busybox() {
    let acts = "sample:--selftest,native:--selftest,exec:grow";
    let mut vm = boot("aarch64-busybox", aarch64(), &AARCH64, BUSYBOX, acts);
    sample(&mut vm, &AARCH64);
    native(&mut vm);
    vm.starts_again_in_place();
    succeeds(&mut vm);
}

#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn aarch64_boots_with_systemd() {
    let acts = "sample:--selftest,native:--selftest";
    let mut vm = boot("aarch64-systemd", aarch64(), &AARCH64, SYSTEMD, acts);
    sample(&mut vm, &AARCH64);
    native(&mut vm);
}

#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn armv7_boots_with_busybox() {
    let mut vm = boot("armv7-busybox", armv7(), &ARMV7, BUSYBOX, "sample:--selftest");
    sample(&mut vm, &ARMV7);
}

#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn armv7_boots_with_systemd() {
    let mut vm = boot("armv7-systemd", armv7(), &ARMV7, SYSTEMD, "sample:--selftest");
    sample(&mut vm, &ARMV7);
}
