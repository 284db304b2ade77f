//! [`Image`](super::link::Image) -> files: report.json, report.html, SBOM, licences; then the stage becomes the image folder.

use anyhow::Result;

use super::Record;
use super::link::Image;
use super::resolve::Plan;

/// The report for machines; its presence marks an image folder.
pub const JSON: &str = "report.json";

/// Writes every report into the stage.
///
/// # Errors
/// A file cannot be written.
pub fn run(_plan: &Plan, _image: &Image, _record: &Record) -> Result<()> {
    anyhow::bail!("report: not there yet")
}
