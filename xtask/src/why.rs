//! `cargo xtask why MODULE`: what brings a module in, or why it was left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::json;

use crate::config::{Config, Flags, Project};
use crate::dist::Log;
use crate::dist::collect::names::hint;
use crate::dist::collect::{Kind, Tree};
use crate::dist::prune::{Kept, ask};
use crate::dist::report::sizes::{Size, Sizes};
use crate::dist::scan::{Edge, EdgeKind, Graph};
use crate::ui::{self, Ui};

/// What is said of the entry.
const STARTS: &str = "where the program starts";
/// How many importers are named without `-v`.
const SHOWN: usize = 8;

/// Say what brings a module in, or why it was left out
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask why plistlib                  the shortest way from the entry, and what else asks for it
  cargo xtask why -v --device gateway email
  cargo xtask why -q --message-format json tkinter | jq .dropped

The way is read from the module outwards: `b: a:3 (in a function) <- main:1 (top level)` says that line 1
of main imports a, and that a function of a imports b in line 3. What a package needs to be imported
(the packages above it) has the same line. Exclusive is what would leave the launcher with the module.")]
pub struct Args {
    /// Dotted names
    #[arg(required = true, value_name = "MODULE")]
    modules: Vec<String>,
    #[command(flatten)]
    flags: Flags,
}

impl Args {
    /// Runs the pipeline as far as the payload, then explains.
    ///
    /// # Errors
    /// What the stages have to say, or that nothing has such a name.
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let mut log = Log::new(ui);
        let (plan, tree) = log.collect(Config::load(&self.flags)?)?;
        let graph = log.scan(&plan, tree)?;
        for name in &self.modules {
            check_name(name, &graph)?;
        }
        let packed = log.pack(&plan, graph.clone())?;
        let sizes = Sizes::of(&packed)?;
        let kept = &packed.sealed.compiled.kept;
        let project = &plan.config.project;
        for name in &self.modules {
            let answer = Answer::of(name, project, &graph, kept, &sizes);
            let shown = if ui.is_verbose() { usize::MAX } else { SHOWN };
            let mut machine = json!({"reason": "why"});
            merge(&mut machine, serde_json::to_value(&answer)?);
            ui.result(Human { answer: &answer, shown }, machine)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn merge(into: &mut serde_json::Value, from: serde_json::Value) {
    if let (Some(into), serde_json::Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}

/// Refuses a name that nothing has and nothing asks for.
fn check_name(name: &str, graph: &Graph) -> Result<()> {
    let asked = graph.missing.values().flatten().any(|missing| missing == name);
    if graph.tree.modules.contains_key(name) || asked {
        return Ok(());
    }
    bail!("there is no module {name}{}", hint(name, graph.tree.modules.keys().map(String::as_str)))
}

/// What is known about a module.
#[derive(Debug, Serialize)]
struct Answer {
    module: String,
    #[serde(flatten)]
    state: State,
    /// Whether the trace has it; none: there is no trace.
    traced: Option<bool>,
    /// Everything that asks for it, in the launcher or not.
    importers: Vec<Importer>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
enum State {
    Kept {
        /// From the module outwards.
        path: Vec<Step>,
        /// Why the last of the path, or the module itself, is in.
        because: String,
        exclusive: Exclusive,
    },
    /// Inside libpython: costs nothing.
    Interpreter,
    Dropped {
        /// One clause.
        dropped: String,
    },
    /// Neither the application nor a dependency nor the standard library has it.
    Missing,
}

/// `module` asks, in `line`, for the module before.
#[derive(Debug, Serialize)]
struct Step {
    module: String,
    /// 0 where there is none.
    line: u32,
    /// Not known of what is nowhere.
    kind: Option<EdgeKind>,
}

#[derive(Debug, Serialize)]
struct Importer {
    #[serde(flatten)]
    step: Step,
    /// Whether the importer ships.
    kept: bool,
    /// The rule by which this import is not followed.
    cut: Option<String>,
}

#[derive(Debug, Serialize)]
struct Exclusive {
    #[serde(flatten)]
    size: Size,
    modules: BTreeSet<String>,
}

impl Answer {
    fn of(name: &str, project: &Project, graph: &Graph, kept: &Kept, sizes: &Sizes) -> Answer {
        let module = kept.graph.tree.modules.get(name);
        let state = match (module, kept.dropped.get(name)) {
            _ if !graph.tree.modules.contains_key(name) => State::Missing,
            (Some(module), _) if module.kind == Kind::Interpreter => State::Interpreter,
            (Some(_), _) => State::kept(name, project, kept, sizes),
            (None, dropped) => {
                State::Dropped { dropped: dropped.cloned().unwrap_or_else(|| "left out".into()) }
            }
        };
        let traced = &project.trace.names;
        let traced = (!traced.is_empty()).then(|| traced.iter().any(|traced| traced == name));
        Answer { module: name.to_owned(), state, traced, importers: importers(name, graph, kept) }
    }
}

impl State {
    fn kept(name: &str, project: &Project, kept: &Kept, sizes: &Sizes) -> State {
        let ways = ask::ways(project, kept);
        let mut path = Vec::new();
        let mut at = name;
        let root = kept.graph.roots.contains_key(name);
        while let Some(Some((importer, edge))) = ways.get(at).filter(|_| !root) {
            path.push(Step { module: importer.clone(), line: edge.line, kind: Some(edge.kind) });
            at = importer;
        }
        let modules = ask::Exclusive::new(project, kept).of(&[name]);
        // What libpython has in it does not leave.
        let modules: BTreeSet<String> =
            modules.into_iter().filter(|name| ships(&kept.graph.tree, name)).collect();
        let exclusive = Exclusive { size: sizes.of_modules(&modules), modules };
        let because = ask::because(project, kept, at).unwrap_or_else(|| STARTS.to_owned());
        State::Kept { path, because, exclusive }
    }
}

fn ships(tree: &Tree, name: &str) -> bool {
    tree.modules.get(name).is_some_and(|module| module.kind != Kind::Interpreter)
}

/// Every module that asks for this one, those that ship first.
fn importers(name: &str, graph: &Graph, kept: &Kept) -> Vec<Importer> {
    let asks = |importer: &String, line, kind, cut: Option<&String>| Importer {
        step: Step { module: importer.clone(), line, kind },
        kept: kept.graph.tree.modules.contains_key(importer),
        cut: cut.cloned(),
    };
    let mut found: BTreeMap<&String, Importer> = BTreeMap::new();
    for (importer, names) in &graph.missing {
        if names.iter().any(|missing| missing == name) {
            found.insert(importer, asks(importer, 0, None, None));
        }
    }
    for (importer, cuts) in &graph.cuts {
        for cut in cuts.iter().filter(|cut| cut.edge.to == name) {
            let Edge { line, kind, .. } = cut.edge;
            found.insert(importer, asks(importer, line, Some(kind), Some(&cut.reason)));
        }
    }
    for (importer, edges) in &graph.edges {
        for edge in edges.iter().filter(|edge| edge.to == name) {
            found.insert(importer, asks(importer, edge.line, Some(edge.kind), None));
        }
    }
    let mut found: Vec<Importer> = found.into_values().collect();
    found.sort_by_key(|importer| !importer.kept);
    found
}

impl Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.module)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        self.kind.map_or(Ok(()), |kind| write!(f, " ({})", kind.label()))
    }
}

struct Human<'a> {
    answer: &'a Answer,
    shown: usize,
}

impl Display for Human<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answer { module, state, importers, .. } = self.answer;
        write!(f, "{module}: ")?;
        let mut others: Vec<&Importer> = importers.iter().collect();
        let mut also = "";
        let traced = match self.answer.traced {
            None => "",
            Some(true) => "; traced",
            Some(false) => "; not traced",
        };
        match state {
            State::Kept { path, because, exclusive } => {
                let mut words: Vec<String> = path.iter().map(Step::to_string).collect();
                match words.last_mut() {
                    None => words.push(because.clone()),
                    Some(last) if because != STARTS => last.push_str(&format!(", {because}")),
                    Some(_) => {}
                }
                let count = exclusive.modules.len();
                let plural = if count == 1 { "" } else { "s" };
                let size = ui::bytes(exclusive.size.bytes);
                let words = words.join(" <- ");
                write!(f, "{words}; exclusive {size} ({count} module{plural}){traced}")?;
                if let Some(first) = path.first() {
                    others.retain(|importer| importer.step.module != first.module);
                    also = "also ";
                }
            }
            State::Interpreter => f.write_str("the interpreter's own, costs nothing")?,
            State::Dropped { dropped } => write!(f, "left out: {dropped}{traced}")?,
            State::Missing => f.write_str(
                "nowhere: neither the application nor a dependency nor Python's library has it",
            )?,
        }
        if !others.is_empty() {
            write!(f, "\n  {also}asked for by")?;
        }
        for importer in others.iter().take(self.shown) {
            write!(f, "\n    {}", importer.step)?;
            match (&importer.cut, importer.kept, state) {
                (_, false, _) => f.write_str(", which is left out")?,
                (Some(reason), ..) => write!(f, ", not followed: {reason}")?,
                (None, true, State::Dropped { .. }) => f.write_str(", not followed")?,
                (None, true, _) => {}
            }
        }
        if others.len() > self.shown {
            write!(f, "\n    and {} more; -v names them", others.len() - self.shown)?;
        }
        Ok(())
    }
}
