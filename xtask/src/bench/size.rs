//! What goes to the device.

use std::process::ExitCode;

use anyhow::Result;

use super::Selection;
use super::peers::{LAUNCHER, STOCK, SYSTEM};
use super::table::{Cell, Matrix, Notes, Unit};
use crate::ui::Ui;

/// Bytes on disk, for every application and peer
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
}

/// These need a Python on the device, which is not in their numbers.
const NEED_PYTHON: [&str; 6] = [STOCK, "no bytecode", "zipapp", "shiv", "pex", SYSTEM];

impl Args {
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let (apps, peers) = (self.selection.apps(ui)?, self.selection.peers()?);
        let names: Vec<&str> = peers.iter().map(|peer| peer.name).collect();
        let title = "Bytes on disk, MiB".to_owned();
        let (mut matrix, mut notes) =
            (Matrix::new(title, Unit::Tenth, &names, LAUNCHER), Notes::default());
        for app in &apps {
            let mut cells = Vec::new();
            for peer in &peers {
                cells.push(match peer.make(app, &self.selection.flags, ui, self.selection.limit) {
                    Ok(made) => Cell::Value(made.bytes as f64 / 1048576.0),
                    Err(error) => {
                        Cell::Fails(notes.number(&app.name, peer.name, &format!("{error:#}")))
                    }
                });
            }
            matrix.row(&app.name, cells);
        }
        let python = apps.first().map_or("", |app| &app.plan.interpreter.full_version);
        let text = format!(
            "{}Python {python}. {} need a Python on the device, which is not counted. Last row: \
             geometric mean against `{LAUNCHER}`.\n{}",
            matrix.text(),
            NEED_PYTHON.map(|name| format!("`{name}`")).join(", "),
            notes.text(),
        );
        self.selection.publish("size", &text, ui)
    }
}
