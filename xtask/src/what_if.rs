//! `cargo xtask what-if --drop MODULE --keep MODULE`: what another choice would change, without building.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;

use crate::config::{Config, Flags};
use crate::dist::Log;
use crate::dist::collect::names::{fits, hint, is_within};
use crate::dist::collect::{Kind, Tree};
use crate::dist::pack::Packed;
use crate::dist::prune::ask;
use crate::dist::report::sizes::Sizes;
use crate::dist::resolve::Plan;
use crate::dist::scan::{EdgeKind, Graph};
use crate::ui::{self, Ui};

/// How many modules are named without `-v`.
const SHOWN: usize = 8;

/// Say what another `keep` or `drop` would change, without building
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask what-if --drop unicodedata
  cargo xtask what-if --drop 'sqlalchemy.dialects.mysql.*' --drop sqlite3 --keep tomllib
  cargo xtask what-if -q --message-format json --drop email | jq .bytes

The sizes are those of the payload, as it ships and as `zip -9` would pack it. BREAKS names imports that
would fail: what the entry needs to start (dist refuses that), and top-level imports without a guard in
modules that stay; `may break` those that fail only when they are reached, or go on without. What goes on
without is let pass by verify when allow-missing in [tool.pyrmware.prune] names the module.
Exits with 0 whether or not something would break.")]
pub struct Args {
    /// As in `[tool.pyrmware.prune] drop`, in addition to it: a package goes with all below it
    #[arg(long, value_name = "MODULE", required_unless_present = "keep")]
    drop: Vec<String>,
    /// As in `[tool.pyrmware.prune] keep`, in addition to it: "name", or "name.*" for all below it too
    #[arg(long, value_name = "MODULE")]
    keep: Vec<String>,
    #[command(flatten)]
    flags: Flags,
}

impl Args {
    /// Packs the payload both ways and compares.
    ///
    /// # Errors
    /// What the stages have to say, or that no module has such a name.
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let mut log = Log::new(ui);
        let (plan, tree) = log.collect(Config::load(&self.flags)?)?;
        self.check_names(&tree)?;
        let other = self.changed(&plan);
        let graph = log.scan(&plan, tree.clone())?;
        // What `keep` names may be read for the first time.
        let other_graph = log.scan(&other, tree)?;
        let packed = log.pack(&plan, graph)?;
        let mut difference = match ask::refusal(&other.config.project, &other_graph) {
            Some(chain) => self.refused(chain, &plan, &packed)?,
            None => Difference::between(&packed, &log.pack(&other, other_graph)?)?,
        };
        difference.breaks.extend(self.traced(&plan));
        let shown = if ui.is_verbose() { usize::MAX } else { SHOWN };
        ui.result(Human { difference: &difference, shown }, difference.event())?;
        Ok(ExitCode::SUCCESS)
    }

    fn check_names(&self, tree: &Tree) -> Result<()> {
        for (flag, patterns) in [("--drop", &self.drop), ("--keep", &self.keep)] {
            for pattern in patterns {
                if !tree.modules.keys().any(|name| fits(pattern, name)) {
                    let name = pattern.strip_suffix(".*").unwrap_or(pattern);
                    let near = hint(name, tree.modules.keys().map(String::as_str));
                    bail!("{flag} {pattern}: no module fits{near}");
                }
            }
        }
        Ok(())
    }

    /// The plan with the other choice, which takes back what is configured to the contrary.
    fn changed(&self, plan: &Plan) -> Plan {
        let mut other = plan.clone();
        let prune = &mut other.config.project.prune;
        prune.keep.retain(|pattern| !self.drop.contains(pattern));
        prune.drop.retain(|pattern| !self.keep.contains(pattern));
        prune.keep.extend(self.keep.iter().cloned());
        prune.drop.extend(self.drop.iter().cloned());
        other
    }

    /// What the trace has seen and would be left out.
    fn traced(&self, plan: &Plan) -> impl Iterator<Item = String> {
        let dropped = |name: &&String| {
            let package =
                |pattern: &'_ str| pattern.strip_suffix(".*").unwrap_or(pattern).to_owned();
            self.drop.iter().any(|pattern| is_within(name, &package(pattern)))
        };
        let names = plan.config.project.trace.names.iter().filter(dropped);
        names.map(|name| format!("traced: the application was seen to import {name}"))
    }

    /// Where dist would refuse: what would leave, all the same.
    fn refused(&self, chain: String, plan: &Plan, packed: &Packed) -> Result<Difference> {
        let sizes = Sizes::of(packed)?;
        let kept = &packed.sealed.compiled.kept;
        let names: Vec<&str> =
            self.drop.iter().map(|name| name.strip_suffix(".*").unwrap_or(name)).collect();
        let gone = ask::Exclusive::new(&plan.config.project, kept).of(&names);
        let ships = shipping(&kept.graph.tree);
        let removed: BTreeSet<String> = gone.intersection(&ships).cloned().collect();
        let size = sizes.of_modules(&removed);
        Ok(Difference {
            bytes: -(size.bytes as i64),
            zip: -(size.zip as i64),
            added: BTreeSet::new(),
            removed,
            breaks: vec![format!("the start: {chain}")],
            asks: Vec::new(),
        })
    }
}

/// What another choice changes.
#[derive(Debug)]
struct Difference {
    bytes: i64,
    zip: i64,
    added: BTreeSet<String>,
    removed: BTreeSet<String>,
    /// Imports that would fail as soon as their module is imported.
    breaks: Vec<String>,
    /// Imports that would fail when they are reached, or are prepared for it.
    asks: Vec<String>,
}

impl Difference {
    fn between(before: &Packed, after: &Packed) -> Result<Difference> {
        let (before_size, after_size) = (Sizes::of(before)?.total(), Sizes::of(after)?.total());
        let (before, after) =
            (&before.sealed.compiled.kept.graph, &after.sealed.compiled.kept.graph);
        let (old, new) = (shipping(&before.tree), shipping(&after.tree));
        let removed: BTreeSet<String> = old.difference(&new).cloned().collect();
        let (breaks, asks) = still_asked(after, &removed);
        let signed = |before: u64, after: u64| after as i64 - before as i64;
        Ok(Difference {
            bytes: signed(before_size.bytes, after_size.bytes),
            zip: signed(before_size.zip, after_size.zip),
            added: new.difference(&old).cloned().collect(),
            removed,
            breaks,
            asks,
        })
    }

    fn event(&self) -> serde_json::Value {
        json!({
            "reason": "what-if",
            "bytes": self.bytes,
            "zip": self.zip,
            "added": self.added,
            "removed": self.removed,
            "breaks": self.breaks,
            "asks": self.asks,
        })
    }
}

/// Imports of what has left, by modules that stay: those that fail at once, and the others.
fn still_asked(graph: &Graph, removed: &BTreeSet<String>) -> (Vec<String>, Vec<String>) {
    let (mut breaks, mut asks) = (Vec::new(), Vec::new());
    for (importer, edges) in &graph.edges {
        for edge in edges.iter().filter(|edge| removed.contains(&edge.to)) {
            let text = format!("{} needs {}", edge.asked_by(importer), edge.to);
            match edge.kind {
                EdgeKind::TopLevel => breaks.push(text),
                EdgeKind::TypeChecking => {}
                _ => asks.push(text),
            }
        }
    }
    (breaks, asks)
}

fn shipping(tree: &Tree) -> BTreeSet<String> {
    let modules = tree.modules.iter().filter(|(_, module)| module.kind != Kind::Interpreter);
    modules.map(|(name, _)| name.clone()).collect()
}

struct Human<'a> {
    difference: &'a Difference,
    shown: usize,
}

impl Display for Human<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { bytes, zip, added, removed, breaks, asks } = self.difference;
        write!(f, "{}, {} as zip -9", ui::change(*bytes), ui::change(*zip))?;
        let count = |names: &BTreeSet<String>, word| match names.len() {
            0 => None,
            1 => Some(format!("1 module {word}")),
            count => Some(format!("{count} modules {word}")),
        };
        let counts: Vec<String> =
            count(removed, "less").into_iter().chain(count(added, "more")).collect();
        if !counts.is_empty() {
            write!(f, "; {}", counts.join(", "))?;
        }
        for (names, sign) in [(removed, '-'), (added, '+')] {
            for name in names.iter().take(self.shown) {
                write!(f, "\n  {sign} {name}")?;
            }
            if names.len() > self.shown {
                write!(f, "\n  {sign} and {} more; -v names them", names.len() - self.shown)?;
            }
        }
        for text in breaks {
            write!(f, "\nBREAKS {text}")?;
        }
        for text in asks.iter().take(self.shown) {
            write!(f, "\nmay break {text}")?;
        }
        if asks.len() > self.shown {
            write!(f, "\nmay break {} more; -v names them", asks.len() - self.shown)?;
        }
        Ok(())
    }
}
