//! `pyrmware.trace`: what launchers were seen to import, beside the application's `pyproject.toml`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::dist::collect::names::is_dotted;

/// Its name.
pub const FILE: &str = "pyrmware.trace";

const HEADER: &str = "\
# Modules that this application was seen to import, recorded by `cargo xtask trace`, in the order of
# first use. `cargo xtask dist` ships them, whatever it finds by itself, and places them in this order.
# One name per line; traces are merged by adding the lines that are new.
";

/// Module names in the order of first use, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// The names.
    pub names: Vec<String>,
}

impl Trace {
    /// The trace of a project; an empty one where there is none.
    ///
    /// # Errors
    /// The file cannot be read, or a line is no module's name.
    pub fn of(project: &Path) -> Result<Trace> {
        let path = project.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Trace::default()),
            text => text.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let mut trace = Trace::default();
        for (number, line) in text.lines().map(str::trim).enumerate() {
            if is_dotted(line) {
                trace.add([line.to_owned()]);
            } else if !line.is_empty() && !line.starts_with('#') {
                bail!(
                    "{}:{}: {line:?} is no name of a module; take the line out, or record the \
                     trace anew with `cargo xtask trace`",
                    path.display(),
                    number + 1
                );
            }
        }
        Ok(trace)
    }

    /// Adds what is new at the end; gives how many that are.
    pub fn add(&mut self, names: impl IntoIterator<Item = String>) -> usize {
        let before = self.names.len();
        let mut known: BTreeSet<String> = self.names.iter().cloned().collect();
        self.names.extend(names.into_iter().filter(|name| known.insert(name.clone())));
        self.names.len() - before
    }

    /// Writes it beside the project's `pyproject.toml`: aside, then renamed.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, project: &Path) -> Result<()> {
        let mut text = HEADER.to_owned();
        for name in &self.names {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name}");
        }
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::Builder::new()
                .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
                .tempfile_in(project)?;
            file.write_all(text.as_bytes())?;
            file.persist(project.join(FILE))?;
            Ok(())
        };
        write().with_context(|| format!("cannot write {}", project.join(FILE).display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_adds_what_is_new_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut trace = Trace::of(folder.path()).unwrap();
        assert_eq!(trace.add(["os", "json.decoder", "os"].map(str::to_owned)), 2);
        trace.write(folder.path()).unwrap();
        let mut again = Trace::of(folder.path()).unwrap();
        assert_eq!(again, trace);
        assert_eq!(again.add(["abc", "os"].map(str::to_owned)), 1);
        assert_eq!(again.names, ["os", "json.decoder", "abc"]);
    }

    #[test]
    fn a_line_that_names_no_module_is_refused_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "# a comment\nos\n<<<<<<< HEAD\n").unwrap();
        let error = Trace::of(folder.path()).unwrap_err().to_string();
        assert!(error.contains("pyrmware.trace:3: \"<<<<<<< HEAD\" is no name"), "{error}");
    }
}
