//! Hot loops: what a launcher does to the start must not cost anything afterwards.

use std::process::ExitCode;

use anyhow::{Context, Result};

use super::app::App;
use super::measure::Program;
use super::peers::{self, EAGER, LAUNCHER, Made, STOCK};
use super::table::{self, Cell, Matrix, Unit};
use super::{LIMIT, publish};
use crate::config::Flags;
use crate::ui::Ui;

/// The loops of `tests/apps/loops`.
const LOOPS: [&str; 6] = ["bodies", "calls", "documents", "network", "scheduler", "words"];

/// Time and instructions of hot loops: stock Python, launchers with and without lazy imports
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Interleaved runs of each loop, after one that is not counted
    #[arg(long, default_value_t = 21)]
    runs: usize,
    /// How often a loop is run in one process
    #[arg(long, default_value_t = 5)]
    times: u32,
    /// Do not count instructions
    #[arg(long)]
    no_instructions: bool,
    /// Put the table into README.md, between its marks
    #[arg(long)]
    readme: bool,
    #[command(flatten)]
    flags: Flags,
}

impl Args {
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let root = crate::config::workspace()?.paths.root;
        let app = App::prepare(&root.join("tests/apps/loops"), &self.flags)?;
        let names = [STOCK, EAGER, LAUNCHER];
        let wanted = names.map(str::to_owned);
        let made = peers::wanted(&wanted)?.into_iter();
        let mut made: Vec<Made> =
            made.map(|peer| peer.make(&app, &self.flags, ui, LIMIT)).collect::<Result<_>>()?;
        made.sort_by_key(|made| names.iter().position(|name| *name == made.peer));
        let time = "Time of one pass, ms".to_owned();
        let count = "Instructions of one pass, millions".to_owned();
        let mut times = Matrix::new(time, Unit::Hundredth, &names, STOCK);
        let mut counts = Matrix::new(count, Unit::Hundredth, &names, STOCK);
        for name in LOOPS {
            ui.status("Measuring", format_args!("{name}, {} runs of each", self.runs));
            times.row(name, self.times_of(name, &made)?);
            if !self.no_instructions {
                let cells = made.iter().map(|made| instructions(name, made));
                counts.row(name, cells.collect::<Result<_>>()?);
            }
        }
        let text = format!(
            "{}{}Python {}. Medians of {} interleaved runs of {} passes each, without the start; \
             `{EAGER}` has `lazy-imports = \"off\"`. Last rows: geometric mean against `{STOCK}`.\n",
            times.text(),
            counts.text(),
            app.plan.interpreter.full_version,
            self.runs,
            self.times,
        );
        publish("loops", &text, None, self.readme, ui)
    }

    fn times_of(&self, name: &str, made: &[Made]) -> Result<Vec<Cell>> {
        let mut seconds = vec![Vec::new(); made.len()];
        for run in 0..=self.runs {
            for (made, seconds) in made.iter().zip(&mut seconds) {
                let said = program(made, name, self.times, true).output()?;
                let time: f64 = said.trim().parse().context("a loop does not say its time")?;
                if run > 0 {
                    seconds.push((time * 1e9) as u64);
                }
            }
        }
        let passes = f64::from(self.times);
        let cells = seconds.into_iter().map(|it| table::median(it.into_iter()));
        Ok(cells.map(|it| it.map_or(Cell::Absent, |ns| Cell::Value(ns / 1e6 / passes))).collect())
    }
}

fn program(made: &Made, name: &str, times: u32, tell: bool) -> Program {
    let mut command = made.command.clone();
    command.extend([name.into(), times.to_string().into()]);
    command.extend(tell.then(|| "--time".into()));
    Program { command, env: made.env.clone() }
}

/// Of one pass more, so that the start and the first pass, which specialises, are not in it.
fn instructions(name: &str, made: &Made) -> Result<Cell> {
    let count = |times| program(made, name, times, false).instructions();
    let (Some(many), Some(few)) = (count(2)?, count(1)?) else { return Ok(Cell::Absent) };
    Ok(Cell::Value(many.saturating_sub(few) as f64 / 1e6))
}
