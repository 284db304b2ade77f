//! Start to self-test done: the launcher beside `python3 -I` with warm bytecode.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use pyrmware_payload::Entry;
use walkdir::WalkDir;

use super::measure::{self, Cost};
use super::table;
use crate::config::{Config, Flags};
use crate::dist::{self, resolve};
use crate::ui::Ui;

/// Wall time, instructions and peak memory from start to the end of the self-test
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Interleaved runs of each program, after two that are not counted
    #[arg(long, default_value_t = 21)]
    runs: usize,
    /// Put the table into README.md, between its marks
    #[arg(long)]
    readme: bool,
    /// Applications to measure [default: the sample and hello, web, native and db under tests/apps]
    #[arg(long = "app", value_name = "DIR")]
    apps: Vec<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

/// The programs of one application, the way in which a user starts them.
struct Pair {
    name: String,
    stock: Vec<OsString>,
    launcher: Vec<OsString>,
}

/// Medians of both.
pub(super) struct Row {
    pub name: String,
    pub stock: Measured,
    pub launcher: Measured,
}

pub(super) struct Measured {
    pub milliseconds: f64,
    pub peak_mib: f64,
    pub instructions: Option<u64>,
}

impl Args {
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let first = Config::load(&self.flags)?;
        let root = first.paths.root.clone();
        let apps = if self.apps.is_empty() { default_apps(&root)? } else { self.apps.clone() };
        let mut pairs = Vec::new();
        let mut python = String::new();
        for app in apps {
            let flags = Flags { project: Some(app.clone()), ..self.flags.clone() };
            let config = Config::load(&flags)?;
            if config.project.verify.is_none() {
                bail!("{} has no [tool.pyrmware.verify] command to measure", app.display());
            }
            let launcher = dist::run(config, ui)?.launcher;
            let plan = resolve::run(Config::load(&flags)?)?;
            python.clone_from(&plan.interpreter.full_version);
            pairs.push(prepare(&plan, &launcher)?);
        }
        let rows = pairs
            .iter()
            .map(|pair| {
                ui.status("Measuring", format_args!("{}, {} runs of each", pair.name, self.runs));
                pair.measure(self.runs)
            })
            .collect::<Result<Vec<_>>>()?;
        let text = table::startup(&rows, &python, self.runs);
        if self.readme {
            table::put(&root.join("README.md"), "startup", &text)?;
        }
        ui.result(text.trim_end(), serde_json::json!({"reason": "bench", "table": text}))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn default_apps(root: &Path) -> Result<Vec<PathBuf>> {
    let mut apps = vec![root.join("python-app")];
    let folder = root.join("tests/apps");
    for app in ["hello", "web", "native", "db"] {
        let app = folder.join(app);
        if app.join("pyproject.toml").is_file() {
            apps.push(app);
        }
    }
    Ok(apps)
}

/// A copy of application and dependencies with their bytecode beside them, and the two command lines.
fn prepare(plan: &resolve::Plan, launcher: &Path) -> Result<Pair> {
    let project = &plan.config.project;
    let folder = plan.config.paths.target.join("pyrmware/bench").join(&project.name);
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    let source =
        [project.dir.join("src"), project.dir.clone()].into_iter().find(|dir| dir.is_dir());
    let mut search = Vec::new();
    let roots = [("app", source), ("site", plan.site.clone())];
    for (name, root) in roots.into_iter().filter_map(|(name, root)| Some((name, root?))) {
        let copy = folder.join(name);
        copy_tree(&root, &copy)?;
        search.push(copy);
    }
    let mut compile = plan.interpreter.command();
    compile.args(["-m", "compileall", "-q"]).args(&search).env_remove("PYTHONDONTWRITEBYTECODE");
    // Templates and test data need not compile.
    compile.output().context("cannot compile the stock copy")?;

    let verify = project.verify.clone().unwrap_or_default();
    let mut stock: Vec<OsString> = vec![plan.interpreter.program.clone().into()];
    stock.extend(["-I".into(), "-c".into(), stock_program(&search, &project.entry).into()]);
    stock.extend(verify.iter().map(OsString::from));
    let mut started: Vec<OsString> = vec![launcher.into()];
    started.extend(verify.iter().map(OsString::from));
    Ok(Pair { name: project.name.clone(), stock, launcher: started })
}

/// What a start script of a stock installation would do.
fn stock_program(search: &[PathBuf], entry: &Entry) -> String {
    let search: Vec<_> = search.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let run = match entry {
        Entry::Module(module) => {
            format!("import runpy; runpy.run_module({module:?}, None, '__main__', True)")
        }
        Entry::Function { module, function } => {
            format!("import {module}; sys.exit({module}.{function}())")
        }
    };
    format!("import sys; sys.path[:0] = {search:?}; {run}")
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let skip = |name: &std::ffi::OsStr| name == "__pycache__" || name == ".venv";
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

impl Pair {
    /// Runs alternate, so that whatever else the machine does falls on both alike.
    fn measure(&self, runs: usize) -> Result<Row> {
        const WARM_UP: usize = 2;
        let (mut stock, mut launcher) = (Vec::new(), Vec::new());
        for run in 0..runs + WARM_UP {
            let (one, other) = (measure::once(&self.stock)?, measure::once(&self.launcher)?);
            if run >= WARM_UP {
                stock.push(one);
                launcher.push(other);
            }
        }
        Ok(Row {
            name: self.name.clone(),
            stock: Measured::of(&stock, measure::instructions(&self.stock)?),
            launcher: Measured::of(&launcher, measure::instructions(&self.launcher)?),
        })
    }
}

impl Measured {
    fn of(costs: &[Cost], instructions: Option<u64>) -> Measured {
        Measured {
            milliseconds: median(costs.iter().map(|cost| cost.nanoseconds)) / 1e6,
            peak_mib: median(costs.iter().map(|cost| cost.peak_kib)) / 1024.0,
            instructions,
        }
    }
}

fn median(values: impl Iterator<Item = u64>) -> f64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[middle] as f64,
        _ => (values[middle - 1] + values[middle]) as f64 / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median([3, 1, 2].into_iter()), 2.0);
        assert_eq!(median([4, 1, 2, 3].into_iter()), 2.5);
        assert_eq!(median([].into_iter()), 0.0);
    }
}
