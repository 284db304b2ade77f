//! Every form, side by side.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;

use super::attack::{self, Sight};
use super::form::Form;
use super::{Args, table};
use crate::bench::{self, Program};
use crate::config::Config;
use crate::dist::{self, Outcome};
use crate::ui::Ui;

/// What one form costs, and what it shows.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Row {
    /// Why there is no more in it.
    pub fails: Option<String>,
    /// The launcher's size in bytes.
    pub launcher: u64,
    /// Seconds that `protect` and `pack` took with nothing kept from an earlier build.
    pub build: f64,
    /// Milliseconds until it has started and ended, median.
    pub start: Option<f64>,
    /// Millions of instructions of that.
    pub instructions: Option<f64>,
    /// Milliseconds of the self-test, median.
    pub selftest: Option<f64>,
    /// Private memory in KiB at its peak in the self-test, median.
    pub private_kib: Option<f64>,
    /// What is found in it.
    pub sees: Option<Sight>,
}

impl Args {
    pub(super) fn compare(self, ui: &Ui) -> Result<ExitCode> {
        let config = Config::load(&self.flags)?;
        let folder = config.paths.work().join("protect");
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let forms = match self.forms.as_slice() {
            [] => Form::value_variants(),
            some => some,
        };
        let mut rows = BTreeMap::<Form, Row>::new();
        let mut images = Vec::new();
        for &form in forms {
            ui.status("Comparing", form);
            match build(&config, form, &folder, ui) {
                Ok((image, row)) => {
                    rows.insert(form, row);
                    images.push((form, image));
                }
                Err(error) => {
                    ui.warning(format_args!("{form}: {error:#}"));
                    // What the tool has said besides is of this machine.
                    let fails = Some(error.to_string());
                    rows.insert(form, Row { fails, ..Row::default() });
                }
            }
        }
        // The same sources for all: the first form has a file for each module.
        if let Some((_, first)) = images.first() {
            let own = attack::sources(first, &config.project.dir)?;
            for (form, image) in &images {
                rows.entry(*form).or_default().sees = Some(attack::run(image, &own)?);
            }
        }
        let start = (!self.args.is_empty()).then_some(self.args.as_slice());
        ui.status("Measuring", format_args!("{} launchers, {} runs", images.len(), self.runs));
        measure(&images, start, config.project.verify.as_deref(), self.runs, &mut rows)?;
        let python = images.first().map_or("none", |(_, image)| &image.interpreter.full_version);
        let what = format!("{}, Python {python}", config.project.name);
        let text = table::text(forms, &rows, &what, &self.args, self.runs);
        let values = serde_json::to_value(named(&rows))?;
        bench::publish("protect", &text, Some(values), self.readme, ui)
    }
}

fn named(rows: &BTreeMap<Form, Row>) -> BTreeMap<String, &Row> {
    rows.iter().map(|(form, row)| (form.to_string(), row)).collect()
}

/// Builds it with nothing that the tools have made before.
fn build(config: &Config, form: Form, folder: &Path, ui: &Ui) -> Result<(Outcome, Row)> {
    let mut config = config.clone();
    form.apply(&mut config, folder)?;
    config.out = folder.join(format!("{form:?}").to_lowercase());
    dist::protect::forget(&config.paths)?;
    let image = dist::run(config, ui)?;
    let report = image.folder.join(dist::report::JSON);
    let text = fs::read(&report).with_context(|| format!("cannot read {}", report.display()))?;
    let report: Value = serde_json::from_slice(&text)?;
    let stages = report["stages"].as_array().into_iter().flatten();
    let ours = stages.filter(|stage| matches!(stage["name"].as_str(), Some("protect" | "pack")));
    let build = ours.filter_map(|stage| stage["seconds"].as_f64()).sum();
    let launcher = image.bytes;
    Ok((image, Row { launcher, build, ..Row::default() }))
}

/// Runs all of them in turn.
fn measure(
    images: &[(Form, Outcome)],
    start: Option<&[String]>,
    selftest: Option<&[String]>,
    runs: usize,
    rows: &mut BTreeMap<Form, Row>,
) -> Result<()> {
    let program = |image: &Outcome, args: &[String]| Program {
        command: [image.launcher.clone().into()]
            .into_iter()
            .chain(args.iter().map(Into::into))
            .collect(),
        env: Vec::new(),
    };
    for (args, is_start) in [(start, true), (selftest, false)] {
        let Some(args) = args else { continue };
        let mut times = BTreeMap::<Form, Vec<u64>>::new();
        for run in 0..=runs {
            for (form, image) in images {
                let cost = program(image, args).once()?;
                if run > 0 {
                    times.entry(*form).or_default().push(cost.nanoseconds);
                }
            }
        }
        for (form, image) in images {
            let row = rows.entry(*form).or_default();
            let times = times.remove(form).unwrap_or_default();
            let time = bench::median(times.into_iter()).map(|time| time / 1e6);
            if is_start {
                row.start = time;
                let count = program(image, args).instructions()?;
                row.instructions = count.map(|count| count as f64 / 1e6);
            } else {
                row.selftest = time;
                let mut peaks = Vec::new();
                for _ in 0..5 {
                    peaks.extend(program(image, args).memory()?.private_kib);
                }
                row.private_kib = bench::median(peaks.into_iter());
            }
        }
    }
    Ok(())
}
