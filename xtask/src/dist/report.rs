//! [`Image`] -> files in the stage: report.json, report.html, bill of materials, licences, symbols.

mod crates;
mod html;
mod inventory;
mod json;
mod licenses;
mod sbom;
pub mod sizes;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::Record;
use super::link::Image;
use super::resolve::Plan;
use inventory::Inventory;

/// The report for machines; its presence marks an image folder.
pub const JSON: &str = "report.json";
/// The report for people.
pub const HTML: &str = "report.html";
/// The licences of everything that ships.
pub const LICENSES: &str = "licenses.txt";
/// Sources at their payload paths; they stay with the developer.
pub const SYMBOLS: &str = "symbols";

/// Writes every report into the stage. Only report.json and report.html say how long it took; the
/// other files are the same for the same image.
///
/// # Errors
/// A file cannot be read or written, or cargo cannot list the launcher's crates.
pub fn run(plan: &Plan, image: &Image, record: &Record) -> Result<()> {
    let stage = &image.stage;
    let inventory = Inventory::of(plan, image)?;
    let crates = crates::of_launcher(plan)?;
    let licenses = licenses::of_dependencies(plan, &inventory)?;

    let report = serde_json::to_value(json::Report::new(plan, image, &inventory, record))
        .context("cannot put the report together")?;
    write(&stage.join(JSON), pretty(&report)?)?;
    write(&stage.join(HTML), html::page(&report))?;
    let bill = sbom::bill(plan, image, &inventory, &licenses, &crates);
    let name = format!("{}.cdx.json", plan.config.project.name);
    write(&stage.join(name), pretty(&bill)?)?;
    write(&stage.join(LICENSES), licenses::text(plan, &inventory, &licenses, &crates)?)?;
    symbols(image, &stage.join(SYMBOLS))
}

/// Copies the sources for tracebacks.
fn symbols(image: &Image, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for (path, source) in &image.packed.symbols {
        let to = folder.join(path);
        let parent = to.parent().unwrap_or(folder);
        fs::create_dir_all(parent)
            .and_then(|()| fs::copy(source, &to).map(drop))
            .with_context(|| format!("cannot copy {} to {}", source.display(), to.display()))?;
    }
    Ok(())
}

fn pretty(value: &impl Serialize) -> Result<String> {
    let mut text = serde_json::to_string_pretty(value).context("cannot write JSON")?;
    text.push('\n');
    Ok(text)
}

fn write(path: &Path, text: String) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
