//! Hot loops: what a launcher does to the start must not cost anything afterwards.

use std::process::ExitCode;

use anyhow::{Result, ensure};

use super::app::App;
use super::measure::Program;
use super::peers::{self, LAUNCHER, Made, PLAIN, STOCK};
use super::table::{self, Cell, Matrix, Unit};
use super::{LIMIT, publish};
use crate::config::Flags;
use crate::ui::Ui;

/// The loops of `tests/apps/loops`.
const LOOPS: [&str; 6] = ["bodies", "calls", "documents", "network", "scheduler", "words"];
const NAMES: [&str; 3] = [PLAIN, LAUNCHER, STOCK];

/// Time and instructions of hot loops: stock Python, launchers with and without what is done to modules
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Interleaved runs of each loop, after one that is not counted
    #[arg(long, default_value_t = 21)]
    runs: usize,
    /// How often a loop is run in one process
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(2..))]
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
        let wanted = NAMES.map(str::to_owned);
        let made = peers::wanted(&wanted)?.into_iter();
        let mut made: Vec<Made> =
            made.map(|peer| peer.make(&app, &self.flags, ui, LIMIT)).collect::<Result<_>>()?;
        made.sort_by_key(|made| NAMES.iter().position(|name| *name == made.peer));
        let mut times = matrix("Time of one pass, ms");
        let mut counts = matrix("Instructions of one pass, millions");
        let mut first = matrix("Time of the first pass, ms");
        for name in LOOPS {
            ui.status("Measuring", format_args!("{name}, {} runs of each", self.runs));
            let [earliest, others] = self.times_of(name, &made)?;
            first.row(name, earliest);
            times.row(name, others);
            if !self.no_instructions {
                let cells = made.iter().map(|made| instructions(name, made));
                counts.row(name, cells.collect::<Result<_>>()?);
            }
        }
        let text = format!(
            "{}{}{}Python {}. Medians of {} interleaved runs of {} passes each, without the start; the first pass, \
             which imports what is imported late and has bytecode specialised, is counted for itself. \
             `{PLAIN}` has modules as they were written. Last rows: geometric mean against it.\n",
            times.text(),
            counts.text(),
            first.text(),
            app.plan.interpreter.full_version,
            self.runs,
            self.times,
        );
        publish("loops", &text, None, self.readme, ui)
    }

    /// Of the first pass and of one of the others, for each program.
    fn times_of(&self, name: &str, made: &[Made]) -> Result<[Vec<Cell>; 2]> {
        let mut seen = [vec![Vec::new(); made.len()], vec![Vec::new(); made.len()]];
        for run in 0..=self.runs {
            for (at, made) in made.iter().enumerate() {
                let said = program(made, name, self.times, true).output()?;
                let seconds: Vec<f64> = said.split_whitespace().flat_map(str::parse).collect();
                ensure!(seconds.len() == seen.len(), "a loop does not say its times: {said}");
                if run > 0 {
                    let times = seen.iter_mut().zip(seconds);
                    times.for_each(|(seen, time)| seen[at].push((time * 1e9) as u64));
                }
            }
        }
        let cell = |times: Vec<u64>| {
            table::median(times.into_iter()).map_or(Cell::Absent, |ns| Cell::Value(ns / 1e6))
        };
        Ok(seen.map(|seen| seen.into_iter().map(cell).collect()))
    }
}

fn matrix(title: &str) -> Matrix<'static> {
    Matrix::new(title.to_owned(), Unit::Hundredth, &NAMES, PLAIN)
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
