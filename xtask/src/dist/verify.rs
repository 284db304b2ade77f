//! [`Image`] -> [`Verified`]: it starts, its self-test passes, every module can be imported, and no module that was
//! pruned is asked for.

mod imports;
mod launcher;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};

use super::collect::names::{fits, is_within};
use super::link::Image;
use super::parallel;
use super::protect::Secret;
use super::prune::Kept;
pub(super) use super::resolve::runs_natively as runs_here;
use super::resolve::{Plan, Runner};
use super::startup::{self, Course};
use crate::config::Prune;
use launcher::{EMULATED, Start, TIMEOUT};

/// With it the launcher starts Python, looks for the entry, runs nothing and exits 0.
const CHECK: &str = "PYRMWARE_CHECK";
/// With it the launcher writes a line for every pruned module asked for: [`PRUNED`], its name, and who asks.
const REPORT_PRUNED: (&str, &str) = ("PYRMWARE_REPORT_PRUNED", "1");
const PRUNED: &str = "pruned module asked for: ";

/// Who asked for a pruned module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
struct Asked {
    module: String,
    by: String,
    /// The module that was being imported for the check; empty: the self-test ran.
    importing: String,
}

/// What came of an image's checks.
#[derive(Debug, Default)]
pub struct Verified {
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Modules that could not be imported -> why.
    pub import_failures: BTreeMap<String, String>,
    /// The course of the self-test's start.
    pub startup: Option<Course>,
}

impl Verified {
    fn not(why: String) -> Verified {
        Verified { warnings: vec![format!("not verified: {why}")], ..Verified::default() }
    }
}

/// What will be checked, for the progress line.
pub fn describe(plan: &Plan) -> String {
    match &plan.config.project.verify {
        Some(command) => format!("{} {}", plan.config.project.name, command.join(" ")),
        None => format!("that {} starts", plan.config.project.name),
    }
}

/// Starts the launcher in a clean environment and an empty folder: with the self-test's arguments
/// where there are any, else only as far as its entry. Then imports every module.
///
/// # Errors
/// It does not start, does not end within [`TIMEOUT`], or does not exit with 0; a pruned module was asked for.
pub fn run(plan: &Plan, image: &Image) -> Result<Verified> {
    let (project, device) = (&plan.config.project, &plan.config.device);
    let command = project.verify.as_deref();
    if !runs_here(&plan.target) && runner(plan).is_none() {
        let why = format!(
            "this machine cannot start a launcher for {} without qemu's user mode; remedy: {}",
            plan.target,
            Runner::remedy()
        );
        return Ok(Verified::not(why));
    }
    if command.is_none() && device.locked_down {
        let why = "a locked-down launcher can only be checked by a self-test, and there is no command in \
                   [tool.pyrmware.verify]";
        return Ok(Verified::not(why.to_owned()));
    }
    let sealed = &image.packed.sealed;
    if device.locked_down && matches!(sealed.secret, Some(Secret::Given(..))) {
        let why =
            "a locked-down launcher takes the key of its encrypted modules from the device only";
        return Ok(Verified::not(why.to_owned()));
    }
    // Side by side: the self-test waits for its own doings, and imports leave it what it asks for.
    let imports = !device.locked_down && project.verify_imports;
    let (tested, found) = parallel::both(
        || self_test(plan, image),
        || imports.then(|| imports::check(plan, image)).transpose(),
    );
    let ((startup, asked), found) = (tested?, found?);
    let kept = &image.packed.sealed.compiled.kept;
    refuse(plan, kept, &asked, "the self-test asks for modules that were left out", false)?;
    let found = found.unwrap_or_default();
    let what = "modules that ship ask for modules that were left out when they are imported";
    refuse(plan, kept, &found.asked, what, true)?;
    Ok(Verified { warnings: Vec::new(), import_failures: found.failed, startup })
}

/// The course of the self-test's start, and the pruned modules that it asks for.
fn self_test(plan: &Plan, image: &Image) -> Result<(Option<Course>, BTreeSet<Asked>)> {
    let project = &plan.config.project;
    let command = project.verify.as_deref();
    let mut variables = image.packed.sealed.environment();
    variables.push(REPORT_PRUNED);
    variables.extend(command.is_none().then_some((CHECK, "1")));
    let folder = tempfile::tempdir().context("cannot make a folder for the record of the start")?;
    let record = folder.path().join("start");
    variables.extend(record.to_str().map(|file| (startup::VARIABLE, file)));
    let started = SystemTime::now();
    let args = command.unwrap_or_default();
    let start = Start { args, variables: &variables, stdin: "", runner: runner(plan) };
    let (_, stderr) = launcher::run(&image.launcher, &start, limit(plan)).with_context(|| {
        let words = std::iter::once(&project.name).chain(command.unwrap_or_default());
        let words: Vec<&str> = words.map(String::as_str).collect();
        // It may have tried to start itself.
        let lacks = runner(plan).and_then(Runner::lacks).map(|lacks| format!(" ({lacks})"));
        format!("the new launcher fails `{}`{}", words.join(" "), lacks.unwrap_or_default())
    })?;
    // Of a launcher that is locked down, or runs nothing, there is none.
    let record = std::fs::read_to_string(&record).unwrap_or_default();
    let asked = stderr.lines().filter_map(asked).collect();
    // Under qemu times say nothing.
    let course = Course::read(&record, Some(started)).ok().filter(|_| runner(plan).is_none());
    Ok((course, asked))
}

/// Who runs the launcher, if it is not this machine itself.
fn runner(plan: &Plan) -> Option<&Runner> {
    plan.runner.as_ref()
}

/// How long it may take.
fn limit(plan: &Plan) -> Duration {
    if runner(plan).is_some() { EMULATED } else { TIMEOUT }
}

/// What a line of the launcher says: `<4>hello: pruned module asked for: tkinter, by app`, with a syslog
/// priority as stderr is no terminal.
fn asked(line: &str) -> Option<Asked> {
    let (said_by, rest) = line.split_once(": ")?;
    let own = said_by.starts_with('<') && !said_by.contains(' ');
    let (module, by) = rest.strip_prefix(PRUNED).filter(|_| own)?.trim().split_once(", by ")?;
    Some(Asked { module: module.to_owned(), by: by.to_owned(), importing: String::new() })
}

/// Refuses an image whose modules ask for what was left out, save where that is foreseen: by
/// `allow-missing`, or (`drop_is_enough`) by `drop`. What a rule foresees the launcher does not tell.
fn refuse(
    plan: &Plan,
    kept: &Kept,
    asked: &BTreeSet<Asked>,
    what: &str,
    drop_is_enough: bool,
) -> Result<()> {
    let Prune { allow_missing, drop, .. } = &plan.config.project.prune;
    let package = |pattern: &String| pattern.strip_suffix(".*").unwrap_or(pattern).to_owned();
    let foreseen = |asked: &&Asked| {
        allow_missing.iter().any(|pattern| fits(pattern, &asked.module))
            || drop_is_enough && drop.iter().any(|drop| is_within(&asked.module, &package(drop)))
    };
    let mut askers: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
    for Asked { module, by, importing } in asked.iter().filter(|asked| !foreseen(asked)) {
        // The first module that leads there will do.
        askers.entry(module).or_default().entry(by).or_insert_with(|| {
            let direct = importing.is_empty() || importing == by;
            if direct { by.clone() } else { format!("{by} for {importing}") }
        });
    }
    if askers.is_empty() {
        return Ok(());
    }
    let line = |(module, by): (&&str, &BTreeMap<&str, String>)| {
        let reason = kept.dropped.get(*module).map_or("pruned", String::as_str);
        let by: Vec<&str> = by.values().map(String::as_str).collect();
        format!("  {module}, by {} ({reason})", by.join(", "))
    };
    let lines: Vec<String> = askers.iter().map(line).collect();
    let names: Vec<String> = askers.keys().map(|name| format!("{name:?}")).collect();
    let names = names.join(", ");
    bail!(
        "{what}:\n{}\nin [tool.pyrmware.prune], keep = [{names}] ships them, and allow-missing = [{names}] \
         says that the application does without",
        lines.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::collect::fixture::Fixture;
    use crate::dist::{collect, prune, scan};

    #[test]
    fn only_the_launcher_s_own_lines_count() {
        let of = |line| asked(line).map(|asked| (asked.module, asked.by));
        assert_eq!(
            of("<4>hello: pruned module asked for: a.b, by app"),
            Some(("a.b".to_owned(), "app".to_owned()))
        );
        assert_eq!(of("an error: pruned module asked for: no, by app"), None);
        assert_eq!(of("<4>hello: something else"), None);
    }

    #[test]
    fn a_pruned_module_may_be_asked_for_only_where_that_is_foreseen() {
        let files = [
            ("app/app.py", "import shutil"),
            ("lib/shutil.py", "def f():\n    import tarfile"),
            ("lib/tarfile.py", ""),
            ("lib/json.py", ""),
            ("lib/wave.py", ""),
        ];
        let mut fixture = Fixture::new("app", &files).prune(&[], &["wave"]);
        let tree = collect::run(&fixture.plan).unwrap();
        let graph = scan::run(&fixture.plan, tree).unwrap();
        let kept = prune::run(&fixture.plan, graph).unwrap();
        let text = |asked: &[(&str, &str)], drop_is_enough| {
            let asked = asked.iter().map(|(module, by)| Asked {
                module: (*module).to_owned(),
                by: (*by).to_owned(),
                importing: "shutil".to_owned(),
            });
            let asked = asked.collect();
            refuse(&fixture.plan, &kept, &asked, "what", drop_is_enough).map_err(|e| e.to_string())
        };
        assert_eq!(text(&[("wave", "app")], true), Ok(()));
        assert_eq!(
            text(&[("json", "app"), ("tarfile", "app"), ("wave", "shutil")], false).unwrap_err(),
            "what:\n  json, by app for shutil (not reached from app)\n  tarfile, by app for shutil (not followed from \
             shutil: only when make_archive or unpack_archive is named)\n  wave, by shutil (dropped by [tool.pyrmware.prune] drop)\nin \
             [tool.pyrmware.prune], keep = [\"json\", \"tarfile\", \"wave\"] ships them, and \
             allow-missing = [\"json\", \"tarfile\", \"wave\"] says that the application does without"
        );
        fixture.plan.config.project.prune.allow_missing = vec!["json".to_owned()];
        let asked = asked("<4>app: pruned module asked for: json, by app").into_iter().collect();
        assert!(refuse(&fixture.plan, &kept, &asked, "what", false).is_ok());
    }
    #[test]
    fn another_architecture_does_not_run_here() {
        assert!(!runs_here("mips-unknown-linux-gnu"));
        assert_eq!(
            runs_here("x86_64-unknown-linux-gnu"),
            cfg!(all(target_arch = "x86_64", target_os = "linux"))
        );
    }
}
