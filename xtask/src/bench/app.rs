//! The applications that are measured, and what stock Python and other packagers are given of them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use pyrmware_payload::Entry;
use walkdir::WalkDir;

use crate::config::{Config, Flags};
use crate::dist::resolve::{self, Plan};

/// What is measured unless `--app` names something: folder, arguments that end at the first line of
/// `main`, arguments that start and do one trivial thing.
const APPS: [(&str, &[&str], &[&str]); 10] = [
    ("python-app", &["--version"], &["--selftest"]),
    ("tests/apps/hello", &["--exit", "0"], &["one"]),
    ("tests/apps/web", &["--ready"], &["--tiny"]),
    ("tests/apps/db", &["--ready"], &["--tiny"]),
    ("tests/apps/native", &["--ready"], &["--tiny"]),
    ("tests/apps/mqtt", &["--ready"], &["--tiny"]),
    ("tests/apps/serial", &["--ready"], &["--tiny"]),
    ("tests/apps/aiohttp", &["--ready"], &["--tiny"]),
    ("tests/apps/fastapi", &["--ready"], &["--tiny"]),
    ("tests/apps/modbus", &["--ready"], &["--tiny"]),
];

/// Where a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(super) enum Point {
    /// The first line of `main`: what is imported at the top of modules has been
    Main,
    /// One trivial action is done, such as a request to a server of its own
    Action,
    /// The self-test of `[tool.pyrmware.verify]` is done
    Selftest,
}

impl Point {
    /// As the table calls it.
    pub fn title(self) -> &'static str {
        match self {
            Point::Main => "Start to the first line of `main`",
            Point::Action => "Start to the first action done",
            Point::Selftest => "Start to the self-test done",
        }
    }
}

/// An application, unpacked as stock Python and packagers take it.
pub(super) struct App {
    pub name: String,
    pub plan: Plan,
    /// All that belongs to it.
    pub folder: PathBuf,
    /// Folders with its modules and with its dependencies, bytecode beside them.
    pub search: Vec<PathBuf>,
    /// The same without bytecode.
    pub bare: Vec<PathBuf>,
    main: Option<Vec<String>>,
    action: Option<Vec<String>>,
}

/// The folders of the applications: those of `--app`, a folder or the last part of one that is known.
pub(super) fn folders(root: &Path, wanted: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let known = || APPS.iter().map(|(folder, ..)| root.join(folder));
    if wanted.is_empty() {
        return Ok(known().filter(|folder| folder.join("pyproject.toml").is_file()).collect());
    }
    let find = |app: &PathBuf| {
        let by_name = || known().find(|folder| folder.file_name() == Some(app.as_os_str()));
        let folder =
            if app.join("pyproject.toml").is_file() { Some(app.clone()) } else { by_name() };
        folder.with_context(|| format!("--app {}: no such application", app.display()))
    };
    wanted.iter().map(find).collect()
}

impl App {
    /// Copies application and dependencies, and compiles one of the copies.
    pub fn prepare(folder: &Path, flags: &Flags) -> Result<App> {
        let flags = Flags { project: Some(folder.to_owned()), ..flags.clone() };
        let plan = resolve::run(Config::load(&flags)?)?;
        let project = &plan.config.project;
        let folder = super::folder(&plan.config.paths)
            .join(format!("{}-{}", project.name, plan.interpreter.full_version));
        let source =
            [project.dir.join("src"), project.dir.clone()].into_iter().find(|d| d.is_dir());
        let mut copies = [Vec::new(), Vec::new()];
        for (kind, search) in ["warm", "bare"].iter().zip(&mut copies) {
            let kind = folder.join(kind);
            if kind.exists() {
                fs::remove_dir_all(&kind)
                    .with_context(|| format!("cannot remove {}", kind.display()))?;
            }
            for (name, root) in [("app", &source), ("site", &plan.site)] {
                if let Some(root) = root {
                    copy_tree(root, &kind.join(name))?;
                    search.push(kind.join(name));
                }
            }
        }
        let [search, bare] = copies;
        let mut compile = plan.interpreter.command();
        compile.args(["-m", "compileall", "-q"]).args(&search);
        compile.env_remove("PYTHONDONTWRITEBYTECODE");
        // Templates and test data need not compile.
        compile.output().context("cannot compile the stock copy")?;
        let dir = plan.config.project.dir.clone();
        let known = APPS.iter().find(|(path, ..)| plan.config.paths.root.join(path) == dir);
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        Ok(App {
            name: plan.config.project.name.clone(),
            main: known.and_then(|(_, main, _)| words(main)),
            action: known.and_then(|(.., action)| words(action)),
            plan,
            folder,
            search,
            bare,
        })
    }

    /// Its arguments for a run to this point, where it has any.
    pub fn args(&self, point: Point) -> Option<&[String]> {
        match point {
            Point::Main => self.main.as_deref(),
            Point::Action => self.action.as_deref(),
            Point::Selftest => self.plan.config.project.verify.as_deref(),
        }
    }

    /// `python3 -I` on these folders, as the start script of an installation would run it.
    pub fn stock(&self, search: &[PathBuf]) -> Vec<OsString> {
        let search: Vec<_> =
            search.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        let code = format!("import sys; sys.path[:0] = {search:?}; {}", self.start_code());
        vec![self.plan.interpreter.program.clone().into(), "-I".into(), "-c".into(), code.into()]
    }

    /// Python that runs the application.
    pub fn start_code(&self) -> String {
        match &self.plan.config.project.entry {
            Entry::Module(module) => {
                format!("import runpy; runpy.run_module({module:?}, None, '__main__', True)")
            }
            Entry::Function { module, function } => {
                format!("import sys, {module}; sys.exit({module}.{function}())")
            }
        }
    }

    /// The top package of the entry.
    pub fn package(&self) -> &str {
        let module = match &self.plan.config.project.entry {
            Entry::Module(module) | Entry::Function { module, .. } => module,
        };
        module.split('.').next().unwrap_or(module)
    }

    /// The pinned requirements, for packagers that install them.
    pub fn requirements(&self) -> Result<Option<PathBuf>> {
        if self.plan.config.project.dependencies.is_empty() {
            return Ok(None);
        }
        let file = self.plan.config.project.dir.join("requirements.txt");
        ensure!(file.is_file(), "{} is not there", file.display());
        Ok(Some(file))
    }
}

pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let skip = |name: &OsStr| name == "__pycache__" || name == ".venv";
    for entry in WalkDir::new(from).into_iter().filter_entry(|entry| !skip(entry.file_name())) {
        let entry = entry.with_context(|| format!("cannot list {}", from.display()))?;
        let target = to.join(entry.path().strip_prefix(from)?);
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target)
                .with_context(|| format!("cannot create {}", target.display()))?;
        } else {
            fs::copy(entry.path(), &target)
                .with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Bytes of a file, or of all files below a folder; links are not followed.
pub(super) fn bytes_of(path: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in WalkDir::new(path) {
        let entry = entry.with_context(|| format!("cannot list {}", path.display()))?;
        if entry.file_type().is_file() {
            bytes += entry.metadata()?.len();
        }
    }
    if bytes == 0 {
        bail!("{} holds nothing", path.display());
    }
    Ok(bytes)
}
