//! What a start costs: time, instructions, memory, files; with warm and with cold files.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;

use super::app::{App, Point};
use super::measure::{Cost, Program, forget_files};
use super::peers::{Made, STOCK};
use super::table::{self, Cell, Matrix};
use super::{Selection, table::Unit};
use crate::ui::Ui;

/// Time, instructions, memory and files of a start, for every application and peer
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Interleaved runs of each program, after one that is not counted
    #[arg(long, default_value_t = 21)]
    runs: usize,
    /// Runs with nothing of the files in memory
    #[arg(long, default_value_t = 5)]
    cold_runs: usize,
    /// Where the measured runs end [default: all three]
    #[arg(long = "points", value_name = "LIST", value_delimiter = ',', value_enum)]
    points: Vec<Point>,
    /// Do not count instructions, which takes far longer than all the rest
    #[arg(long)]
    no_instructions: bool,
    #[command(flatten)]
    selection: Selection,
}

/// What was measured of one program to one point.
#[derive(Default)]
struct Measured {
    warm: Vec<Cost>,
    cold: Vec<Cost>,
    private_kib: Vec<u64>,
    instructions: Option<u64>,
    files: Option<usize>,
    failure: Option<String>,
}

/// (application, peer, point) -> what was measured.
type Results = BTreeMap<(String, &'static str, Point), Measured>;

impl Args {
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let points = match self.points.as_slice() {
            [] => vec![Point::Main, Point::Action, Point::Selftest],
            points => points.to_vec(),
        };
        let (apps, peers) = (self.selection.apps(ui)?, self.selection.peers()?);
        let mut results = Results::new();
        for app in &apps {
            let mut made = Vec::new();
            for peer in &peers {
                match peer.make(app, &self.selection.flags, ui, self.selection.limit) {
                    Ok(program) => made.push(program),
                    Err(error) => {
                        for point in &points {
                            let failure = Some(format!("{error:#}"));
                            let cell = Measured { failure, ..Measured::default() };
                            results.insert((app.name.clone(), peer.name, *point), cell);
                        }
                    }
                }
            }
            for point in &points {
                if let Some(args) = app.args(*point) {
                    ui.status("Measuring", format_args!("{}: {}", app.name, point.title()));
                    for (peer, cell) in self.measure(app, &made, args)? {
                        results.insert((app.name.clone(), peer, *point), cell);
                    }
                }
            }
        }
        let names = peers.iter().map(|peer| peer.name).collect();
        let text = self.tables(&results, &apps, names, &points);
        self.selection.publish("startup", &text, ui)
    }

    /// Runs alternate, so that whatever else the machine does falls on all alike.
    fn measure(
        &self,
        app: &App,
        made: &[Made],
        args: &[String],
    ) -> Result<Vec<(&'static str, Measured)>> {
        const WARM_UP: usize = 1;
        let mut cells: Vec<(Program, Measured)> = made
            .iter()
            .map(|made| {
                let command = made.command.iter().cloned().chain(args.iter().map(Into::into));
                let program = Program { command: command.collect(), env: made.env.clone() };
                (program, Measured::default())
            })
            .collect();
        let prefix = &app.plan.interpreter.prefix;
        for run in 0..self.runs + WARM_UP {
            for (program, cell) in &mut cells {
                let cost = cell.attempt(|| program.once());
                cell.warm.extend(cost.filter(|_| run >= WARM_UP));
            }
        }
        for _ in 0..self.cold_runs {
            for (program, cell) in &mut cells {
                forget_files(&[&app.folder, prefix])?;
                let cost = cell.attempt(|| program.once());
                cell.cold.extend(cost);
            }
        }
        for (program, cell) in &mut cells {
            for _ in 0..self.cold_runs.max(1) {
                let cost = cell.attempt(|| program.memory());
                cell.private_kib.extend(cost.and_then(|cost| cost.private_kib));
            }
            cell.files = cell.attempt(|| program.files_opened()).flatten();
            if !self.no_instructions {
                cell.instructions = cell.attempt(|| program.instructions()).flatten();
            }
        }
        let cells = cells.into_iter().map(|(_, cell)| cell);
        Ok(made.iter().map(|made| made.peer).zip(cells).collect())
    }

    fn tables(
        &self,
        results: &Results,
        apps: &[App],
        peers: Vec<&'static str>,
        points: &[Point],
    ) -> String {
        let names: Vec<&str> = apps.iter().map(|app| app.name.as_str()).collect();
        let mut notes = table::Notes::default();
        let mut matrix =
            |title: String, unit: Unit, point: Point, value: &dyn Fn(&Measured) -> Option<f64>| {
                let mut matrix = Matrix::new(title, unit, &peers, STOCK);
                for app in &names {
                    let of =
                        |peer: &&'static str| match results.get(&(app.to_string(), *peer, point)) {
                            None => Cell::Absent,
                            Some(Measured { failure: Some(reason), .. }) => {
                                Cell::Fails(notes.number(app, peer, reason))
                            }
                            Some(measured) => value(measured).map_or(Cell::Absent, Cell::Value),
                        };
                    matrix.row(app, peers.iter().map(of).collect());
                }
                matrix.text()
            };
        let mut text = String::new();
        for point in points {
            let title = point.title();
            text += &matrix(format!("{title}: wall time, ms"), Unit::Tenth, *point, &|it| {
                table::median(it.warm.iter().map(|cost| cost.nanoseconds)).map(|ns| ns / 1e6)
            });
            text +=
                &matrix(format!("{title}: instructions, millions"), Unit::Whole, *point, &|it| {
                    it.instructions.map(|count| count as f64 / 1e6)
                });
        }
        let Some(last) = points.last().copied() else { return text };
        let rest = if points.contains(&Point::Action) { Point::Action } else { last };
        let title = rest.title();
        text += &matrix(format!("{title}: peak private memory, MiB"), Unit::Tenth, rest, &|it| {
            table::median(it.private_kib.iter().copied()).map(|kib| kib / 1024.0)
        });
        text += &matrix(format!("{title}: peak resident memory, MiB"), Unit::Tenth, rest, &|it| {
            table::median(it.warm.iter().map(|cost| cost.peak_kib)).map(|kib| kib / 1024.0)
        });
        text += &matrix(format!("{title}: files opened"), Unit::Whole, rest, &|it| {
            it.files.map(|files| files as f64)
        });
        text +=
            &matrix(format!("{title}: wall time with cold files, ms"), Unit::Whole, rest, &|it| {
                table::median(it.cold.iter().map(|cost| cost.nanoseconds)).map(|ns| ns / 1e6)
            });
        text += &matrix(
            format!("{title}: read from disk with cold files, MiB"),
            Unit::Tenth,
            rest,
            &|it| table::median(it.cold.iter().map(|cost| cost.read_bytes)).map(|b| b / 1048576.0),
        );
        let python = apps.first().map_or("", |app| &app.plan.interpreter.full_version);
        text += &format!(
            "Python {python}. Medians of {} interleaved runs, {} with cold files; children count. \
             Instructions by callgrind. `no bytecode`: application and dependencies without `.pyc` \
             files, as on a root that cannot be written. Private memory: what no other process \
             shares, and memory files as a whole. Files opened: different ones on disk; folders and \
             memory files are none. Last rows: geometric mean against `{STOCK}`, of the applications \
             that run with both.\n",
            self.runs, self.cold_runs
        );
        text + &notes.text()
    }
}

impl Measured {
    /// After the first failure there are no more attempts.
    fn attempt<T>(&mut self, work: impl FnOnce() -> Result<T>) -> Option<T> {
        if self.failure.is_some() {
            return None;
        }
        work().map_err(|error| self.failure = Some(format!("{error:#}"))).ok()
    }
}
