//! A device that ssh reaches, with the user's own configuration. Nothing of that is read or kept here.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::package::init::quoted;
use crate::python::remedy;

/// Exit code of ssh itself.
const EXIT_SSH: i32 = 255;

/// A device.
pub struct Host {
    name: String,
    ssh: PathBuf,
    options: Vec<OsString>,
}

/// What a script has said.
pub struct Said {
    pub out: String,
    pub err: String,
}

impl Host {
    /// As ssh knows it.
    ///
    /// # Errors
    /// There is no ssh here, or this is no name.
    pub fn new(name: &str, config: Option<&Path>) -> Result<Host> {
        ensure!(!name.is_empty() && !name.starts_with('-'), "--host {name}: this is no host");
        let ssh = which::which("ssh").with_context(|| {
            format!(
                "there is no ssh on PATH; remedy: {}",
                remedy::install(&["openssh-client".to_owned()])
            )
        })?;
        let mut options = Vec::new();
        if let Some(file) = config {
            options.extend(["-F".into(), file.as_os_str().to_owned()]);
        }
        if !std::io::stdin().is_terminal() {
            // Nobody could answer a question.
            options.extend(["-o", "BatchMode=yes"].map(OsString::from));
        }
        Ok(Host { name: name.to_owned(), ssh, options })
    }

    /// As the user calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes a file, whose folder is made where it is not there.
    pub fn write(&self, bytes: &[u8], path: &str) -> Result<()> {
        let script = r#"mkdir -p "$(dirname "$1")" && { cat > "$1" || { rm -f "$1"; exit 1; }; }"#;
        let output = self.run(script, &[path], bytes)?;
        ensure!(
            output.status.success(),
            "cannot write {path} on {}\n{}",
            self.name,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
        Ok(())
    }

    /// Runs a script of a shell with these words.
    pub fn script(&self, script: &str, words: &[&str]) -> Result<Said> {
        let output = self.run(script, words, &[])?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        if !output.status.success() {
            bail!(
                "{} has not done what it was asked ({})\n{}",
                self.name,
                output.status,
                err.trim_end()
            );
        }
        Ok(Said { out, err })
    }

    /// What a script writes to its standard output.
    pub fn bytes(&self, script: &str, words: &[&str]) -> Result<Vec<u8>> {
        Ok(self.run(script, words, &[])?.stdout)
    }

    /// ssh with its options, to which more can be added.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.ssh);
        command.args(&self.options);
        command
    }

    fn run(&self, script: &str, words: &[&str], stdin: &[u8]) -> Result<std::process::Output> {
        // ssh gives its words to the device's shell as one line.
        let shell = ["sh", "-c", script, "sh"];
        let words: Vec<String> = shell.iter().chain(words).map(|word| quoted(word)).collect();
        let line = words.join(" ");
        let failed = || format!("cannot start {}", self.ssh.display());
        let mut child = self
            .command()
            .args(["--", &self.name, &line])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(failed)?;
        let mut pipe = child.stdin.take().with_context(failed)?;
        let output = std::thread::scope(|scope| {
            // Who does not read to the end says why in another way.
            scope.spawn(move || drop(pipe.write_all(stdin)));
            child.wait_with_output()
        });
        let output = output.with_context(failed)?;
        ensure!(
            output.status.code() != Some(EXIT_SSH),
            "ssh does not reach {}\n{}",
            self.name,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_arrive_as_they_are() {
        for word in ["", "plain", "it's", "$(exit 3) `x` \"y\" \\", "two\nlines"] {
            let said =
                Command::new("sh").args(["-c", &format!("printf %s {}", quoted(word))]).output();
            assert_eq!(String::from_utf8_lossy(&said.unwrap().stdout), word);
        }
    }

    #[test]
    fn a_host_is_no_option() {
        let error = Host::new("-oProxyCommand=x", None).err().unwrap().to_string();
        assert_eq!(error, "--host -oProxyCommand=x: this is no host");
    }
}
