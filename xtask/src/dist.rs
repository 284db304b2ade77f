//! The pipeline: config -> resolve -> collect -> scan -> prune -> transform -> compile -> protect -> pack -> link -> verify -> report.
//!
//! A stage is `run(&Plan, Previous) -> Result<Next>`; it does not print and it uses ordered maps.

pub mod budget;
pub mod collect;
pub mod compile;
mod disk;
mod folder;
pub mod link;
pub mod modules_lock;
pub mod pack;
pub(crate) mod parallel;
pub mod protect;
pub mod prune;
pub mod report;
pub mod resolve;
pub mod scan;
pub mod startup;
pub mod symbols;
pub mod transform;
pub mod verify;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use crate::config::{Config, Flags};
use crate::container::Container;
use crate::python::Interpreter;
use crate::ui::{self, Ui};
use collect::{Kind, Tree};
use folder::Folder;
pub(crate) use folder::exchange;
use link::Image;
use modules_lock::ModulesLock;
use pack::Packed;
use report::Inventory;
use report::sizes::Sizes;
use resolve::{Plan, Runner};
use scan::Graph;
use startup::Course;
use verify::Verified;

/// Build the launcher and its image folder
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask dist
  cargo xtask dist --project tests/apps/hello --python /usr --out /tmp/hello
  cargo xtask dist --all-devices           a launcher for each device, one line each
  cargo xtask dist --container podman --image registry.example/build:12    with what that image has
  cargo xtask dist --device gateway --container podman --image gateway:12 --inside sdists
  launcher=$(cargo xtask dist -q)          the launcher's path is all that goes to stdout")]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
    /// Build for every device that has a table in app/Cargo.toml, by name; the first that fails ends it
    #[arg(long, conflicts_with_all = ["device", "target", "python", "out", "engine"])]
    all_devices: bool,
    #[command(flatten, next_help_heading = "Container")]
    container: Container,
}

impl Args {
    /// Builds; the launcher's path is the only line on stdout.
    ///
    /// # Errors
    /// What a stage has to say.
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        if self.container.has_everything() {
            return self.container.dist(&self.flags, ui);
        }
        if self.all_devices {
            all(Config::of_all_devices(&self.flags)?, ui)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut config = Config::load(&self.flags)?;
        config.builder = self.container.builder(&config)?;
        run(config, ui)?.tell(ui)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Builds for one device after the other, and verifies each while the next ones are being built: under qemu that
/// takes longer than all the rest, and one processor.
fn all(configs: Vec<Config>, ui: &Ui) -> Result<()> {
    std::thread::scope(|scope| {
        let mut verifying = Vec::new();
        let mut failure = Ok(());
        for config in configs {
            let failed = format!("building for device {}", config.device.name);
            match Built::of(config, ui) {
                Ok(built) => verifying.push((failed, scope.spawn(|| built.finish(ui)))),
                Err(error) => {
                    failure = Err(error.context(failed));
                    break;
                }
            }
        }
        for (failed, outcome) in verifying {
            let outcome = outcome.join().unwrap_or_else(|panic| resume_unwind(panic));
            outcome.context(failed)?.tell(ui)?;
        }
        failure
    })
}

/// A finished image folder.
#[derive(Debug)]
pub struct Outcome {
    /// The interpreter in it.
    pub interpreter: Interpreter,
    /// The image folder, absolute.
    pub folder: PathBuf,
    /// The launcher in it, absolute.
    pub launcher: PathBuf,
    /// The launcher's size in bytes.
    pub bytes: u64,
    /// The launcher's SHA-256, lower-case hex.
    pub sha256: String,
    /// What the launcher needs in its environment to run on this machine.
    pub environment: Vec<(&'static str, String)>,
    /// Who runs it here, if it is for another machine.
    pub runner: Option<Runner>,
    /// The machine that it is for.
    pub target: String,
    /// The time that files of it are given, in seconds since 1970.
    pub epoch: u64,
}

/// Runs every stage. The image folder is replaced at the end, or not at all.
///
/// # Errors
/// What a stage has to say.
pub fn run(config: Config, ui: &Ui) -> Result<Outcome> {
    Built::of(config, ui)?.finish(ui)
}

/// A launcher of which nobody knows yet whether it works.
struct Built<'a> {
    folder: Folder,
    log: Log<'a>,
    plan: Plan,
    lock: Option<ModulesLock>,
    image: Image,
    sizes: Sizes,
}

impl<'a> Built<'a> {
    fn of(config: Config, ui: &'a Ui) -> Result<Built<'a>> {
        let target = config.paths.target.clone();
        build(config, ui).map_err(|error| disk::explained(error, &target))
    }

    /// Verifies it and writes all that is said of it.
    fn finish(self, ui: &Ui) -> Result<Outcome> {
        let target = self.plan.config.paths.target.clone();
        finish(self, ui).map_err(|error| disk::explained(error, &target))
    }
}

fn build(config: Config, ui: &Ui) -> Result<Built<'_>> {
    let folder = Folder::lock(&config.paths.locks(), &config.out, |path| {
        ui.status("Blocking", format_args!("waiting for another dist of {}", path.display()));
    })?;
    let mut log = Log::new(ui);
    let (plan, tree) = log.collect(config)?;
    let graph = log.scan(&plan, tree)?;
    let packed = log.pack(&plan, graph)?;
    let lock = ModulesLock::existing(&plan, &packed)?;
    if let Some(note) = lock.as_ref().map(|lock| lock.check(&plan)).transpose()?.flatten() {
        ui.note(note);
    }
    let what = format!("{} for {}", ui::bytes(packed.payload.len() as u64), plan.target);
    let image = log.stage("link", "Linking", what, || link::run(&plan, packed, folder.aside()))?;
    let sizes = Sizes::plain(&image.packed)?;
    budget::check_size(&plan.config, image.bytes, &sizes)?;
    Ok(Built { folder, log, plan, lock, image, sizes })
}

fn finish(built: Built<'_>, ui: &Ui) -> Result<Outcome> {
    let Built { folder, mut log, plan, lock, image, sizes } = built;
    let (verified, inventory) = log.verify(&plan, &image)?;
    let record = log.record;
    report::run(&plan, &image, &inventory, &sizes, &verified, &record)?;
    folder.publish()?;
    if let Some(lock) = lock
        && let Some(difference) = lock.update()?
    {
        ui.status("Updated", format_args!("{}: {}", lock.name(), difference.summary()));
    }

    let took = ui::seconds(record.since.elapsed());
    let ships = modules(shipping(&image.packed.sealed.compiled.kept.graph.tree));
    let (app, size) = (name(&plan.config), ui::bytes(image.bytes));
    ui.status("Finished", format_args!("{app} for {}: {size}, {ships}, in {took}", plan.target));
    let environment = image.packed.sealed.environment().into_iter();
    Ok(Outcome {
        environment: environment.map(|(name, value)| (name, value.to_owned())).collect(),
        interpreter: plan.interpreter,
        runner: plan.runner,
        target: plan.target,
        epoch: plan.epoch,
        launcher: plan.config.out.join(&plan.config.project.name),
        folder: plan.config.out,
        bytes: image.bytes,
        sha256: image.sha256,
    })
}

impl Outcome {
    /// The launcher, to be run on this machine.
    pub fn command(&self) -> Command {
        let mut command = match &self.runner {
            Some(runner) => runner.command(&self.launcher),
            None => Command::new(&self.launcher),
        };
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The launcher's path, to stdout.
    fn tell(&self, ui: &Ui) -> Result<()> {
        ui.result(self.launcher.display(), self.event())
    }

    /// As `--message-format json` tells it.
    fn event(&self) -> serde_json::Value {
        json!({
            "reason": "image",
            "launcher": self.launcher,
            "folder": self.folder,
            "report": self.folder.join(report::JSON),
            "bytes": self.bytes,
            "sha256": self.sha256,
        })
    }
}

/// What happened during a run, for the report.
#[derive(Debug)]
pub struct Record {
    /// When the run began.
    pub since: Instant,
    /// The stages that are done, in order, with the time that they took.
    pub stages: Vec<(&'static str, Duration)>,
}

/// Runs stages, tells the user which, and remembers how long they took. Verbs that explain an image
/// run the first of them only.
pub(crate) struct Log<'a> {
    ui: &'a Ui,
    record: Record,
}

impl<'a> Log<'a> {
    pub(crate) fn new(ui: &'a Ui) -> Self {
        Log { ui, record: Record { since: Instant::now(), stages: Vec::new() } }
    }

    /// What could go in.
    ///
    /// # Errors
    /// What the stages have to say.
    pub(crate) fn collect(&mut self, config: Config) -> Result<(Plan, Tree)> {
        let app = name(&config);
        let plan = self.stage("resolve", "Resolving", &app, || resolve::run(config))?;
        let python = format!("{app}, its dependencies, Python {}", plan.interpreter.full_version);
        let tree = self.stage("collect", "Collecting", python, || collect::run(&plan))?;
        plan.notes.iter().chain(&tree.notes).for_each(|note| self.ui.note(note));
        Ok((plan, tree))
    }

    /// What asks for what.
    ///
    /// # Errors
    /// What the stage has to say.
    pub(crate) fn scan(&mut self, plan: &Plan, tree: Tree) -> Result<Graph> {
        let found = modules(shipping(&tree));
        self.stage("scan", "Scanning", found, || scan::run(plan, tree))
    }

    /// What ships, in the form in which it ships.
    ///
    /// # Errors
    /// What the stages have to say.
    pub(crate) fn pack(&mut self, plan: &Plan, graph: Graph) -> Result<Packed> {
        let mut found = modules(shipping(&graph.tree));
        if let traced @ 1.. = plan.config.project.trace.names.len() {
            found += &format!(" with a trace of {traced}");
        }
        let kept = self.stage("prune", "Pruning", found, || prune::run(plan, graph))?;
        kept.notes.iter().for_each(|note| self.ui.note(note));
        self.tell_unanswered(&kept.unanswered());
        let ships = modules(shipping(&kept.graph.tree));
        let formed =
            self.stage("transform", "Transforming", &ships, || transform::run(plan, kept))?;
        let compiled = self.stage("compile", "Compiling", ships, || compile::run(plan, formed))?;
        // Templates and code for other versions did not compile and are out now.
        let ships = modules(shipping(&compiled.kept.graph.tree));
        let tools = protect::describe(plan, &compiled).map(|tools| format!("; {tools}"));
        let tools = tools.unwrap_or_default();
        let fresh = format!("{ships}, {} of them newly compiled{tools}", compiled.fresh);
        let sealed = self.stage("protect", "Protecting", fresh, || protect::run(plan, compiled))?;
        self.stage("pack", "Packing", &ships, || pack::run(plan, sealed))
    }

    /// The size of the launcher, which is built and not kept.
    ///
    /// # Errors
    /// What the stage has to say.
    pub(crate) fn linked(&mut self, plan: &Plan, packed: Packed) -> Result<u64> {
        let folder = tempfile::tempdir().context("cannot make a folder for the launcher")?;
        let what = format!("{} for {}", ui::bytes(packed.payload.len() as u64), plan.target);
        let link = || link::run(plan, packed, folder.path());
        self.stage("link", "Linking", what, link).map(|image| image.bytes)
    }

    /// What the image's checks came to, and what is in it: that is written down meanwhile.
    ///
    /// # Errors
    /// What the stages have to say.
    fn verify(&mut self, plan: &Plan, image: &Image) -> Result<(Verified, Inventory)> {
        let (mut verified, documents) =
            self.stage("verify", "Verifying", verify::describe(plan), || {
                let verify = || verify::run(plan, image);
                let (verified, documents) =
                    parallel::both(verify, || report::documents(plan, image));
                Ok((verified?, documents?))
            })?;
        verified.warnings.extend(image.packed.sealed.warnings(plan));
        verified.warnings.extend(documents.warnings);
        verified.warnings.iter().for_each(|warning| self.ui.warning(warning));
        if let Some(course) = self.start(plan, image, &verified)? {
            verified.startup = Some(course);
        }
        Ok((verified, documents.inventory))
    }

    /// How the launcher starts, measured where there is a budget for that.
    ///
    /// # Errors
    /// It does not start, or takes longer than it may.
    fn start(&mut self, plan: &Plan, image: &Image, verified: &Verified) -> Result<Option<Course>> {
        let project = &plan.config.project;
        let (Some(command), Some(_)) = (&project.verify, project.budget.startup) else {
            return Ok(None);
        };
        if verified.startup.is_none() {
            let why =
                "a launcher that is locked down, or for another machine, cannot be measured here";
            self.ui
                .warning(format_args!("startup in [tool.pyrmware.budget] is not checked: {why}"));
            return Ok(None);
        }
        let what = format!("the start of {}", project.name);
        let course = self.stage("start", "Measuring", what, || startup::run(image, command))?;
        let modules = &image.packed.sealed.compiled.kept.graph.tree.modules;
        let package = |module: &str| {
            let origin = modules.get(module).map(|module| &module.origin);
            report::sizes::package(origin, Some(module), &project.name).to_owned()
        };
        budget::check_startup(&plan.config, &course, &course.by_package(package))?;
        Ok(Some(course))
    }

    fn tell_unanswered(&self, places: &BTreeMap<String, Vec<u32>>) {
        if places.is_empty() {
            return;
        }
        let hint = if self.ui.is_verbose() { "" } else { "; -v and report.json list them" };
        let count = places.len();
        let (s, answers) = if count == 1 { ("", "an answer") } else { ("s", "answers") };
        self.ui.warning(format_args!(
            "{count} place{s} import by a computed name, and what they ask for ships only where something \
             else leads there: {answers} in [tool.pyrmware.prune.dynamic] or a trace makes sure{hint}"
        ));
        for (place, lines) in places {
            let lines: Vec<String> = lines.iter().map(u32::to_string).collect();
            self.ui.detail("Computed", format_args!("{place:?}, line {}", lines.join(", ")));
        }
    }

    fn stage<T>(
        &mut self,
        name: &'static str,
        verb: &str,
        text: impl Display,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let stage = self.ui.stage(name, verb, text);
        let result = work()?;
        self.record.stages.push((name, stage.finish()));
        Ok(result)
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn name(config: &Config) -> String {
    format!("{} {}", config.project.name, config.project.version)
}

/// Modules that go into the payload; those inside libpython are in the tree too.
fn shipping(tree: &Tree) -> usize {
    tree.modules.values().filter(|module| module.kind != Kind::Interpreter).count()
}

fn modules(count: usize) -> String {
    format!("{count} module{}", if count == 1 { "" } else { "s" })
}
