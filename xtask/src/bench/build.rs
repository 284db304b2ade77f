//! How long a package takes to make.

use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};

use super::Selection;
use super::app::{App, copy_tree};
use super::peers::{LAUNCHER, STOCK};
use super::table::{Cell, Matrix, Notes, Unit};
use crate::config::{Config, Flags};
use crate::dist;
use crate::ui::Ui;

/// Seconds to make a package, and to make it again after an edit, for every application and peer
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
}

/// The column of a launcher that is built again after one edit.
const WARM: &str = "launcher, one edit";

impl Args {
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let (apps, mut peers) = (self.selection.apps(ui)?, self.selection.peers()?);
        peers.retain(|peer| !matches!(peer.name, STOCK | "no bytecode" | LAUNCHER));
        let names: Vec<&str> = peers.iter().map(|peer| peer.name).chain([LAUNCHER, WARM]).collect();
        let title = "Time to make a package, seconds".to_owned();
        let (mut matrix, mut notes) =
            (Matrix::new(title, Unit::Tenth, &names, LAUNCHER), Notes::default());
        for app in &apps {
            let mut cells = Vec::new();
            for peer in &peers {
                cells.push(match peer.make(app, &self.selection.flags, ui, self.selection.limit) {
                    Ok(made) => made.seconds.map_or(Cell::Absent, Cell::Value),
                    Err(error) => {
                        Cell::Fails(notes.number(&app.name, peer.name, &format!("{error:#}")))
                    }
                });
            }
            let (cold, warm) = self.launcher(app, ui)?;
            cells.extend([Cell::Value(cold), Cell::Value(warm)]);
            matrix.row(&app.name, cells);
        }
        let python = apps.first().map_or("", |app| &app.plan.interpreter.full_version);
        let text = format!(
            "{}Python {python}. Dependencies are installed and the launcher's own crates are compiled \
             before, as the others' boot loaders are; nothing else is kept from an earlier build. Last \
             row: geometric mean against `{LAUNCHER}`.\n{}",
            matrix.text(),
            notes.text(),
        );
        self.selection.publish("build", &text, ui)
    }

    /// Seconds of `dist` without anything compiled of Python, and after one edit of the application.
    fn launcher(&self, app: &App, ui: &Ui) -> Result<(f64, f64)> {
        let project = app.folder.join("project");
        if project.exists() {
            fs::remove_dir_all(&project)
                .with_context(|| format!("cannot remove {}", project.display()))?;
        }
        copy_tree(&app.plan.config.project.dir, &project)?;
        let build = || -> Result<f64> {
            let flags = Flags {
                project: Some(project.clone()),
                out: Some(app.folder.join("image")),
                ..self.selection.flags.clone()
            };
            let since = Instant::now();
            dist::run(Config::load(&flags)?, ui)?;
            Ok(since.elapsed().as_secs_f64())
        };
        // The launcher's crates, and an image that is replaced.
        build()?;
        let cache = app.plan.config.paths.cache();
        let compiled = ["imports", "patterns", "pyc"].map(|kind| cache.join(kind));
        for folder in compiled.iter().filter(|folder| folder.exists()) {
            fs::remove_dir_all(folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        let cold = build()?;
        let source = [project.join("src"), project.clone()].into_iter().find(|dir| dir.is_dir());
        let package = source.unwrap_or_default().join(app.package());
        let file = [package.join("__init__.py"), package.with_extension("py")];
        let file = file.iter().find(|file| file.is_file()).context("the entry has no file")?;
        let text = fs::read_to_string(file).context("cannot read a module")? + "\nEDITED = True\n";
        fs::write(file, text).context("cannot edit a module")?;
        Ok((cold, build()?))
    }
}
