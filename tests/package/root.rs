//! Roots of Debian's packages, of the release and from the mirrors of this machine, below the target folder. The
//! machine itself is not changed; it takes root to make and enter them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use crate::support::task::{LIMIT, Task};
use crate::support::{BUILD_LIMIT, scratch};

/// What launchers need, and those who start services, besides what every Debian has.
const PACKAGES: &str = "busybox-static,dbus,libexpat1,libffi8,libssl3,openrc,systemd-sysv,zlib1g";
/// What nobody looks at.
const LEFT_OUT: [&str; 3] = ["/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*"];

/// A root of its own for a test.
pub struct Root {
    /// Where it is.
    pub path: PathBuf,
}

impl Root {
    /// A fresh one; none, with a word of why, where it cannot be made.
    pub fn new(name: &str) -> Option<Root> {
        static BASE: LazyLock<Result<PathBuf, String>> = LazyLock::new(base);
        match &*BASE {
            Ok(base) => {
                let path = scratch().join("package-roots").join(name);
                let _ = fs::remove_dir_all(&path);
                fs::create_dir_all(path.parent().expect("a folder")).expect("a folder is made");
                Task::new("cp").arg("-a").arg(base).arg(&path).run().success();
                // BusyBox's programs that scripts may meet, in a folder of their own.
                let busybox = path.join("busybox");
                fs::create_dir(&busybox).expect("a folder is made");
                let link = busybox.join("start-stop-daemon");
                std::os::unix::fs::symlink("/bin/busybox", link).expect("a link is made");
                Some(Root { path })
            }
            Err(why) => {
                eprintln!("not tried: {name}, for {why}");
                None
            }
        }
    }

    /// A program of this machine.
    pub fn host(&self, program: &str) -> Task {
        Task::new(program).env("LC_ALL", "C")
    }

    /// Boots it under systemd until it is switched off.
    pub fn boot(&self) -> Task {
        let words = ["--boot", "--quiet", "--register=no", "--keep-unit", "--console=pipe"];
        Task::new("systemd-nspawn").args(words).arg("--directory").arg(&self.path)
    }

    /// A program in the root, where `/proc` is as long as it runs.
    pub fn enter(&self, words: &[&str]) -> Task {
        let script = "mount -t proc proc \"$0/proc\" && exec chroot \"$0\" \"$@\"";
        Task::new("unshare")
            .args(["--mount", "sh", "-c", script])
            .arg(&self.path)
            .args(words)
            .clean_env()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    }
}

fn base() -> Result<PathBuf, String> {
    let root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !root {
        return Err("it takes root to enter a root".to_owned());
    }
    for program in ["mmdebstrap", "dpkg", "rpm", "systemd-nspawn", "unshare"] {
        which::which(program)
            .map_err(|_| format!("there is no {program}; remedy: apt install it"))?;
    }
    if Task::new("unshare").args(["--mount", "true"]).run().code != 0 {
        return Err("nothing may be mounted here".to_owned());
    }
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let suite = suite.ok_or("this is no Debian")?.trim_matches('"').to_owned();
    let place = scratch().join(format!("package-root-{suite}"));
    if !place.is_dir() {
        let aside = scratch().join("package-root-aside");
        let _ = fs::remove_dir_all(&aside);
        let excluded = LEFT_OUT.map(|path| format!("--dpkgopt=path-exclude={path}"));
        Task::new("mmdebstrap")
            .args(["--quiet", "--variant=essential", "--mode=root"])
            .arg(format!("--include={PACKAGES}"))
            .args(excluded)
            .arg(&suite)
            .arg(&aside)
            .limit(BUILD_LIMIT)
            .run()
            .success();
        fs::rename(&aside, &place).expect("it is renamed");
    }
    Ok(place)
}

/// What a file says as soon as it says anything.
pub fn waited(path: &Path) -> String {
    let step = Duration::from_millis(50);
    let steps = LIMIT.as_millis() / step.as_millis();
    for _ in 0..steps {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text,
            _ => std::thread::sleep(step),
        }
    }
    panic!("nothing is in {}", path.display());
}
