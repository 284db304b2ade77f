//! Packages: installed, upgraded and removed by the tools of those who install them, into roots of Debian's
//! packages; service files, tried by those who read them.

mod root;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use flate2::bufread::{GzDecoder, MultiGzDecoder};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::support;
use crate::support::task::{Ended, Task};
use crate::support::workspace::{share_tools, workspace};
use root::Root;

/// Says what it is, or keeps its state until it is ended.
const TICKER: &str = r#"
import os
import signal
import sys

import _ctypes
import pyrmware

if sys.argv[1:] == ["--selftest"]:
    print("ticker @VERSION@", _ctypes.__name__)
    sys.exit(0)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with open("/var/lib/ticker/said", "w") as file:
    print(*sys.argv[1:], os.environ.get("GREETING"), os.getuid(), file=file, flush=True)
pyrmware.ready("ticks")
while True:
    signal.pause()
"#;

const TABLES: &str = r#"
[package.metadata.pyrmware.memory]
report-dir = "/var/lib/ticker/memory"
restart = "zygote"
[package.metadata.pyrmware.service]
heartbeat = "30 s"
[package.metadata.pyrmware.package]
maintainer = "Tick Tock <tick@example.com>"
license = "MIT"
homepage = "https://example.com/ticker"
notify = true
arguments = ["--note", "it's 5 o'clock"]
depends.apk = []
[package.metadata.pyrmware.device.beside]
extensions = "sidecar"
"#;

/// The sample's own table gives way to that of a test.
fn configured(name: &str, tables: &str) -> PathBuf {
    let folder = workspace(name, "", tables);
    let manifest = folder.join("app/Cargo.toml");
    let text = fs::read_to_string(&manifest).expect("it can be read");
    let at = text.find("[package.metadata.pyrmware.package]").expect("the sample has one");
    let end = text[at..].find("\n\n").map_or(text.len(), |end| at + end + 2);
    fs::write(&manifest, format!("{}{}", &text[..at], &text[end..])).expect("it is written");
    folder
}

fn project(version: &str) -> TempDir {
    let project = tempfile::tempdir().expect("a folder");
    let table = format!(
        "[project]\nname = \"ticker\"\nversion = \"{version}\"\ndescription = \"Ticks, 100% of it\"\n\
         requires-python = \">=3.10\"\n[tool.pyrmware]\nentry = \"ticker\"\n\
         [tool.pyrmware.verify]\ncommand = [\"--selftest\"]\n"
    );
    fs::write(project.path().join("pyproject.toml"), table).expect("it is written");
    let code = TICKER.replace("@VERSION@", version);
    fs::write(project.path().join("ticker.py"), code).expect("it is written");
    project
}

fn package(workspace: &Path, project: &Path, to: &Path, more: &[&str]) -> Task {
    let target = support::scratch().join("workspaces/target");
    share_tools(&target.join("pyrmware"));
    support::xtask()
        .cwd(workspace)
        .args(["package", "--project"])
        .arg(project)
        .arg("--to")
        .arg(to)
        .args(support::python())
        .args(more)
        .env("CARGO_TARGET_DIR", target)
}

/// Format -> file, of a version that may have been asked for before.
pub fn packages(version: &str, device: &str) -> BTreeMap<String, PathBuf> {
    static MADE: LazyLock<Mutex<BTreeMap<String, TempDir>>> = LazyLock::new(Mutex::default);
    static WORKSPACE: LazyLock<PathBuf> = LazyLock::new(|| configured("package", TABLES));
    let mut made = MADE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let key = format!("{device} {version}");
    let folder = made.entry(key).or_insert_with(|| {
        let (project, to) = (project(version), tempfile::tempdir().expect("a folder"));
        let formats = ["tar", "deb", "ipk", "apk", "rpm"].map(|format| ["--format", format]);
        let more = [&["-q", "--device", device][..], formats.as_flattened()].concat();
        let ended = package(&WORKSPACE, project.path(), to.path(), &more).run().success();
        assert_eq!(ended.out().lines().count(), 5, "{ended}");
        to
    });
    let files = fs::read_dir(folder.path()).expect("it can be listed");
    let files = files.map(|file| file.expect("it is listed").path());
    let kind = |path: &Path| {
        let end = path.extension().expect("it has one").to_string_lossy().into_owned();
        if end == "gz" { "tar".to_owned() } else { end }
    };
    let files: BTreeMap<String, PathBuf> = files.map(|path| (kind(&path), path)).collect();
    assert_eq!(files.len(), 5, "{files:?}");
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn debs_install_upgrade_and_purge() {
    let Some(root) = Root::new("deb") else { return };
    let (old, new) = (packages("1.0", "host"), packages("1.1rc1", "host"));
    let field = |name: &str| {
        let task = Task::new("dpkg-deb").arg("--field").arg(&old["deb"]).arg(name);
        task.run().success().out().trim().to_owned()
    };
    assert_eq!(field("Package"), "ticker");
    assert_eq!(field("Version"), "1.0");
    assert_eq!(field("Maintainer"), "Tick Tock <tick@example.com>");
    assert_eq!(field("Description").lines().next(), Some("Ticks, 100% of it"));
    assert!(field("Depends").starts_with("libc6 (>= 2."), "{}", field("Depends"));
    assert!(new["deb"].ends_with(format!("ticker_1.1~rc1_{}.deb", field("Architecture"))));

    let dpkg = |words: &[&str]| root.host("dpkg").args(["--root"]).arg(&root.path).args(words);
    let file = |files: &BTreeMap<String, PathBuf>| files["deb"].to_str().expect("text").to_owned();
    dpkg(&["--install", &file(&old)]).run().success();
    assert_eq!(dpkg(&["--verify", "ticker"]).run().success().out(), "");
    assert_eq!(root.enter(&["ticker", "--selftest"]).run().success().out(), "ticker 1.0 _ctypes\n");
    let wants = root.path.join("etc/systemd/system/multi-user.target.wants/ticker.service");
    assert!(wants.is_symlink(), "the service is switched on");

    // Both of those that start services by that script.
    for path in ["/usr/sbin:/usr/bin:/sbin:/bin", "/busybox:/usr/sbin:/usr/bin:/sbin:/bin"] {
        let script = |word: &str| {
            root.enter(&["env", &format!("PATH={path}"), "/etc/init.d/ticker", word]).run()
        };
        runs_as_its_user(&root, "/etc/init.d/ticker", &script);
    }

    fs::remove_file(&wants).expect("an administrator switches it off");
    dpkg(&["--install", &file(&new)]).run().success();
    let said = root.enter(&["ticker", "--selftest"]).run().success().out();
    assert_eq!(said, "ticker 1.1rc1 _ctypes\n");
    assert!(!wants.is_symlink(), "what was switched off stays so");
    dpkg(&["--remove", "ticker"]).run().success();
    assert!(!root.path.join("usr/bin/ticker").exists());
    assert!(root.path.join("var/lib/ticker/said").exists(), "state outlives the program");
    dpkg(&["--purge", "ticker"]).run().success();
    assert!(!root.path.join("var/lib/ticker").exists());
    let left = root.host("find").arg(root.path.join("etc")).args(["-name", "*ticker*"]);
    assert_eq!(left.run().success().out(), "", "nothing is left in /etc");
}

/// Starts it, looks at it, starts it anew and stops it.
fn runs_as_its_user(root: &Root, name: &str, script: &dyn Fn(&str) -> Ended) {
    let said = root.path.join("var/lib/ticker/said");
    let _ = fs::remove_file(&said);
    fs::create_dir_all(root.path.join("etc/ticker")).expect("a folder is made");
    fs::write(root.path.join("etc/ticker/environment"), "GREETING='good day'\n").expect("written");
    script("start").success();
    let text = root::waited(&said);
    let user: u32 = read(&root.path.join("etc/passwd"))
        .lines()
        .find_map(|line| line.strip_prefix("ticker:")?.split(':').nth(1)?.parse().ok())
        .expect("the package made the user");
    assert_eq!(text, format!("--note it's 5 o'clock good day {user}\n"), "{name}");
    let folder = fs::metadata(root.path.join("var/lib/ticker")).expect("it is there");
    assert_eq!((folder.uid(), folder.mode() & 0o777), (user, 0o750));
    script("status").success();
    fs::remove_file(&said).expect("it is there");
    script("restart").success();
    root::waited(&said);
    script("stop").success();
    assert_eq!(script("status").code, 3, "{name}");
    fs::remove_dir_all(root.path.join("etc/ticker")).expect("it is removed");
}

/// Looks at the service when it is ready, ends it as a crash does, looks again, and switches the machine off.
const PROBE: &str = r#"
[Unit]
After=ticker.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'systemctl show -P ActiveState,StatusText,NRestarts ticker.service'
ExecStart=/bin/sh -c 'grep -E "^(NoNewPrivs|Seccomp|CapBnd):" /proc/$(systemctl show -P MainPID ticker)/status'
ExecStart=/bin/sh -c 'cp /var/lib/ticker/said /first; rm /var/lib/ticker/said'
ExecStart=/bin/systemctl kill --signal=KILL ticker.service
ExecStart=/bin/sh -c 'until [ -s /var/lib/ticker/said ]; do sleep 0.1; done'
ExecStart=/bin/systemctl show -P NRestarts ticker.service
ExecStopPost=/bin/systemctl --no-block poweroff
TimeoutStartSec=60
StandardOutput=append:/probed
StandardError=append:/probed
"#;

#[test]
fn systemd_starts_confines_and_restarts() {
    let Some(root) = Root::new("systemd") else { return };
    let deb = &packages("1.0", "host")["deb"];
    root.host("dpkg").arg("--root").arg(&root.path).arg("--install").arg(deb).run().success();
    let system = root.path.join("etc/systemd/system");
    fs::write(system.join("probe.service"), PROBE).expect("it is written");
    let wants = system.join("multi-user.target.wants/probe.service");
    std::os::unix::fs::symlink("../probe.service", wants).expect("a link is made");
    let booted = root.boot().run();
    // The probe is started whatever becomes of the service.
    let Ok(probed) = fs::read_to_string(root.path.join("probed")) else {
        eprintln!("not tried: systemd, which does not boot in a container here: {booted}");
        return;
    };
    for line in ["active", "ticks", "0", "NoNewPrivs:\t1", "Seccomp:\t2", "1"] {
        assert!(probed.lines().any(|said| said == line), "{line:?} in\n{probed}\n{booted}");
    }
    assert!(probed.contains("CapBnd:\t0000000000000000\n"), "{probed}");
    let said = read(&root.path.join("first"));
    assert!(said.starts_with("--note it's 5 o'clock None "), "{said}");
}

#[test]
fn openrc_starts_and_supervises() {
    let Some(root) = Root::new("openrc") else { return };
    unpack(&packages("1.0", "host")["apk"], &root.path, "--exclude=.*");
    let control = control(&fs::read(&packages("1.0", "host")["apk"]).expect("it is there"));
    fs::write(root.path.join("install"), &control[".post-install"]).expect("it is written");
    // What OpenRC makes when it starts a machine.
    for folder in ["daemons", "exclusive", "failed", "options", "started", "starting", "stopping"] {
        fs::create_dir_all(root.path.join("run/openrc").join(folder)).expect("a folder is made");
    }
    root.enter(&["sh", "/install"]).run().success();
    assert!(root.path.join("etc/runlevels/default/ticker").is_symlink());
    fs::write(root.path.join("run/openrc/softlevel"), "default").expect("it is written");
    let script = |word: &str| root.enter(&["rc-service", "ticker", word]).run();
    runs_as_its_user(&root, "openrc", &script);
}

#[test]
fn rpms_install_upgrade_and_go() {
    let Some(root) = Root::new("rpm") else { return };
    let (old, new) = (packages("1.0", "host"), packages("1.1rc1", "host"));
    let query = root.host("rpm").args(["-qp", "--requires"]).arg(&old["rpm"]).run().success();
    assert!(query.out().contains("libc.so.6(GLIBC_2."), "{query}");
    let checked = root.host("rpm").arg("--checksig").arg(&new["rpm"]).run().success();
    assert!(checked.out().contains("digests OK"), "{checked}");
    let rpm = |words: &[&str]| {
        let task = root.host("rpm").arg("--root").arg(&root.path);
        task.args(["--dbpath", "/var/lib/rpm"]).args(words).run()
    };
    let file = |files: &BTreeMap<String, PathBuf>| files["rpm"].to_str().expect("text").to_owned();
    // rpm knows nothing of Debian's packages, which have the libraries.
    rpm(&["--nodeps", "-U", &file(&old)]).success();
    let wants = root.path.join("etc/systemd/system/multi-user.target.wants/ticker.service");
    assert!(wants.is_symlink());
    assert!(read(&root.path.join("etc/passwd")).contains("\nticker:"));
    fs::remove_file(&wants).expect("an administrator switches it off");
    rpm(&["--nodeps", "-U", &file(&new)]).success();
    assert!(!wants.is_symlink(), "what was switched off stays so");
    let said = root.enter(&["ticker", "--selftest"]).run().success().out();
    assert_eq!(said, "ticker 1.1rc1 _ctypes\n");
    assert_eq!(rpm(&["--nodeps", "-V", "ticker"]).success().out(), "");
    assert!(rpm(&["-q", "ticker"]).success().out().starts_with("ticker-1.1~rc1-1."));
    rpm(&["-e", "ticker"]).success();
    assert!(!root.path.join("usr/bin/ticker").exists());
}

/// With what has to be beside the launcher, from a tree that nobody may write to.
#[test]
fn trees_run_where_they_lie_and_their_units_pass() {
    let tree = tempfile::tempdir().expect("a folder");
    unpack(&packages("1.0", "beside")["tar"], tree.path(), "--exclude=none");
    let path = |text: &str| tree.path().join(text);
    assert!(path("usr/lib/ticker/lib").is_dir());
    assert_eq!(
        fs::read_link(path("usr/bin/ticker")).expect("a link"),
        Path::new("../lib/ticker/ticker")
    );
    Task::new("chmod").args(["-R", "a-w"]).arg(tree.path()).run().success();
    let ran = Task::new(path("usr/bin/ticker")).clean_env().arg("--selftest").run().success();
    assert_eq!(ran.out(), "ticker 1.0 _ctypes\n");
    Task::new("chmod").args(["-R", "u+w"]).arg(tree.path()).run().success();
    let docs = path("usr/share/doc/ticker");
    assert!(read(&docs.join("copyright")).contains("\nLicense: MIT\n"));
    assert!(read(&docs.join("ticker.cdx.json")).contains("CycloneDX"));
    assert!(read(&docs.join("ticker.spdx.json")).contains("SPDX-2.3"));

    let init = path("usr/share/ticker/init");
    for script in ["sysv", "openrc", "procd"] {
        let script = init.join(script).join("ticker");
        Task::new("sh").arg("-n").arg(script).run().success();
    }
    what_procd_is_told(&init.join("procd/ticker"));
    what_systemd_says(tree.path(), &read(&init.join("systemd/ticker.service")));
}

/// OpenWrt's `rc.common` reads the script and asks for one function; here it prints what that asks of procd.
fn what_procd_is_told(script: &Path) {
    let stub = r#"procd_open_instance() { :; }
procd_close_instance() { :; }
procd_set_param() { printf '%s|' "$@"; echo; }
mkdir() { echo "mkdir $*"; }; chmod() { :; }; chown() { echo "chown $*"; }
. "$0"
start_service"#;
    let told = Task::new("sh").args(["-c", stub]).arg(script).run().success().out();
    for line in [
        "mkdir -p /var/lib/ticker",
        "chown ticker:ticker /var/lib/ticker",
        "command|/usr/bin/ticker|--note|it's 5 o'clock|",
        "user|ticker|",
        "respawn|3600|1|0|",
    ] {
        assert!(told.lines().any(|said| said == line), "{line:?} in\n{told}");
    }
}

fn what_systemd_says(tree: &Path, unit: &str) {
    for line in [
        "Description=Ticks, 100%% of it",
        "ExecStart=/usr/bin/ticker --note \"it's 5 o'clock\"",
        "Type=notify",
        "WatchdogSec=70s",
        "KillMode=mixed",
        "StateDirectory=ticker",
        "User=ticker",
        "TimeoutStopSec=15s",
    ] {
        assert!(unit.lines().any(|said| said == line), "{line:?} in\n{unit}");
    }
    let units = Path::new("/usr/lib/systemd/system");
    let analyze = which::which("systemd-analyze");
    let (true, Ok(analyze)) = (units.join("sysinit.target").is_file(), analyze) else {
        eprintln!("not tried: systemd-analyze, for there is no systemd here");
        return;
    };
    let ours = tree.join("usr/lib/systemd/system");
    fs::create_dir_all(&ours).expect("a folder is made");
    for entry in fs::read_dir(units).expect("it can be listed") {
        let entry = entry.expect("it is listed");
        if entry.path().extension().is_some_and(|end| end == "target") {
            fs::copy(entry.path(), ours.join(entry.file_name())).expect("it is copied");
        }
    }
    fs::write(ours.join("ticker.service"), unit).expect("it is written");
    let root = format!("--root={}", tree.display());
    let task =
        |words: &[&str]| Task::new(&analyze).args(words).args([&root, "ticker.service"]).run();
    let verified = task(&["verify", "--man=no"]).success();
    assert!(!verified.err().contains("ticker.service"), "{verified}");
    // Tenths of systemd's points: the lower, the less a service can do.
    task(&["security", "--offline=true", "--threshold=20", "--no-pager"]).success();
}

#[test]
fn ipks_settle_into_a_root_that_is_being_made() {
    let file = &packages("1.0", "host")["ipk"];
    let outer = tempfile::tempdir().expect("a folder");
    unpack(file, outer.path(), "--exclude=none");
    assert_eq!(read(&outer.path().join("debian-binary")), "2.0\n");
    let (root, control) = (outer.path().join("root"), outer.path().join("control"));
    for (name, to) in [("data", &root), ("control", &control)] {
        fs::create_dir_all(to).expect("a folder is made");
        unpack(&outer.path().join(format!("{name}.tar.gz")), to, "--exclude=none");
    }
    let fields = read(&control.join("control"));
    assert!(fields.starts_with("Package: ticker\nVersion: 1.0\n"), "{fields}");
    assert!(fields.contains("\nLicense: MIT\n"), "{fields}");
    let script = |name: &str| {
        let task = Task::new("sh").arg(control.join(name)).env("IPKG_INSTROOT", &root);
        task.run().success();
    };
    // Twice: an upgrade does the same again.
    script("postinst");
    script("postinst");
    let users = read(&root.join("etc/passwd"));
    assert_eq!(users, "ticker:*:999:999::/:/bin/false\n");
    assert!(root.join("etc/rc.d/S95ticker").exists(), "it leads to the script");
    script("prerm");
    assert!(!root.join("etc/rc.d/S95ticker").is_symlink());
}

/// As apk reads it; it is installed where there is an apk, which Debian has not.
#[test]
fn apks_say_the_hashes_of_what_is_in_them() {
    let file = &packages("1.0", "host")["apk"];
    let bytes = fs::read(file).expect("it is there");
    let mut rest = bytes.as_slice();
    let mut first = Vec::new();
    GzDecoder::new(&mut rest).read_to_end(&mut first).expect("the first part");
    assert!(!first.ends_with(&[0; 1024]), "the first part of two has no end");
    let info = String::from_utf8(control(&bytes)[".PKGINFO"].clone()).expect("it is text");
    let hash: String = Sha256::digest(rest).iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(info.contains("pkgname = ticker\npkgver = 1.0-r0\n"), "{info}");
    assert!(info.contains(&format!("datahash = {hash}\n")), "{info}");
    let mut data = tar::Archive::new(GzDecoder::new(rest));
    for entry in data.entries().expect("an archive").raw(true) {
        let header = entry.expect("an entry").header().as_bytes()[0];
        assert_ne!(header, 0, "what has no name is the end for apk");
    }
    let mut data = tar::Archive::new(GzDecoder::new(rest));
    let mut files = 0;
    for entry in data.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let sums: Vec<String> = entry
            .pax_extensions()
            .expect("they can be read")
            .into_iter()
            .flatten()
            .map(|it| it.expect("it can be read"))
            .filter(|it| it.key() == Ok("APK-TOOLS.checksum.SHA1"))
            .map(|it| it.value().expect("text").to_owned())
            .collect();
        if entry.header().entry_type().is_file() {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("it can be read");
            let sum: String =
                Sha1::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(sums, [sum]);
            files += 1;
        }
    }
    assert!(files >= 4, "{files}");
    let Ok(apk) = which::which("apk") else {
        eprintln!("not tried: apk itself, which is not here");
        return;
    };
    let root = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(root.path().join("etc/apk")).expect("a folder is made");
    fs::write(root.path().join("etc/apk/arch"), std::env::consts::ARCH).expect("it is written");
    fs::write(root.path().join("etc/apk/repositories"), "").expect("it is written");
    let add = Task::new(apk).arg("--root").arg(root.path());
    let add = add.args(["--initdb", "--no-network", "--allow-untrusted", "--no-scripts", "add"]);
    add.arg(file).run().success();
    assert!(root.path().join("usr/bin/ticker").is_file());
}

/// The files of the first part.
fn control(apk: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut archive = tar::Archive::new(GzDecoder::new(apk));
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("it can be read");
        files.insert(entry.path().expect("a path").display().to_string(), bytes);
    }
    files
}

/// By its bytes, for an apk is two archives in a row.
fn unpack(file: &Path, to: &Path, option: &str) {
    let mut bytes = Vec::new();
    let packed = fs::read(file).expect("it is there");
    MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).expect("it is compressed");
    let tar = Task::new("tar").args(["--extract", "--keep-directory-symlink", option]);
    let tar = tar.args(["--warning=no-unknown-keyword", "--file=-", "--directory"]);
    tar.arg(to).stdin(bytes).run().success();
}

#[test]
fn the_same_inputs_are_the_same_packages() {
    let first = packages("1.0", "host");
    let (project, again) = (project("1.0"), tempfile::tempdir().expect("a folder"));
    let folder = configured("package-again", TABLES);
    for format in ["tar", "deb", "ipk", "apk", "rpm"] {
        let more = ["--format", format, "--message-format", "json"];
        let ended = package(&folder, project.path(), again.path(), &more).run().success();
        let event = support::event(&ended, "package");
        let path = Path::new(event["path"].as_str().expect("a path"));
        assert_eq!(event["format"], format);
        let (one, other) = (&first[format], path);
        assert_eq!(one.file_name(), other.file_name());
        assert!(
            fs::read(one).expect("it is there") == fs::read(other).expect("it is there"),
            "{format}"
        );
        let left = fs::read_dir(again.path()).expect("it can be listed").flatten();
        assert!(left.into_iter().all(|it| !it.file_name().to_string_lossy().ends_with(".new")));
    }
}

#[test]
fn what_no_package_can_say_is_told_before_anything_is_built() {
    let project = tempfile::tempdir().expect("a folder");
    let to = project.path().join("packages");
    let folder = configured("package-errors", "");
    let manifest = folder.join("app/Cargo.toml");
    let plain = read(&manifest);
    let table = "\n[package.metadata.pyrmware.package]\n";
    let whole = "maintainer = \"A <a@b>\"\nlicense = \"MIT\"\n";
    for (version, tables, format, words) in [
        ("1.0", "", "deb", "packages of the format deb name who made them; say maintainer"),
        ("1.0", &*format!("{table}maintainer = \"A <a@b>\"\n"), "rpm", "an rpm names its licence"),
        ("1!1.0", &format!("{table}{whole}"), "apk", "apk has no epochs"),
        (
            "1.0",
            &format!("{table}{whole}[package.metadata.pyrmware.service]\nlisten = [\"[::]:80\"]\n"),
            "ipk",
            "the user x cannot listen on port 80 where procd starts the application; remedy: \
             user = \"root\", or init.ipk in",
        ),
        (
            "1.0",
            &format!("{table}{whole}init.deb = [\"sysv\", \"openrc\"]\n"),
            "deb",
            "are the file /etc/init.d/x-1; remedy: one of sysv, openrc and procd",
        ),
        (
            "1.0",
            &format!(
                "{table}{whole}[package.metadata.pyrmware.service]\nlisten = [\"unix:/run/x\"]\n"
            ),
            "deb",
            "remedy: /run/x-1/x",
        ),
        ("1.0", &format!("{table}user = \"ticker tock\"\n"), "deb", "this is no name for a user"),
    ] {
        fs::write(&manifest, format!("{plain}{tables}")).expect("it is written");
        let text = format!(
            "[project]\nname = \"X_1\"\nversion = \"{version}\"\n[tool.pyrmware]\nentry = \"x\"\n"
        );
        fs::write(project.path().join("pyproject.toml"), text).expect("it is written");
        fs::write(project.path().join("x.py"), "").expect("it is written");
        let ended = package(&folder, project.path(), &to, &["--format", format]).run().exits(1);
        let words = words.replace("user x ", "user x-1 ");
        assert!(ended.err().contains(&words), "{words:?} in {ended}");
        assert!(!to.exists(), "nothing is written: {ended}");
    }
    fs::write(&manifest, &plain).expect("it is written");
    let ended = package(&folder, project.path(), &to, &[]).run().exits(1);
    assert!(ended.err().contains("give --format tar|deb|ipk|apk|rpm, or formats"), "{ended}");
    let ended = package(&folder, project.path(), &to, &["--format", "msi"]).run().exits(2);
    assert!(ended.err().contains("possible values: tar, deb, ipk, apk, rpm"), "{ended}");
}
