//! `cargo xtask plan`: what `dist` would do, before it does it.

use std::fmt::{self, Display};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use pyrmware_payload::Entry;
use serde_json::{Value, json};

use crate::config::{Config, Extensions, Flags, RunBy};
use crate::dist::collect::device;
use crate::dist::resolve::{self, Cross, LinkPlan, Plan};
use crate::paths::relative;
use crate::ui::{self, Ui};

/// Print what `dist` would do, without building anything
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask plan
  cargo xtask plan --device gateway --frozen
  cargo xtask -q plan --message-format json | jq .dependencies

The dependencies are resolved and fetched as dist does it; nothing is compiled or linked.")]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
}

impl Args {
    /// Resolves, then prints the plan.
    ///
    /// # Errors
    /// Whatever configuration and resolution have to say.
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let config = Config::load(&self.flags)?;
        let stage = ui.stage("resolve", "Resolving", &config.project.name);
        let plan = resolve::run(config)?;
        stage.finish();
        ui.result(Human(&plan), machine(&plan))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The plan for people: one aligned line per fact.
struct Human<'a>(&'a Plan);

impl Display for Human<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = facts(self.0);
        for (index, (label, text)) in lines.iter().enumerate() {
            let end = if index + 1 < lines.len() { "\n" } else { "" };
            write!(f, "{label:<13} {text}{end}")?;
        }
        Ok(())
    }
}

fn facts(plan: &Plan) -> Vec<(&'static str, String)> {
    let config = &plan.config;
    let project = &config.project;
    let short = |path: &Path| relative(&config.paths.root, path).display().to_string();
    let mut lines = vec![
        ("application", format!("{} {} in {}", project.name, project.version, short(&project.dir))),
        ("entry", entry(&project.entry)),
        ("device", config.device.name.clone()),
        ("target", plan.target.clone()),
        ("interpreter", interpreter(plan)),
        ("libpython", link(&plan.link)),
        ("extensions", extensions(config.device.extensions).into()),
        ("lock", plan.lock.as_deref().map_or("none is needed".into(), short)),
    ];
    if let Some(cross) = &plan.cross {
        lines.extend(machine_of(cross, &short));
        lines.push(("runs here in", runner(plan)));
    }
    push_list(
        &mut lines,
        "dependencies",
        plan.distributions.iter().map(|(name, version)| format!("{name} {version}")),
    );
    push_list(&mut lines, "resources", project.include.iter().cloned());
    push_list(&mut lines, "keep", project.prune.keep.iter().cloned());
    push_list(&mut lines, "drop", project.prune.drop.iter().cloned());
    let check =
        project.verify.as_ref().map(|command| format!("{} {}", project.name, command.join(" ")));
    lines.push(("self-test", check.unwrap_or_else(|| "none; it is checked that it starts".into())));
    if let Some(size) = project.budget.size {
        lines.push(("size budget", ui::bytes(size)));
    }
    if let Some(startup) = project.budget.startup {
        lines.push(("start budget", ui::milliseconds(startup)));
    }
    lines.push(("image folder", short(&config.out)));
    push_list(&mut lines, "note", plan.notes.iter().cloned());
    lines
}

fn interpreter(plan: &Plan) -> String {
    let python = &plan.interpreter;
    let text = format!("CPython {} at {}", python.full_version, python.prefix.display());
    match plan.cross {
        Some(_) => format!("{text}, compiled for by {}", python.program.display()),
        None => text,
    }
}

/// Who runs its launchers.
fn runner(plan: &Plan) -> String {
    match (&plan.runner, plan.config.device.runner, &plan.config.device.host) {
        (Some(_), RunBy::Ssh, Some(host)) => format!("{host}, by ssh"),
        (Some(runner), ..) => runner.program.display().to_string(),
        (None, ..) => "nothing: it is not verified".to_owned(),
    }
}

/// What another machine takes.
fn machine_of(cross: &Cross, short: &dyn Fn(&Path) -> String) -> [(&'static str, String); 3] {
    let linker = cross.linker.as_ref().map(|linker| linker.display().to_string());
    let glibc = device::glibc(&cross.folders, cross.target.triple);
    let glibc = glibc.map_or("another C library".to_owned(), |(a, b)| format!("glibc {a}.{b}"));
    [
        ("sysroot", short(&cross.sysroot)),
        ("C library", glibc),
        ("linker", linker.unwrap_or_else(|| "as cargo is configured".into())),
    ]
}

/// A list as lines of which the first has the label; nothing when it is empty.
fn push_list(
    lines: &mut Vec<(&'static str, String)>,
    label: &'static str,
    items: impl Iterator<Item = String>,
) {
    lines.extend(items.enumerate().map(|(i, item)| (if i == 0 { label } else { "" }, item)));
}

fn entry(entry: &Entry) -> String {
    match entry {
        Entry::Module(module) => format!("{module}, run as __main__"),
        Entry::Function { module, function } => format!("{module}:{function}, called"),
    }
}

fn link(link: &LinkPlan) -> String {
    match link {
        LinkPlan::StaticPic(file) => format!("static, {}", file.display()),
        LinkPlan::StaticFixed(file) => {
            format!("static, at a fixed address (no ASLR), {}", file.display())
        }
        LinkPlan::Shared(file) => format!("shared, beside the launcher, {}", file.display()),
        LinkPlan::System(file) => {
            format!("the device's own, with its standard library, as {}", file.display())
        }
    }
}

fn extensions(extensions: Extensions) -> &'static str {
    match extensions {
        Extensions::Auto => "auto: in the launcher, loaded through memory files",
        Extensions::Memfd => "memfd: in the launcher, loaded through memory files",
        Extensions::Sidecar => "sidecar: in lib/ beside the launcher",
    }
}

/// The plan for machines.
fn machine(plan: &Plan) -> Value {
    let config = &plan.config;
    let project = &config.project;
    let dependencies: Vec<Value> = plan
        .distributions
        .iter()
        .map(|(name, version)| json!({"name": name, "version": version}))
        .collect();
    json!({
        "reason": "plan",
        "app": project.name,
        "version": project.version,
        "project": project.dir,
        "entry": project.entry.to_string(),
        "device": config.device.name,
        "target": plan.target,
        "interpreter": {
            "prefix": plan.interpreter.prefix,
            "program": plan.interpreter.program,
            "version": plan.interpreter.full_version,
            "magic": plan.interpreter.magic,
        },
        "link": plan.link,
        "stdlib_on_device": plan.stdlib_on_device(),
        "sysroot": plan.cross.as_ref().map(|cross| &cross.sysroot),
        "linker": plan.cross.as_ref().and_then(|cross| cross.linker.as_ref()),
        "runner": plan.runner,
        "lock": plan.lock,
        "site": plan.site,
        "dependencies": dependencies,
        "include": project.include,
        "keep": project.prune.keep,
        "drop": project.prune.drop,
        "verify": project.verify,
        "size_budget": project.budget.size,
        "startup_budget": project.budget.startup.map(|startup| startup.as_secs_f64()),
        "out": config.out,
        "locked": config.resolution.locked,
        "offline": config.resolution.offline,
        "epoch": plan.epoch,
        "notes": plan.notes,
    })
}
