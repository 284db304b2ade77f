//! Builds inside a container, and launchers in a container of another machine: podman, without a registry.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::SystemTime;

use pyrmware_payload::Payload;

use super::support::task::{LIMIT, Task};
use super::support::{self, Image, SAMPLE};
use super::{
    AARCH64, ARMV7, SUITE, X86_64, compiled_sample, is_right, launcher, sysroot, task, task_by,
};

/// An image to build in: Debian's Python and compiler.
const BUILD: &str = "localhost/pyrmware-build";

/// podman with a store and settings of its own, for whatever this machine's are.
struct Podman {
    folder: PathBuf,
}

/// Where the machine has control groups of both versions, podman takes the one that has no controllers.
const ALONE: &str = "umount /sys/fs/cgroup/unified 2>/dev/null; exec \"$@\"";
const UNDER: [&str; 5] = ["--mount", "sh", "-c", ALONE, "sh"];

static PODMAN: LazyLock<Podman> = LazyLock::new(|| {
    let folder = support::scratch().join("containers");
    fs::create_dir_all(&folder).expect("a folder is made");
    // Neither a bridge nor systemd is needed: the network is this machine's.
    let containers = "[containers]\nnetns = \"host\"\n\
                      default_ulimits = [\"nofile=20000:20000\", \"nproc=4096:4096\"]\n\
                      [engine]\ncgroup_manager = \"cgroupfs\"\nruntime = \"crun\"\n\
                      events_logger = \"file\"\n";
    let store = folder.join("store").display().to_string();
    let storage = format!(
        "[storage]\ndriver = \"overlay\"\ngraphroot = \"{store}\"\nrunroot = \"{store}.run\"\n"
    );
    fs::write(folder.join("containers.conf"), containers).expect("it is written");
    fs::write(folder.join("storage.conf"), storage).expect("it is written");
    Podman { folder }
});

impl Podman {
    fn settings(&self, task: Task) -> Task {
        let task = task.env("CONTAINERS_CONF", self.folder.join("containers.conf"));
        task.env("CONTAINERS_STORAGE_CONF", self.folder.join("storage.conf"))
    }

    fn task(&self, words: &[&str]) -> Task {
        self.settings(Task::new("unshare").args(UNDER).arg("podman").args(words))
            .limit(support::BUILD_LIMIT)
    }

    /// An image of the files in an archive, unless there is one.
    fn import(&self, image: &str, architecture: &str, archive: &Path) {
        let words = ["import", "--quiet", "--arch", architecture, "--os", "linux"];
        self.task(&words).arg(archive).arg(image).run().success();
    }

    fn has(&self, image: &str) -> bool {
        self.task(&["image", "exists", image]).run().code == 0
    }
}

/// The image to build in, made of Debian's packages.
fn build_image() {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let podman = &*PODMAN;
    if podman.has(BUILD) {
        return;
    }
    let archive = podman.folder.join("build.tar");
    let sources = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];
    let sources = sources.iter().find(|file| Path::new(file).is_file()).expect("a Debian");
    let packages = "gcc,libc6-dev,libexpat1-dev,libpython3-dev,python3,python3-pip,zlib1g-dev";
    Task::new("mmdebstrap")
        .args(["--quiet", "--mode=root", "--variant=minbase", "--include", packages])
        .args([r#"--aptopt=Acquire::Check-Valid-Until "false""#, SUITE])
        .arg(&archive)
        .arg(sources)
        .limit(support::BUILD_LIMIT)
        .run()
        .success();
    podman.import(BUILD, "amd64", &archive);
    fs::remove_file(archive).expect("it was written");
}

fn payload(image: &Image) -> Vec<u8> {
    let launcher = fs::read(&image.launcher).expect("it can be read");
    let place = image.payload(&launcher);
    Payload::open(&launcher[place.clone()]).expect("it is whole");
    launcher[place].to_vec()
}

#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn a_container_builds_the_same_payload() {
    build_image();
    for app in ["hello", "mqtt"] {
        let project = support::project(app);
        let json = ["--message-format", "json", "--out"];
        let folders = ["outside", "inside"].map(|side| PODMAN.folder.join(app).join(side));
        // With the same Rust as inside.
        let outside = task_by(support::xtask(), "dist", &X86_64, &project)
            .args(json)
            .arg(&folders[0])
            .run()
            .success();
        let xtask = PODMAN.settings(support::xtask_under("unshare", &UNDER));
        let inside = task_by(xtask, "dist", &X86_64, &project)
            .args(["--container", "podman", "--image", BUILD])
            .args(json)
            .arg(&folders[1])
            .run()
            .success();
        let [outside, inside] = [outside, inside].map(|ended| Image::of(&ended));
        assert_eq!(inside.folder, folders[1]);
        assert!(payload(&outside) == payload(&inside), "{app}: two payloads");
        assert_eq!(outside.report["sha256"], inside.report["sha256"], "{app}");
    }
}

#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn frozen_there_is_no_network_inside() {
    build_image();
    let project = support::project("hello");
    let xtask = PODMAN.settings(support::xtask_under("unshare", &UNDER));
    let ended = task_by(xtask, "dist", &X86_64, &project)
        .args(["--container", "podman", "--image", BUILD, "--frozen", "--out"])
        .arg(PODMAN.folder.join("frozen"))
        .run()
        .success();
    assert!(ended.err().contains(&format!("Entering {BUILD} (amd64) by ")), "{ended}");
}

/// Of spidev there are no wheels.
#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn a_container_of_the_device_s_kind_builds_what_comes_as_source() {
    build_image();
    let project = tempfile::tempdir().expect("a folder");
    // What an earlier run has built is kept for the same list: this one takes another archive, too, which is nowhere.
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later");
    let requirements = format!("{SPIDEV} --hash=sha256:{:064x}\n", since.as_nanos());
    for (name, text) in [
        ("pyproject.toml", BUS),
        ("requirements.txt", &requirements),
        ("bus.py", "import spidev\n\nprint(spidev.SpiDev.__name__)\n"),
    ] {
        fs::write(project.path().join(name), text).expect("it is written");
    }
    let dist = |machine| {
        let xtask = PODMAN.settings(support::xtask_under("unshare", &UNDER));
        let words = ["--container", "podman", "--image", BUILD, "--inside", "sdists"];
        let json = ["--message-format", "json", "--out"];
        let task = task_by(xtask, "dist", machine, project.path()).args(words).args(json);
        task.arg(PODMAN.folder.join("bus"))
    };
    let ended = dist(&AARCH64).run().exits(1);
    let text = format!(
        "{BUILD} is for amd64, and device bookworm-arm64 for arm64: what is built from source there would not run on it"
    );
    assert!(ended.err().contains(&text), "{ended}");
    let ended = dist(&X86_64).arg("--frozen").run().exits(1);
    let text = format!("cannot build packages from source in a container of {BUILD}");
    assert!(ended.err().contains(&text), "{ended}");
    let image = Image::of(&dist(&X86_64).run().success());
    let extensions = image.report["extensions"].as_array().expect("a list");
    assert!(extensions.iter().any(|item| item["name"] == "spidev"), "{extensions:#?}");
    let said = Task::new(&image.launcher).run().success().out();
    assert_eq!(said, "SpiDev\n");
    // It is there now.
    dist(&X86_64).arg("--frozen").run().success();
}

const BUS: &str = "[project]\nname = \"bus\"\nversion = \"1\"\ndependencies = [\"spidev\"]\n\
                   [tool.pyrmware]\nentry = \"bus\"\nsdists = [\"spidev\"]\n\
                   [tool.pyrmware.verify]\ncommand = []\n";
const SPIDEV: &str =
    "spidev==3.6 --hash=sha256:14dbc37594a4aaef85403ab617985d3c3ef464d62bc9b769ef552db53701115b";

#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn what_is_wrong_with_the_container_is_said() {
    let project = support::project("hello");
    let xtask = PODMAN.settings(support::xtask_under("unshare", &UNDER));
    let ended = task_by(xtask, "dist", &X86_64, &project)
        .args(["--container", "podman", "--image", "localhost/none", "--offline"])
        .run()
        .exits(1);
    let text = "podman has no image localhost/none";
    assert!(ended.err().contains(text), "{ended}");
}

/// The kernel runs programs of another machine by qemu while this lives.
struct Known {
    /// What the kernel calls qemu for them.
    name: &'static str,
    /// Whether it has not known them before.
    by_us: bool,
}

const BINFMT: &str = "/proc/sys/fs/binfmt_misc";

impl Known {
    fn new(name: &'static str) -> Known {
        if !Path::new(BINFMT).join("register").exists() {
            let words = ["-t", "binfmt_misc", "binfmt_misc", BINFMT];
            Task::new("mount").args(words).run().success();
        }
        let by_us = !Path::new(BINFMT).join(name).exists();
        if by_us {
            let rule = fs::read(format!("/usr/lib/binfmt.d/{name}.conf")).expect("Debian's qemu");
            fs::write(Path::new(BINFMT).join("register"), rule).expect("the kernel takes it");
        }
        Known { name, by_us }
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        if self.by_us {
            let _ = fs::write(Path::new(BINFMT).join(self.name), "-1");
        }
    }
}

/// The sysroot is the container's root: what a device has, and no more.
#[test]
#[ignore = "by `cargo xtask test --devices`"]
fn launchers_work_in_containers_of_their_own_machines() {
    let known = ["qemu-aarch64", "qemu-arm"].map(Known::new);
    let compiled = compiled_sample();
    let (sample, native) = (support::project(SAMPLE), support::project("native"));
    for (machine, architecture, project) in [
        (&AARCH64, "arm64", sample.as_path()),
        (&AARCH64, "arm64", native.as_path()),
        (&ARMV7, "arm", compiled.path()),
    ] {
        let out = PODMAN.folder.join(machine.device).join(project.file_name().expect("a name"));
        let launcher = launcher(task("dist", machine, project), &out);
        let image = format!("localhost/pyrmware-{}", machine.debian);
        if !PODMAN.has(&image) {
            let archive = PODMAN.folder.join(format!("{}.tar", machine.debian));
            let folder = sysroot(machine).0;
            let tar = Task::new("tar").arg("-cf").arg(&archive).arg("-C").arg(folder);
            tar.arg(".").run().success();
            PODMAN.import(&image, architecture, &archive);
            fs::remove_file(archive).expect("it was written");
        }
        let ended = PODMAN
            .task(&["run", "--rm", "--read-only", "--network=none", "--volume"])
            .arg(format!("{}:/usr/local/bin/app:ro", launcher.display()))
            .args([&image, "/usr/local/bin/app", "--selftest"])
            .limit(LIMIT)
            .run()
            .success();
        if project != native {
            let said = serde_json::from_str(&ended.out()).expect("a line of JSON");
            is_right(machine, &said);
        }
    }
    drop(known);
}
