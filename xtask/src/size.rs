//! `cargo xtask size`: what takes the space, compared with an earlier time and with the budget.

mod compare;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::config::{Config, Flags};
use crate::dist::modules_lock::ModulesLock;
use crate::dist::pack::Packed;
use crate::dist::prune::ask;
use crate::dist::report::JSON;
use crate::dist::report::sizes::{Item, Package, Size, Sizes};
use crate::dist::resolve::Plan;
use crate::dist::{Log, budget};
use crate::ui::Ui;

/// Say what takes the space in the launcher
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask size                              by package, with what would leave with each
  cargo xtask size --save before.json           … and keep the numbers
  cargo xtask size --compare before.json        what has changed since
  cargo xtask size --budget -q                  in CI: fails when the launcher is over its budget
  cargo xtask size --lock                       write pyrmware.modules.lock, which dist then keeps up to date
  cargo xtask size -v                           every package and every module

Sizes are those of the payload: as it ships, and as `zip -9` would pack it. Exclusive is what would leave
the launcher if nothing asked for this package. --budget links the launcher; all else is done without.")]
pub struct Args {
    /// Write the numbers into this file, as JSON
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Show the difference to what --save wrote
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Fail when the launcher is larger than size in [tool.pyrmware.budget]
    #[arg(long)]
    budget: bool,
    /// Write pyrmware.modules.lock beside the application's pyproject.toml: which modules ship, and why
    #[arg(long)]
    lock: bool,
    #[command(flatten)]
    flags: Flags,
}

/// All numbers. What `--save` writes and `--compare` reads.
#[derive(Debug, Serialize, Deserialize)]
struct Summary {
    app: String,
    version: String,
    python: String,
    target: String,
    /// The payload, and what belongs beside the launcher.
    payload: Size,
    /// Extension modules and the libraries that they bring.
    shared_objects: Size,
    /// What the launcher has besides its payload, as it was linked last.
    program: Option<u64>,
    packages: BTreeMap<String, Row>,
    modules: BTreeMap<String, Row>,
}

/// A package or a module.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Row {
    #[serde(flatten)]
    package: Package,
    /// What would leave with it, in bytes as they ship.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exclusive: Option<u64>,
}

impl Args {
    /// Runs the pipeline as far as the payload, then adds up.
    ///
    /// # Errors
    /// What the stages have to say, a file that cannot be read or written, or a launcher over its budget.
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let earlier = self.compare.as_deref().map(Summary::load).transpose()?;
        let mut log = Log::new(ui);
        let (plan, tree) = log.collect(Config::load(&self.flags)?)?;
        let graph = log.scan(&plan, tree)?;
        let packed = log.pack(&plan, graph)?;
        let everything = ui.is_verbose() || ui.is_json() || self.save.is_some();
        let shown = if everything { usize::MAX } else { table::SHOWN };
        let summary = Summary::of(&plan, &packed, shown)?;
        if let Some(file) = &self.save {
            let text = serde_json::to_string_pretty(&summary)? + "\n";
            fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
        }
        let shown = if ui.is_verbose() { usize::MAX } else { table::SHOWN };
        match &earlier {
            Some(earlier) => {
                let difference = compare::Difference::between(earlier, &summary);
                ui.result(difference.table(shown), difference.event())?;
            }
            None => ui.result(table::summary(&summary, shown), summary.event()?)?,
        }
        if self.lock {
            let lock = ModulesLock::of(&plan, &packed)?;
            lock.write()?;
            ui.status("Locked", lock.file.display());
        }
        if self.budget {
            let sizes = Sizes::plain(&packed)?;
            budget::check_size(&plan.config, log.linked(&plan, packed)?, &sizes)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Summary {
    fn of(plan: &Plan, packed: &Packed, shown: usize) -> Result<Summary> {
        let sizes = Sizes::of(packed)?;
        let project = &plan.config.project;
        let kept = &packed.sealed.compiled.kept;
        let exclusive = ask::Exclusive::new(project, kept);
        let exclusive = |names: &[&str]| sizes.of_modules(&exclusive.of(names)).bytes;
        let row = |package: Package| Row { package, exclusive: None };
        let mut packages: BTreeMap<String, Row> =
            sizes.packages(&project.name).into_iter().map(|(name, p)| (name, row(p))).collect();
        let mut modules: BTreeMap<String, Row> = BTreeMap::new();
        let mut of_package: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, item) in sizes.modules() {
            of_package.entry(item.package(&project.name)).or_default().push(name);
            modules.insert(name.to_owned(), row(module(item)));
        }
        for name in table::largest(&packages, shown) {
            let names = of_package.get(name.as_str()).map_or(&[][..], Vec::as_slice);
            let row = packages.entry(name).or_default();
            // Without the application nothing is left to be counted.
            if matches!(row.package.origin.as_str(), "dependency" | "stdlib") {
                row.exclusive = Some(exclusive(names));
            }
        }
        let objects = sizes.items.values().filter(|item| item.shared_object);
        Ok(Summary {
            app: project.name.clone(),
            version: project.version.clone(),
            python: plan.interpreter.full_version.clone(),
            target: plan.target.clone(),
            payload: sizes.total(),
            shared_objects: objects.map(|item| item.size).sum(),
            program: program(plan),
            packages,
            modules,
        })
    }

    fn load(file: &Path) -> Result<Summary> {
        let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_slice(&text).with_context(|| {
            format!("{} is not what `cargo xtask size --save` writes", file.display())
        })
    }

    fn event(&self) -> Result<serde_json::Value> {
        let mut event = serde_json::to_value(self)?;
        event["reason"] = "size".into();
        Ok(event)
    }
}

fn module(item: &Item) -> Package {
    Package { origin: item.origin().to_owned(), modules: 1, size: item.size }
}

/// What the last image's launcher has besides its payload, if it was for the same interpreter and target.
fn program(plan: &Plan) -> Option<u64> {
    let report = fs::read(plan.config.out.join(JSON)).ok()?;
    let report: serde_json::Value = serde_json::from_slice(&report).ok()?;
    let same = report["python"] == plan.interpreter.full_version.as_str()
        && report["target"] == plan.target.as_str();
    let bytes = |key: &str| report["bytes"][key].as_u64();
    same.then(|| bytes("launcher")?.checked_sub(bytes("payload")?)).flatten()
}
