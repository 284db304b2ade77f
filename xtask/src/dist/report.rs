//! [`Image`] -> files in the stage: report.json, report.html, bill of materials, licences, symbols.

mod crates;
mod documented;
mod html;
mod inventory;
mod json;
mod licenses;
mod parts;
mod sbom;
pub mod sizes;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use super::Record;
use super::budget::ByPackage;
use super::link::Image;
use super::resolve::Plan;
use super::startup::Course;
use super::symbols;
use super::verify::Verified;
use crates::Crates;
pub use inventory::Inventory;
use parts::Parts;
use sizes::Sizes;

/// The report for machines; its presence marks an image folder.
pub const JSON: &str = "report.json";
/// The report for people.
pub const HTML: &str = "report.html";
/// The licences of everything that ships.
pub const LICENSES: &str = "licenses.txt";

/// What is in an image, and what is worth a warning about that.
#[derive(Debug)]
pub struct Documents {
    /// Everything that ships.
    pub inventory: Inventory,
    /// Bills of materials of dependencies that are not understood.
    pub warnings: Vec<String>,
}

/// Writes what does not depend on how the image was made or how it fares: bills of materials, licences, symbols.
/// They are the same for the same image.
///
/// # Errors
/// A file cannot be read or written, cargo cannot list the launcher's crates, or the image may not have the
/// licences of what is in it.
pub fn documents(plan: &Plan, image: &Image) -> Result<Documents> {
    let stage = &image.stage;
    let inventory = Inventory::of(plan, image)?;
    let parts = Parts::of(plan, &inventory, Crates::of_launcher(plan, &image.packed.sealed)?)?;
    parts.check(plan)?;
    sbom::write(plan, image, &parts, stage)?;
    write(&stage.join(LICENSES), licenses::text(plan, &parts))?;
    symbols::write(plan, &image.packed, &stage.join(symbols::FOLDER))?;
    Ok(Documents { inventory, warnings: parts.warnings })
}

/// Writes report.json and report.html into the stage.
///
/// # Errors
/// A file cannot be written.
pub fn run(
    plan: &Plan,
    image: &Image,
    inventory: &Inventory,
    sizes: &Sizes,
    verified: &Verified,
    record: &Record,
) -> Result<()> {
    let mut report =
        serde_json::to_value(json::Report::new(plan, image, inventory, verified, record))
            .context("cannot put the report together")?;
    report["packages"] = serde_json::to_value(by_package(sizes, &plan.config.project.name))?;
    match &verified.startup {
        Some(course) => add_start(&image.stage, report, course),
        None => write_both(&image.stage, &report),
    }
}

/// Bytes by package, as report.json has them.
pub fn by_package(sizes: &Sizes, app: &str) -> ByPackage {
    let packages = sizes.packages(app).into_iter();
    packages.map(|(name, package)| (name, package.size.bytes)).collect()
}

/// Puts the course of a start into the reports of an image folder that are there.
///
/// # Errors
/// A file cannot be read or written.
pub fn add_start(folder: &Path, mut report: Value, course: &Course) -> Result<()> {
    let mut start = serde_json::to_value(course).context("cannot write JSON")?;
    let packages = course.by_package(packages(&report));
    start["packages"] = serde_json::to_value(packages).context("cannot write JSON")?;
    report["startup"] = start;
    write_both(folder, &report)
}

/// Module -> the package that a report says it belongs to.
pub fn packages(report: &Value) -> impl Fn(&str) -> String {
    let packages: BTreeMap<String, String> = report["modules"]["kept"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|module| Some((module["name"].as_str()?, module["package"].as_str()?)))
        .map(|(module, package)| (module.to_owned(), package.to_owned()))
        .collect();
    move |module| packages.get(module).cloned().unwrap_or_else(|| "libpython".to_owned())
}

fn write_both(folder: &Path, report: &Value) -> Result<()> {
    write(&folder.join(JSON), pretty(report)?)?;
    write(&folder.join(HTML), html::page(report))
}

fn pretty(value: &impl Serialize) -> Result<String> {
    let mut text = serde_json::to_string_pretty(value).context("cannot write JSON")?;
    text.push('\n');
    Ok(text)
}

fn write(path: &Path, text: String) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
