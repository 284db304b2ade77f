//! `cargo xtask deploy` to a device that is this machine, by its own ssh server.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::gate::Gate;
use crate::support::task::Task;
use crate::support::workspace::{share_tools, workspace};
use crate::support::{self, Ended};

/// An ssh server for this test alone, and what reaches it.
struct Device {
    server: Child,
    folder: TempDir,
}

impl Device {
    /// `path`: where its shell looks first.
    fn new(path: &str) -> Device {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name).display().to_string();
        for name in ["host", "user"] {
            let words = ["-q", "-t", "ed25519", "-N", "", "-f"];
            Task::new("ssh-keygen").args(words).arg(file(name)).run().success();
        }
        // Debian has it where only root looks; and it wants to be called by its whole name.
        let sshd = which::which_in("sshd", Some("/usr/sbin:/sbin"), "/");
        let sshd = sshd.expect("openssh-server is installed");
        // It would separate its privileges into it.
        let _ = fs::create_dir_all("/run/sshd");
        let free =
            TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("one").port();
        let (host, keys) = (file("host"), file("user.pub"));
        let settings = format!(
            "ListenAddress 127.0.0.1\nPort {free}\nHostKey {host}\nAuthorizedKeysFile {keys}\nStrictModes no\n\
             UsePAM no\nPidFile none\nPermitRootLogin yes\n\
             SetEnv PATH={path}/usr/bin:/bin XDG_RUNTIME_DIR={}\n",
            folder.path().display()
        );
        fs::write(file("sshd_config"), settings).expect("it is written");
        let mut server = Command::new(sshd)
            .args(["-D", "-e", "-f", &file("sshd_config")])
            .stderr(Stdio::piped())
            .spawn()
            .expect("sshd starts");
        let mut said = BufReader::new(server.stderr.take().expect("piped")).lines();
        let listens = |line: &std::io::Result<String>| {
            line.as_ref().is_ok_and(|line| line.contains("Server listening on"))
        };
        assert!(said.any(|line| listens(&line)), "sshd does not listen");
        // Nobody else reads what it says of each client.
        std::thread::spawn(move || said.for_each(drop));
        let client = format!(
            "Host device\nHostName 127.0.0.1\nPort {free}\nIdentityFile {}\nIdentitiesOnly yes\n\
             UserKnownHostsFile {}\nStrictHostKeyChecking no\nLogLevel ERROR\n",
            file("user"),
            file("known")
        );
        fs::write(file("ssh_config"), client).expect("it is written");
        Device { server, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `cargo xtask on` there.
    fn on(&self, words: &[&str]) -> Task {
        let task = support::xtask().env("PYRMWARE_SSH_CONFIG", self.path("ssh_config"));
        task.args(["on", "--host", "device", "--"]).args(words)
    }

    /// `cargo xtask deploy` of a project there, in a workspace.
    fn deploy(&self, workspace: &Path, project: &Path, args: &[&str]) -> Ended {
        let target = support::scratch().join("workspaces/target");
        share_tools(&target.join("pyrmware"));
        support::xtask()
            .cwd(workspace)
            .env("CARGO_TARGET_DIR", target)
            .args(["deploy", "--host", "device", "--ssh-config"])
            .arg(self.path("ssh_config"))
            .arg("--project")
            .arg(project)
            .args(support::python())
            .args(args)
            .run()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("it can be listed");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<_> = entries.map(|entry| name(entry).display().to_string()).collect();
    names.sort();
    names
}

#[test]
fn a_launcher_that_starts_stays_and_one_that_does_not_is_taken_back() {
    let device = Device::new("");
    let reports = device.path("var");
    let memory = format!(
        "[package.metadata.pyrmware.memory]\nhard = \"80%\"\nreport-dir = \"{}\"\n",
        reports.display()
    );
    let clone = workspace("deploy", "", &memory);
    let project = support::copy_of("hello");
    let place = device.path("opt/it's here");
    let launcher = place.join("hello");
    let (path, kept) = (launcher.display().to_string(), device.path("kept").display().to_string());
    // Where there are quotes in the path.
    let shell = path.replace('\'', r"'\''");

    let restart = format!("'{shell}' there > '{kept}.said' && cp '{shell}' '{kept}'");
    let deploy = |restart: &str| {
        let args = ["--path", &path, "--restart", restart];
        device.deploy(&clone, project.path(), &args)
    };
    let ended = deploy(&restart).success();
    assert_eq!(ended.out(), "", "there are no reports: {ended}");
    assert!(ended.err().contains("Started hello on device"), "{ended}");
    let said = fs::read_to_string(format!("{kept}.said")).expect("it was started");
    assert_eq!(said, "hello\n1 'there'\n");
    assert_eq!(names(&place), ["hello"]);
    let first = fs::read(&launcher).expect("it is there");

    // What starts there is only what was kept.
    let module = project.path().join("hello/modes.py");
    let text = fs::read_to_string(&module).expect("it can be read");
    fs::write(&module, text + "\nANOTHER = 'version'\n").expect("it is written");
    let ended = deploy(&format!("cmp '{shell}' '{kept}'")).exits(1);
    let text = "error: the new launcher does not start on device; the last one runs again\n";
    assert!(ended.err().contains(text) && ended.err().contains("differ"), "{ended}");
    assert_eq!(names(&place), ["hello"]);
    assert!(fs::read(&launcher).expect("it is there") == first);
    let ended = deploy("false").exits(1);
    assert!(ended.err().contains("nor does the last one, which is in its place again"), "{ended}");
    assert!(fs::read(&launcher).expect("it is there") == first);

    // Reports come back, and the folder is told.
    fs::create_dir(&reports).expect("a folder is made");
    fs::write(reports.join("memory-000001-hard.json"), "{}").expect("it is written");
    let ended = deploy("true").success();
    let fetched = PathBuf::from(ended.out().trim_end());
    assert_eq!(names(&fetched), ["memory-000001-hard.json"], "{ended}");
    assert!(fs::read(&launcher).expect("it is there") != first);

    // Without a command there has to be a service.
    let ended = device.deploy(&clone, project.path(), &["--path", &path]).success();
    assert!(ended.err().contains("warning: device has no service hello:"), "{ended}");
}

#[test]
fn the_application_alone_is_brought_as_an_update() {
    let device = Device::new("");
    let dir = device.path("update");
    let table = format!("[package.metadata.pyrmware.update]\ndir = \"{}\"\n", dir.display());
    let gate = Gate::new("deploy-update", &table);
    let alone = gate.dist("1").alone();
    gate.write("2");
    let launcher = alone.launcher.display().to_string();
    let args =
        ["--update", "--restart", &format!("'{launcher}' && test ! -e '{}/next'", dir.display())];
    let ended = device.deploy(gate.workspace(), gate.project(), &args).success();
    assert!(ended.err().contains("Started gate on device"), "{ended}");
    assert_eq!(names(&dir), ["current"]);
    assert!(alone.task().run().success().out().ends_with("ready 2\n"));

    let clone = workspace("deploy-no-update", "", "");
    let ended = device.deploy(&clone, &support::project("hello"), &["--update"]).exits(1);
    assert!(ended.err().starts_with("error: --update: launchers take no updates; "), "{ended}");
}

#[test]
fn what_keeps_a_launcher_from_a_device_is_said() {
    let clone = workspace("deploy-errors", "", "");
    let project = support::project("hello");
    let tools = tempfile::tempdir().expect("a folder");
    let tool = |name: &str, text: &str| {
        let file = tools.path().join(name);
        fs::write(&file, format!("#!/bin/sh\n{text}\n")).expect("it is written");
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("chmod");
    };
    let device = Device::new(&format!("{}:", tools.path().display()));
    let fails = |args: &[&str], texts: &[&str]| {
        let ended = device.deploy(&clone, &project, args).exits(1);
        assert!(texts.iter().all(|text| ended.err().contains(text)), "{ended}");
    };
    fails(&["--path", "hello"], &["--path hello: where the launcher is has to be absolute"]);
    fails(&["--path", "/proc/none/hello"], &["cannot write /proc/none/hello.new on device"]);
    let place = device.path("first").join("hello").display().to_string();
    let args = ["--path", &place, "--restart", "echo so bad >&2; exit 3"];
    fails(&args, &["does not start on device, where there was none before", "so bad"]);
    // Another machine than this one, as far as its tools say.
    tool("getconf", "echo glibc 2.5");
    fails(&["--path", &place], &["device has glibc 2.5, and the launcher needs 2."]);
    tool("uname", "echo sparc64");
    fails(&["--path", &place], &["device is sparc64, and the launcher is for "]);
    let gone = device.path("ssh_config");
    let text = fs::read_to_string(&gone).expect("it can be read").replace("Port ", "Port 1\n#");
    fs::write(&gone, text).expect("it is written");
    fails(&["--path", &place], &["ssh does not reach device", "Connection refused"]);
}

#[test]
fn a_launcher_is_verified_and_run_on_the_device() {
    let folder = tempfile::tempdir().expect("a folder");
    let device = Device::new("");
    let table = "[package.metadata.pyrmware.device.board]\nhost = \"device\"\nrunner = \"ssh\"\n";
    let clone = workspace("on", "", table);
    let target = support::scratch().join("workspaces/target");
    share_tools(&target.join("pyrmware"));
    let task = |verb: &str| {
        let task = support::xtask().cwd(&clone).env("CARGO_TARGET_DIR", &target);
        let task = task.env("PYRMWARE_SSH_CONFIG", device.path("ssh_config"));
        let task = task.args([verb, "--device", "board", "--project"]);
        task.arg(support::project("hello")).args(support::python())
    };
    let ended = task("run").args(["--", "--exit", "3"]).run().exits(3);
    assert_eq!(ended.out(), "before exit\nfinally ran\n", "{ended}");
    let ended = task("run").args(["--quiet", "--", "--stdin"]).stdin("through").run().success();
    assert_eq!((ended.out(), ended.err()), ("through".into(), String::new()), "{ended}");

    // Any program; it is copied once.
    let program = folder.path().join("it's");
    fs::write(&program, "#!/bin/sh\necho \"$1\" \"$PYRMWARE_SAID\"; exit 4\n").expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("chmod");
    let path = program.display().to_string();
    let ended = device.on(&[&path, "a 'b'"]).env("PYRMWARE_SAID", "$c").run().exits(4);
    assert_eq!(ended.out(), "a 'b' $c\n", "{ended}");
    assert!(ended.err().contains("Copying") && ended.err().contains("to device:"), "{ended}");
    let ended = device.on(&[&path, "again"]).run().exits(4);
    assert_eq!((ended.out(), ended.err()), ("again \n".into(), String::new()), "{ended}");

    let missing = folder.path().join("none").display().to_string();
    let ended = device.on(&[&missing]).run().exits(1);
    assert!(ended.err().starts_with(&format!("error: cannot read {missing}")), "{ended}");
    // Nobody says where the device is.
    let ended = support::xtask().cwd(&clone).args(["deploy"]).run().exits(1);
    let manifest = clone.join("app/Cargo.toml").canonicalize().expect("it is there");
    let text =
        "nothing says where device host is: give --host HOST, or host = \"…\" in its table in";
    assert_eq!(ended.err(), format!("error: {text} {}\n", manifest.display()));
}
