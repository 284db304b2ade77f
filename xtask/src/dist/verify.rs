//! [`Image`](super::link::Image) -> same: it starts, its self-test passes, and no pruned module is asked for.

use anyhow::Result;

use super::link::Image;
use super::resolve::Plan;

/// What will be checked, for the progress line.
pub fn describe(plan: &Plan) -> String {
    match &plan.config.project.verify {
        Some(command) => format!("{} {}", plan.config.project.name, command.join(" ")),
        None => format!("that {} starts", plan.config.project.name),
    }
}

/// Starts the launcher and its self-test.
///
/// # Errors
/// It does not start or the self-test fails.
pub fn run(_plan: &Plan, _image: Image) -> Result<Image> {
    anyhow::bail!("verify: not there yet")
}
