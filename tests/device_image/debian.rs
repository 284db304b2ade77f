//! Debian's packages, of the release and from the mirrors of this machine, unpacked below the target folder.
//! The machine itself is not changed, and no root is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use crate::support::BUILD_LIMIT;
use crate::support::task::Task;

/// What a device has, with all that these depend on.
const PACKAGES: [&str; 2] = ["busybox-static", "systemd"];
/// A kernel for virtual machines: small, and most of what they need is built in.
const KERNEL: &str = "linux-image-cloud-amd64";
/// What devices do not have.
const LEFT_OUT: [&str; 3] = ["./usr/share/*", "./usr/lib/x86_64-linux-gnu/gconv", "./var/*"];

/// Unpacked packages.
pub struct Debian {
    /// The packages' files, with `/bin`, `/lib` and the like being links into `/usr`.
    pub root: PathBuf,
    /// The kernel's: `boot/`, `lib/modules/`.
    pub kernel: PathBuf,
}

impl Debian {
    /// What was unpacked before, if there is nothing newer, else anew.
    pub fn unpacked(folder: &Path) -> Debian {
        let apt = Apt { folder: folder.join("apt") };
        let kernel = apt.lists().kernel();
        // All versions are in there.
        let digest = Sha256::digest(format!("{}{kernel}{LEFT_OUT:?}", apt.plan()));
        let hash: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let unpacked = folder.join(format!("debian-{hash}"));
        if !unpacked.is_dir() {
            let aside = folder.join("debian-aside");
            let _ = fs::remove_dir_all(&aside);
            apt.download(&kernel);
            let root = aside.join("root");
            for name in ["bin", "lib", "lib64", "sbin"] {
                fs::create_dir_all(root.join("usr").join(name)).expect("a folder is made");
                let link = std::os::unix::fs::symlink(Path::new("usr").join(name), root.join(name));
                link.expect("a link is made");
            }
            fs::create_dir_all(aside.join("kernel")).expect("a folder is made");
            for package in apt.packages() {
                let name = package.file_name().expect("a name").to_string_lossy().into_owned();
                let is_kernel = name.starts_with("linux-image-");
                unpack(&package, &if is_kernel { aside.join("kernel") } else { root.clone() });
            }
            fs::rename(&aside, &unpacked).expect("it is renamed");
            fs::remove_dir_all(apt.archives()).expect("packages are removed");
        }
        Debian { root: unpacked.join("root"), kernel: unpacked.join("kernel") }
    }
}

fn unpack(package: &Path, to: &Path) {
    let mut files = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .expect("dpkg-deb starts");
    let status = Command::new("tar")
        .args(["--extract", "--keep-directory-symlink", "--no-same-owner", "--directory"])
        .arg(to)
        .args(LEFT_OUT.map(|pattern| format!("--exclude={pattern}")))
        .stdin(files.stdout.take().expect("piped"))
        .status();
    assert!(status.expect("tar starts").success(), "{} cannot be unpacked", package.display());
    assert!(files.wait().expect("it ends").success(), "{} is damaged", package.display());
}

/// apt as on a machine that has no package yet, with lists and archives in a folder of its own.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn archives(&self) -> PathBuf {
        self.folder.join("archives")
    }

    fn task(&self, program: &str) -> Task {
        let option = |name: &str, value: &str| format!("--option={name}={value}");
        let folder = |name: &str| self.folder.join(name).display().to_string();
        Task::new(program).limit(BUILD_LIMIT).env("LC_ALL", "C").args([
            option("Dir::State", &folder("state")),
            option("Dir::State::status", "/dev/null"),
            option("Dir::Cache", &folder("cache")),
            option("Dir::Cache::archives", &folder("archives")),
            option("Debug::NoLocking", "true"),
            option("APT::Sandbox::User", "root"),
        ])
    }

    /// Gets the lists of packages where there are none.
    fn lists(&self) -> &Apt {
        for name in ["state/lists/partial", "cache", "archives/partial"] {
            fs::create_dir_all(self.folder.join(name)).expect("a folder is made");
        }
        let kernel = self.task("apt-cache").args(["show", KERNEL]).run();
        if kernel.code != 0 {
            self.task("apt-get").args(["--quiet", "update"]).run().success();
        }
        self
    }

    /// The kernel's own package and its version, as `name=version`.
    fn kernel(&self) -> String {
        let shown = self.task("apt-cache").args(["show", "--no-all-versions", KERNEL]);
        let shown = shown.run().success().out();
        let depends = shown.lines().find_map(|line| line.strip_prefix("Depends: "));
        let (name, version) = depends.and_then(|it| it.split_once(" (= ")).expect("a version");
        format!("{name}={}", version.split(')').next().unwrap_or_default())
    }

    fn install(&self, how: &str) -> Task {
        let words = ["--quiet", "--yes", "--no-install-recommends", how, "install"];
        self.task("apt-get").args(words).args(PACKAGES)
    }

    /// The packages and their versions, a line for each.
    fn plan(&self) -> String {
        let plan = self.install("--simulate").run().success().out();
        plan.lines()
            .filter(|line| line.starts_with("Inst "))
            .fold(String::new(), |all, line| all + line + "\n")
    }

    fn download(&self, kernel: &str) {
        let both = || {
            let packages = self.install("--download-only").run();
            let task = self.task("apt-get").cwd(&self.archives());
            let kernel = task.args(["--quiet", "download", kernel]).run();
            [packages, kernel]
        };
        if both().iter().any(|ended| ended.code != 0) {
            // The mirrors may have newer ones instead of those in the lists.
            self.task("apt-get").args(["--quiet", "update"]).run().success();
            both().into_iter().for_each(|ended| drop(ended.success()));
        }
    }

    fn packages(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.archives()).expect("it can be listed");
        let files = entries.map(|entry| entry.expect("it is listed").path());
        files.filter(|path| path.extension().is_some_and(|end| end == "deb")).collect()
    }
}
