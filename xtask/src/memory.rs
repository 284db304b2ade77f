//! `cargo xtask memory REPORT…`: what launchers reported of their memory, as one page.

mod chart;
mod draw;
mod graph;
mod page;
mod report;
mod runs;
pub mod signature;
mod words;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::config;
use crate::ui::Ui;
use report::Holder;
use runs::Run;

/// Draw what launchers have reported of their memory
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask memory /var/lib/app/memory        a device's report-dir, or a copy of it
  cargo xtask memory memory-000007-hard.json    one report
  cargo xtask memory reports --out memory.html
  open $(cargo xtask memory -q reports)         the page's path is all that goes to stdout

Reports of one run are joined into one timeline. The page is one file that asks nobody for anything.")]
pub struct Args {
    /// Reports, or folders of them
    #[arg(required = true, value_name = "REPORT")]
    reports: Vec<PathBuf>,
    /// The page [default: target/pyrmware/memory.html]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Args {
    /// Reads, joins, draws; the page's path is the only line on stdout.
    ///
    /// # Errors
    /// A file that is no report, or a page that cannot be written.
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let reports = report::load(&self.reports)?;
        let out = match self.out {
            Some(out) => std::path::absolute(&out)
                .with_context(|| format!("{} is no path", out.display()))?,
            None => config::workspace()?.paths.work().join("memory.html"),
        };
        let count = reports.len();
        let runs = runs::part(reports);
        let Some(last) = runs.last() else { bail!("there is no report") };
        let act = || format!("cannot write {}", out.display());
        if let Some(folder) = out.parent() {
            fs::create_dir_all(folder).with_context(act)?;
        }
        fs::write(&out, page::page(&runs)).with_context(act)?;

        let (app, version) = (&last.last().app, &last.last().version.0);
        let of_runs =
            if runs.len() == 1 { String::new() } else { format!(" of {} runs", runs.len()) };
        let plural = if count == 1 { "" } else { "s" };
        ui.status("Read", format_args!("{count} report{plural} of {app} {version}{of_runs}"));
        summary(last, ui);
        let verdicts: Vec<&str> = last.verdicts().iter().map(|verdict| &*verdict.kind).collect();
        let event = json!({
            "reason": "memory",
            "page": out,
            "app": app,
            "version": version,
            "reports": count,
            "runs": runs.len(),
            "verdicts": verdicts,
            "holders": held(last).iter().map(|holder| json!({
                "type": holder.kind,
                "count": holder.count,
                "per_hour": holder.per_hour,
                "signature": holder.signature,
            })).collect::<Vec<_>>(),
        });
        ui.result(out.display(), event)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Signatures that are told in the summary.
const SHOWN: usize = 3;

/// What the page says first, about the youngest run.
fn summary(run: &Run, ui: &Ui) {
    let last = run.last();
    let size = |name: &str, size: Option<u64>| {
        size.map(|size| format!("{name} {}", words::bytes(size as f64)))
    };
    let sizes = [
        size("private", last.sizes.private),
        size("resident", last.sizes.rss),
        size("soft limit", last.soft),
        size("hard limit", last.hard),
    ];
    let sizes: Vec<String> = sizes.into_iter().flatten().collect();
    ui.status(
        "Memory",
        format_args!("{} after {}", sizes.join(", "), words::duration(last.uptime)),
    );
    for verdict in run.verdicts() {
        let words = words::verdict(verdict);
        ui.status("Verdict", format_args!("{}: {words}", verdict.kind));
    }
    for dead in run.dead() {
        let (count, kind) = (words::number(dead.count), &dead.kind);
        ui.status("Alive", format_args!("{count} {kind}, {}: {}", dead.why.0, dead.signature.0));
    }
    for holder in held(run) {
        let (count, kind) = (words::number(holder.count), &holder.kind);
        ui.status("Held", format_args!("{count} {kind}: {}", holder.signature));
    }
    for hook in run.hooks().iter().filter(|hook| hook.useless) {
        ui.status("Useless", format_args!("{}: it gives next to nothing back", hook.name));
    }
}

fn held(run: &Run) -> &[Holder] {
    let holders = run.snapshot().map_or(&[][..], |snapshot| &snapshot.holders.0);
    &holders[..holders.len().min(SHOWN)]
}
