//! `pyrmware.modules.lock` beside the application: what ships, so that a change of it is a diff that
//! somebody reviews.
//!
//! One line for each module: name, hash of its source, what brings it in. Neither lines nor bytecode are
//! in it, so that it changes only when something else ships, or the same for another reason. There is
//! one for each device, it is for one version of Python and one target, and it is kept up to date where
//! it exists: who tries an application with several interpreters has no use for it.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::collect::Kind;
use super::collect::names::module_of;
use super::hex;
use super::pack::Packed;
use super::protect::Sealed;
use super::prune::ask;
use super::resolve::Plan;
use crate::config::HOST;

/// So many digits of a hash tell sources apart, and leave a line short.
const DIGITS: usize = 12;
/// So many lines of a difference are shown.
const SHOWN: usize = 40;

/// The lock of what was packed, and the file that holds the last one.
#[derive(Debug)]
pub struct ModulesLock {
    /// Where it is, or would be.
    pub file: PathBuf,
    text: String,
    old: Option<String>,
}

impl ModulesLock {
    /// The lock of an application that has one.
    ///
    /// # Errors
    /// As [`ModulesLock::of`].
    pub fn existing(plan: &Plan, packed: &Packed) -> Result<Option<ModulesLock>> {
        file(plan).is_file().then(|| ModulesLock::of(plan, packed)).transpose()
    }

    /// Reads the application's lock, if it has one, and puts together what it should say.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn of(plan: &Plan, packed: &Packed) -> Result<ModulesLock> {
        let file = file(plan);
        let old = match file.is_file() {
            true => Some(
                fs::read_to_string(&file)
                    .with_context(|| format!("cannot read {}", file.display()))?,
            ),
            false => None,
        };
        Ok(ModulesLock { file, text: text(plan, &packed.sealed)?, old })
    }

    /// What is to be told or refused before the launcher is built.
    ///
    /// # Errors
    /// With the difference, when there is one and `--locked` forbids to write it.
    pub fn check(&self, plan: &Plan) -> Result<Option<String>> {
        let Some(old) = &self.old else { return Ok(None) };
        if !self.fits(old) {
            let (theirs, ours) = (conditions(old), conditions(&self.text));
            let name = self.name();
            return Ok(Some(format!("{name} is for {theirs}; for {ours} it is left as it is")));
        }
        if plan.config.resolution.locked && self.is_stale() {
            bail!(
                "what ships is not what {} says, and --locked forbids to write it; run without \
                 --locked and look at the difference:\n{}",
                self.file.display(),
                self.difference()
            );
        }
        Ok(None)
    }

    /// Writes it where it exists and says something else; gives the difference.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn update(&self) -> Result<Option<Difference>> {
        if !self.is_stale() {
            return Ok(None);
        }
        self.write()?;
        Ok(Some(self.difference()))
    }

    /// Writes it, whatever there was.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self) -> Result<()> {
        fs::write(&self.file, &self.text)
            .with_context(|| format!("cannot write {}", self.file.display()))
    }

    /// The file's name.
    pub fn name(&self) -> String {
        self.file.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn is_stale(&self) -> bool {
        self.old.as_ref().is_some_and(|old| self.fits(old) && *old != self.text)
    }

    fn fits(&self, old: &str) -> bool {
        conditions(old) == conditions(&self.text)
    }

    fn difference(&self) -> Difference {
        Difference::between(self.old.as_deref().unwrap_or_default(), &self.text)
    }
}

/// Where the lock of a device is.
fn file(plan: &Plan) -> PathBuf {
    let name = match plan.config.device.name.as_str() {
        HOST => "pyrmware.modules.lock".to_owned(),
        device => format!("pyrmware.{device}.modules.lock"),
    };
    plan.config.project.dir.join(name)
}

/// What a lock's lines are true for: its last comment.
fn conditions(text: &str) -> &str {
    let comments = text.lines().take_while(|line| line.starts_with('#'));
    comments.last().unwrap_or_default().trim_start_matches(['#', ' '])
}

fn text(plan: &Plan, sealed: &Sealed) -> Result<String> {
    let kept = &sealed.compiled.kept;
    let (major, minor) = plan.interpreter.version;
    let mut text = format!(
        "# The modules in the launcher of {}: name, hash of the source, what brings it in.\n\
         # `cargo xtask dist` keeps this up to date; commit it, and review what changes.\n\
         # Python {major}.{minor}, {}\n",
        plan.config.project.name, plan.target
    );
    let ways = ask::ways(&plan.config.project, kept);
    let modules = kept.graph.tree.modules.iter();
    let modules = modules.filter(|(_, module)| module.kind != Kind::Interpreter);
    let mut files: BTreeMap<String, Option<&PathBuf>> =
        modules.map(|(name, module)| (name.clone(), module.file.as_ref())).collect();
    // Whatever tools have made of sources, and whether or not a module has a file of its own.
    for (path, file) in &sealed.sources {
        files.extend(module_of(path).map(|name| (name, Some(file))));
    }
    for (name, file) in &files {
        let reason = match ways.get(name) {
            Some(Some((importer, edge))) => format!("{importer} ({})", edge.kind.label()),
            _ => ask::because(&plan.config.project, kept, name).unwrap_or_else(|| "-".to_owned()),
        };
        text.push_str(&format!("{name} {} {reason}\n", hash(name, *file)?));
    }
    Ok(text)
}

fn hash(name: &str, file: Option<&PathBuf>) -> Result<String> {
    let Some(file) = file else { return Ok("-".to_owned()) };
    let bytes = fs::read(file)
        .with_context(|| format!("cannot read module {name} from {}", file.display()))?;
    Ok(hex(&Sha256::digest(bytes))[..DIGITS].to_owned())
}

/// Module -> line.
fn modules(text: &str) -> impl Iterator<Item = (String, String)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| Some((line.split(' ').next()?.to_owned(), line.to_owned())))
}

/// Lines that are in one of two locks only, by module.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    lines: BTreeMap<String, (Option<String>, Option<String>)>,
}

impl Difference {
    fn between(old: &str, new: &str) -> Difference {
        let mut lines: BTreeMap<String, (Option<String>, Option<String>)> = BTreeMap::new();
        for (module, line) in modules(old) {
            lines.entry(module).or_default().0 = Some(line);
        }
        for (module, line) in modules(new) {
            lines.entry(module).or_default().1 = Some(line);
        }
        lines.retain(|_, (old, new)| old != new);
        Difference { lines }
    }

    /// "3 modules more, 1 less, 2 changed".
    pub fn summary(&self) -> String {
        let count = |kind: fn(&(Option<String>, Option<String>)) -> bool, word: &str| match self
            .lines
            .values()
            .filter(|lines| kind(lines))
            .count()
        {
            0 => None,
            count => Some(format!("{count} {word}")),
        };
        let parts = [
            count(|(old, _)| old.is_none(), "more"),
            count(|(_, new)| new.is_none(), "less"),
            count(|(old, new)| old.is_some() && new.is_some(), "changed"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "the heading only".into() } else { parts.join(", ") }
    }
}

impl Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.lines.values().flat_map(|(old, new)| {
            let old = old.iter().map(|line| format!("- {line}"));
            old.chain(new.iter().map(|line| format!("+ {line}")))
        });
        let lines: Vec<String> = lines.collect();
        f.write_str(&lines[..lines.len().min(SHOWN)].join("\n"))?;
        if lines.len() > SHOWN {
            write!(f, "\n… and {} lines more", lines.len() - SHOWN)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_has_the_lines_of_each_module_together() {
        let old = "# x\na 1 m (top level)\nb 2 m (guarded)\nc 3 -\n";
        let new = "# y\na 1 m (top level)\nb 9 m (guarded)\nd 4 a (in a function)\n";
        let difference = Difference::between(old, new);
        assert_eq!(
            difference.to_string(),
            "- b 2 m (guarded)\n+ b 9 m (guarded)\n- c 3 -\n+ d 4 a (in a function)"
        );
        assert_eq!(difference.summary(), "1 more, 1 less, 1 changed");
    }

    #[test]
    fn the_last_comment_says_what_it_is_for() {
        assert_eq!(conditions("# a\n# Python 3.11, x86_64\na 1 -\n# b\n"), "Python 3.11, x86_64");
    }
}
