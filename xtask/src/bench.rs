//! `cargo xtask bench`: the launcher beside stock Python and other packagers, on the same applications,
//! in one run.

mod app;
mod build;
mod loops;
mod measure;
mod memory;
mod peers;
mod size;
mod startup;
mod table;

pub use measure::Args as MeasureArgs;
pub(crate) use measure::Program;
pub(crate) use table::median;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use crate::config::Flags;
use crate::paths::Paths;
use crate::ui::Ui;
use app::App;
use peers::Peer;

/// Measure launchers beside stock Python and other packagers
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench startup --peers launcher         the launcher beside stock Python
  cargo xtask bench startup --app web --runs 41      one application, more runs
  cargo xtask bench size --peers pex,launcher        two peers
  cargo xtask bench build --readme                   put the table into README.md
  cargo xtask bench loops                            hot loops, with modules changed and as written
  cargo xtask bench memory                           what supervising memory costs")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Startup(startup::Args),
    Size(size::Args),
    Build(build::Args),
    Loops(loops::Args),
    Memory(memory::Args),
}

/// Seconds. Nuitka takes minutes for each of its many.
const LIMIT: u32 = 1800;

impl Args {
    /// Measures; the tables go to stdout.
    ///
    /// # Errors
    /// A build of a launcher that fails; what other programs cannot do is in the tables.
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        match self.what {
            What::Startup(args) => args.run(ui),
            What::Size(args) => args.run(ui),
            What::Build(args) => args.run(ui),
            What::Loops(args) => args.run(ui),
            What::Memory(args) => args.run(ui),
        }
    }
}

/// What is measured.
#[derive(Debug, clap::Args)]
struct Selection {
    /// Only this application: a folder, or the name of one of those that are measured by default; may be repeated
    #[arg(long = "app", value_name = "APP")]
    apps: Vec<PathBuf>,
    /// Only these peers, besides stock Python [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    peers: Vec<String>,
    /// How long a packager may take for one package; what it made or failed at earlier is kept
    #[arg(long, value_name = "SECONDS", default_value_t = LIMIT)]
    limit: u32,
    /// Put the tables into README.md, between their marks
    #[arg(long)]
    readme: bool,
    #[command(flatten)]
    flags: Flags,
}

impl Selection {
    fn apps(&self, ui: &Ui) -> Result<Vec<App>> {
        let root = crate::config::workspace()?.paths.root;
        let wanted: Vec<PathBuf> = match &self.flags.project {
            Some(project) => [project.clone()].into_iter().chain(self.apps.clone()).collect(),
            None => self.apps.clone(),
        };
        let folders = app::folders(&root, &wanted)?;
        let prepare = |folder: &PathBuf| {
            ui.status("Preparing", folder.display());
            App::prepare(folder, &self.flags)
        };
        folders.iter().map(prepare).collect()
    }

    fn peers(&self) -> Result<Vec<&'static Peer>> {
        peers::wanted(&self.peers)
    }

    fn publish(&self, name: &str, text: &str, ui: &Ui) -> Result<ExitCode> {
        publish(name, text, None, self.readme, ui)
    }
}

/// To stdout, for machines with the values that are in it, and where it is asked for between the marks of
/// README.md.
pub(crate) fn publish(
    name: &str,
    text: &str,
    values: Option<Value>,
    readme: bool,
    ui: &Ui,
) -> Result<ExitCode> {
    if readme {
        let root = crate::config::workspace()?.paths.root;
        table::put(&root.join("README.md"), name, text)?;
    }
    let mut event = json!({"reason": "bench", "bench": name, "table": text});
    if let Some(values) = values {
        event["values"] = values;
    }
    ui.result(text.trim_end(), event)?;
    Ok(ExitCode::SUCCESS)
}

/// What the bench makes and keeps.
fn folder(paths: &Paths) -> PathBuf {
    paths.work().join("bench")
}
