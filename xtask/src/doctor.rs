//! `cargo xtask doctor`: what is there, what is missing, and the remedy.

mod checks;

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::config::{Config, Flags};
use crate::ui::Ui;

/// List interpreters and tools: what is there, what is missing, and the remedy
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask doctor
  cargo xtask doctor --project tests/apps/web --python /usr

Exit code 1: `dist` cannot work before what is missing is there.")]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
}

impl Args {
    /// Prints what it found; fails when `dist` could not work.
    ///
    /// # Errors
    /// Stdout is gone.
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let stage = ui.stage("doctor", "Examining", "this machine");
        let findings = examine(&self.flags, ui.is_verbose());
        stage.finish();
        let ok = findings.iter().all(|finding| finding.state != State::Missing);
        let machine = json!({"reason": "doctor", "ok": ok, "findings": findings});
        ui.result(Human(&findings), machine)?;
        Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// One thing that was looked for.
#[derive(Debug, serde::Serialize)]
struct Finding {
    /// What was looked for: "cargo", "interpreter".
    name: &'static str,
    /// Whether it is there.
    state: State,
    /// What was found, or why it will not do.
    text: String,
    /// What to do about it, one clause.
    remedy: Option<String>,
    /// The interpreter's prefix where it is one that can go in, as `--python` takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<PathBuf>,
}

/// Whether something is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// It will do.
    Ok,
    /// It is not there, and `dist` works without it.
    Optional,
    /// It is not there, and `dist` cannot work.
    Missing,
}

impl Finding {
    fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Finding { name, state: State::Ok, text: text.into(), remedy: None, prefix: None }
    }

    fn lacks(name: &'static str, state: State, text: impl Into<String>, remedy: String) -> Self {
        Finding { name, state, text: text.into(), remedy: Some(remedy), prefix: None }
    }

    /// Something failed whose message names the remedy itself.
    fn failed(name: &'static str, error: &anyhow::Error) -> Self {
        Finding {
            name,
            state: State::Missing,
            text: format!("{error:#}"),
            remedy: None,
            prefix: None,
        }
    }
}

fn examine(flags: &Flags, verbose: bool) -> Vec<Finding> {
    let config = Config::load(flags);
    let mut findings = vec![checks::cargo(), checks::rustc(), checks::linker()];
    findings.extend(checks::interpreters(verbose));
    match &config {
        Ok(config) => {
            let place = config.project.dir.display();
            findings
                .push(Finding::ok("application", format!("{} in {place}", config.project.name)));
            findings.extend(checks::another_machine(config));
            let (more, interpreter) = checks::chosen(config);
            findings.extend(more);
            if let Some(interpreter) = interpreter {
                findings.push(checks::installer(config, &interpreter));
                findings.extend(checks::compiler(config, &interpreter));
            }
            findings.push(checks::disk(config));
        }
        Err(error) => findings.push(Finding::failed("application", error)),
    }
    findings.extend([
        checks::optional("strace", "strace", "the end-to-end tests watch launchers with it"),
        checks::optional("valgrind", "valgrind", "`bench startup` counts instructions with it"),
        checks::optional(
            "qemu-system-x86_64",
            "qemu-system-x86",
            "`test --device-image` has launchers run in it",
        ),
    ]);
    findings
}

/// The findings for people: a mark, the name, the text, and the remedy below.
struct Human<'a>(&'a [Finding]);

impl Display for Human<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in self.0 {
            let mark = match finding.state {
                State::Ok => "ok",
                State::Optional => "optional",
                State::Missing => "missing",
            };
            let text = finding.text.trim_end().replace('\n', "\n                       ");
            writeln!(f, "{mark:<8}  {:<11}  {text}", finding.name)?;
            if let Some(remedy) = &finding.remedy {
                writeln!(f, "{:23}remedy: {remedy}", "")?;
            }
        }
        let missing = self.0.iter().filter(|finding| finding.state == State::Missing).count();
        match missing {
            0 => write!(f, "dist can work."),
            1 => write!(f, "dist cannot work: one thing is missing."),
            more => write!(f, "dist cannot work: {more} things are missing."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_stand_below_what_they_remedy() {
        let findings = [
            Finding::ok("cargo", "1.95.0"),
            Finding::lacks(
                "strace",
                State::Optional,
                "not here",
                "`apt-get install strace`".into(),
            ),
            Finding::failed("interpreter", &anyhow::anyhow!("none\nat all")),
        ];
        assert_eq!(
            Human(&findings).to_string(),
            "ok        cargo        1.95.0\n\
             optional  strace       not here\n                       remedy: `apt-get install strace`\n\
             missing   interpreter  none\n                       at all\n\
             dist cannot work: one thing is missing."
        );
    }
}
