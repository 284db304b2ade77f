//! `cargo xtask on --host HOST -- PROGRAM ARGS`: a program of this machine's disk, run on a device.
//!
//! It is what runs launchers of a device with `runner = "ssh"`, and what cargo can run tests with.

use std::ffi::OsString;
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::dist::hex;
use crate::package::init::quoted;
use crate::ssh::Host;
use crate::ui::Ui;

/// Run a program on a device: it is copied there by ssh, with the libraries beside it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask on --host root@192.168.1.7 -- target/dist/gateway/app/app --selftest
  CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER='cargo xtask on --host gateway --' cargo test --target …

Streams and the exit code are the program's. It gets the variables PYRMWARE_* from here.")]
pub struct Args {
    /// Whom ssh is to call: a name of its configuration, or user@address
    #[arg(long, value_name = "HOST")]
    host: String,
    /// A configuration for ssh instead of the user's
    #[arg(long, value_name = "FILE", env = CONFIG)]
    ssh_config: Option<PathBuf>,
    /// The program, and its arguments
    #[arg(last = true, required = true, value_names = ["PROGRAM", "ARGS"])]
    words: Vec<OsString>,
}

/// Names ssh's configuration where nobody can give the flag.
pub const CONFIG: &str = "PYRMWARE_SSH_CONFIG";
/// What these name are files of this machine.
const OURS: [&str; 3] = [CONFIG, "PYRMWARE_STARTUP", "PYRMWARE_TRACE"];

/// Finds a folder from which programs may be run, and says where in it the program belongs: `$1` is a digest of it,
/// `$2` its name. What is there of other digests has been in use before, and goes. A second line: it is there.
const PLACE: &str = r#"
for folder in "$XDG_RUNTIME_DIR" "$HOME" /var/tmp /tmp /run /data; do
    [ -n "$folder" ] || continue
    place=$folder/.pyrmware-on/$2
    mkdir -p "$place/$1" 2>/dev/null || continue
    if printf '#!/bin/sh\n' >"$place/try" 2>/dev/null && chmod 700 "$place/try" && "$place/try" 2>/dev/null; then
        rm -f "$place/try"
        for old in "$place"/*; do [ "$old" = "$place/$1" ] || rm -rf "$old"; done
        echo "$place/$1"
        [ ! -e "$place/$1/complete" ] || echo complete
        exit 0
    fi
    rm -rf "$place"
done
echo "no folder takes a file and lets it run: of XDG_RUNTIME_DIR, HOME, /var/tmp, /tmp, /run, /data" >&2
exit 1
"#;

impl Args {
    /// Copies what is not there yet, and runs it; its exit code is this one's.
    ///
    /// # Errors
    /// The device cannot be reached, has no room, or lets nothing run; the program cannot be read.
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let (program, args) = self.words.split_first().context("no program is named")?;
        let host = Host::new(&self.host, self.ssh_config.as_deref())?;
        let path = place(&host, Path::new(program), ui)?;
        let variables = std::env::vars()
            .filter(|(name, _)| name.starts_with("PYRMWARE_") && !OURS.contains(&name.as_str()));
        let mut line = "exec env".to_owned();
        for (name, value) in variables {
            line += &format!(" {}", quoted(&format!("{name}={value}")));
        }
        line += &format!(" {}", quoted(&path));
        for word in args {
            let word = word.to_str().context("ssh passes on UTF-8 only")?;
            line += &format!(" {}", quoted(word));
        }
        let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        let mut command: Command = host.command();
        command.args(terminal.then_some("-t")).args(["--", host.name(), &line]);
        let status = command.status().context("cannot start ssh")?;
        Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
    }
}

/// The program's path on the device, to which it is copied if it is not there.
fn place(host: &Host, program: &Path, ui: &Ui) -> Result<String> {
    let read =
        |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let name = program.file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("{} is no program", program.display()))?;
    let folder = program.parent().unwrap_or(Path::new("."));
    let mut digest = Sha256::new();
    let mut files = Vec::new();
    for (file, path) in [(name.to_owned(), program.to_owned())].into_iter().chain(beside(folder)) {
        let bytes = read(&path)?;
        digest.update(&bytes);
        files.push((file, bytes));
    }
    let digest = &hex(&digest.finalize())[..16];
    let said = host.script(PLACE, &[digest, name])?.out;
    let mut lines = said.lines();
    let place = lines.next().unwrap_or_default();
    ensure!(place.starts_with('/'), "{} has not said where programs belong", host.name());
    let path = format!("{place}/{name}");
    if lines.next().is_some() {
        return Ok(path);
    }
    let bytes = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    ui.status("Copying", format_args!("{} to {}:{path}", crate::ui::bytes(bytes), host.name()));
    // Others may copy the same meanwhile: each file is there as a whole, or not.
    let aside = format!(".new-{}", std::process::id());
    for (file, bytes) in &files {
        let to = format!("{place}/{file}");
        host.write(bytes, &format!("{to}{aside}"))?;
        host.script(r#"chmod 755 "$1" && mv -f "$1" "$2""#, &[&format!("{to}{aside}"), &to])?;
    }
    host.script(r#": >"$1/complete""#, &[place])?;
    Ok(path)
}

/// What a launcher has beside it: extension modules and a shared libpython. Name below the folder -> file.
fn beside(folder: &Path) -> Vec<(String, PathBuf)> {
    let files = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().flatten();
    let named = files.filter(|entry| entry.file_type().is_file()).filter_map(|entry| {
        let name = entry.path().strip_prefix(folder).ok()?.to_str()?.to_owned();
        let belongs = name.starts_with("lib/") || name.starts_with("libpython");
        belongs.then(|| (name, entry.path().to_owned()))
    });
    named.collect()
}
