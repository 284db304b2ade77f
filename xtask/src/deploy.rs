//! `cargo xtask deploy --host HOST`: dist, then the launcher in its place on a device, started anew.
//!
//! The device needs an ssh server, a shell, `cat`, `mv` and `tar`. What is there is kept until the new launcher has
//! started, and put back when it does not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use crate::config::{Config, Flags};
use crate::dist;
use crate::dist::collect::device::numbers;
use crate::dist::collect::names;
use crate::dist::pack::update;
use crate::on;
use crate::package::image::Image;
use crate::ssh::Host;
use crate::target::Target;
use crate::ui::{self, Ui};

/// Build, put the launcher onto a device, start it anew, and fetch its memory reports
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask deploy --device gateway --host root@192.168.1.7
  cargo xtask deploy --device gateway --host gateway --update
  cargo xtask deploy --device gateway --host gateway --path /data/bin/app --restart '/data/restart app'
  cargo xtask memory $(cargo xtask deploy -q --device gateway --host gateway)

Keys, ports and jump hosts are ssh's own: ~/.ssh/config, or --ssh-config.")]
pub struct Args {
    /// Whom ssh is to call: a name of its configuration, or user@address [default: the device's]
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Where the launcher is on the device [default: /usr/bin/APP; /usr/lib/NAME/APP where files belong beside it]
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// What starts it anew and ends with 0 when it is ready [default: systemd's unit, or the script in /etc/init.d]
    #[arg(long, value_name = "COMMAND")]
    restart: Option<String>,
    /// Bring the application as an update to a launcher that is there, instead of the launcher
    #[arg(long, conflicts_with = "path")]
    update: bool,
    /// A configuration for ssh instead of the user's
    #[arg(long, value_name = "FILE", env = on::CONFIG)]
    ssh_config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

/// What the device's shell does: `$1` the launcher, `$2` the service, `$3` a command that starts it anew, or nothing;
/// then the files. The old ones are links until all is well. It says what it has done, in one word.
const SCRIPT: &str = r#"
set -e
path=$1 service=$2 restart=$3
shift 3
again() {
    if [ -n "$restart" ]; then
        sh -c "$restart"
    elif [ -d /run/systemd/system ] && systemctl cat "$service.service" >/dev/null 2>&1; then
        systemctl restart "$service.service" && systemctl --quiet is-active "$service.service"
    elif [ -x "/etc/init.d/$service" ]; then
        "/etc/init.d/$service" restart
    else
        return 77
    fi
}
was=
for file in "$@"; do
    if [ -e "$file" ]; then
        was=yes
        rm -f "$file.old"
        ln "$file" "$file.old" 2>/dev/null || cp -p "$file" "$file.old"
    fi
done
chmod 755 "$path.new"
sync
for file in "$@"; do mv -f "$file.new" "$file"; done
sync
code=0
again >&2 || code=$?
if [ "$code" = 0 ]; then
    echo started
elif [ "$code" = 77 ]; then
    echo nobody
else
    if [ -z "$was" ]; then
        echo failed
        exit 0
    fi
    for file in "$@"; do
        if [ -e "$file.old" ]; then mv -f "$file.old" "$file"; else rm -f "$file"; fi
    done
    if again >&2; then echo back; else echo broken; fi
    exit 0
fi
for file in "$@"; do rm -f "$file.old"; done
"#;

impl Args {
    /// Builds, copies, starts; the folder of fetched reports is the only line on stdout, if there are any.
    ///
    /// # Errors
    /// What `dist` has to say, that the device cannot be reached or is another machine, or that the new launcher does
    /// not start there.
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        let config = Config::load(&self.flags)?;
        let host = self.host.as_ref().or(config.device.host.as_ref()).with_context(|| {
            format!(
                "nothing says where device {} is: give --host HOST, or host = \"…\" in its table in {}",
                config.device.name,
                config.paths.app_manifest().display()
            )
        })?;
        let host = Host::new(host, self.ssh_config.as_deref())?;
        let (project, package) = (config.project.name.clone(), config.device.package.clone());
        let service = package.name.unwrap_or_else(|| names::normalise(&project));
        let prefix = package.prefix.unwrap_or_else(|| "/usr".to_owned());
        let reports = config.device.memory.as_ref().and_then(|memory| memory.report_dir());
        let reports = reports.map(str::to_owned);
        let update = self.update.then(|| update_of(&config)).transpose()?;
        let fetched = config.paths.images().join(&config.device.name).join("reports");

        let outcome = dist::run(config, ui)?;
        let image = Image::read(&outcome)?;
        accepts(&host, &outcome.target, image.glibc.as_deref())?;
        let path = match (self.path, &update) {
            (Some(path), _) => path,
            (None, Some((_, next))) => next.clone(),
            (None, None) if image.sidecars.is_empty() => format!("{prefix}/bin/{project}"),
            (None, None) => format!("{prefix}/lib/{service}/{project}"),
        };
        ensure!(path.starts_with('/'), "--path {path}: where the launcher is has to be absolute");

        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let beside = image.sidecars.iter().map(|file| (file.clone(), format!("{folder}/{file}")));
        let files: Vec<(String, String)> = match update {
            Some(update) => vec![update],
            None => beside.chain([(project.clone(), path.clone())]).collect(),
        };
        let read = |(file, to): &(String, String)| {
            let from = outcome.folder.join(file);
            let bytes = fs::read(&from);
            let bytes = bytes.with_context(|| format!("cannot read {}", from.display()))?;
            Ok((bytes, format!("{to}.new")))
        };
        let copies: Vec<(Vec<u8>, String)> = files.iter().map(read).collect::<Result<_>>()?;
        let size = ui::bytes(copies.iter().map(|(bytes, _)| bytes.len() as u64).sum());
        let stage = ui.stage("copy", "Copying", format_args!("{size} to {}:{path}", host.name()));
        for (bytes, to) in &copies {
            host.write(bytes, to)?;
        }
        stage.finish();
        let stage = ui.stage("restart", "Restarting", format_args!("{service} on {}", host.name()));
        let mut words = vec![path.as_str(), &service, self.restart.as_deref().unwrap_or_default()];
        words.extend(files.iter().map(|(_, to)| to.as_str()));
        let said = host.script(SCRIPT, &words)?;
        stage.finish();
        let text = said.err.trim_end();
        match said.out.trim_end() {
            "started" => ui.status("Started", format_args!("{service} on {}", host.name())),
            "nobody" => ui.warning(format_args!(
                "{} has no service {service}: the launcher is in its place and nobody has started it; remedy: \
                 --restart COMMAND, or a package of `cargo xtask package`",
                host.name()
            )),
            "back" => bail!("the new launcher does not start on {}; the last one runs again\n{text}", host.name()),
            "failed" => bail!("the launcher does not start on {}, where there was none before\n{text}", host.name()),
            _ => bail!(
                "the new launcher does not start on {}, nor does the last one, which is in its place again\n{text}",
                host.name()
            ),
        }
        let reports = match reports {
            Some(dir) => fetch(&host, &dir, &fetched)?,
            None => None,
        };
        if let Some(folder) = &reports {
            ui.status(
                "Fetched",
                format_args!(
                    "memory reports; `cargo xtask memory {}` draws them",
                    folder.display()
                ),
            );
        }
        let event = json!({
            "reason": "deployed",
            "host": host.name(),
            "path": path,
            "sha256": outcome.sha256,
            "reports": reports,
        });
        match reports {
            Some(folder) => ui.result(folder.display(), event)?,
            None => ui.event(event),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The update in the image folder, and where a launcher finds it.
fn update_of(config: &Config) -> Result<(String, String)> {
    let update = config.device.update.as_ref().with_context(|| {
        format!(
            "--update: launchers take no updates; [package.metadata.pyrmware.update] in {} says where they find them",
            config.paths.app_manifest().display()
        )
    })?;
    Ok((update::file_name(&config.project), format!("{}/next", update.dir())))
}

/// Whether the device runs such a launcher, as far as it says.
fn accepts(host: &Host, triple: &str, glibc: Option<&str>) -> Result<()> {
    let said = host.script("uname -m; getconf GNU_LIBC_VERSION 2>/dev/null || true", &[])?.out;
    let mut lines = said.lines();
    let machine = lines.next().unwrap_or_default();
    // "armv7l" on a 64-bit kernel is "aarch64", which may well run it.
    let wanted = Target::of(triple).ok().map(|target| target.machine);
    let wider = wanted == Some("armv7l") && ["aarch64", "armv8l"].contains(&machine);
    if let Some(wanted) = wanted.filter(|wanted| *wanted != machine && !wider) {
        bail!(
            "{} is {machine}, and the launcher is for {wanted} ({triple}); remedy: --device with another target",
            host.name()
        );
    }
    let has = lines.next().and_then(|line| numbers(line.strip_prefix("glibc ")?));
    if let (Some(has), Some(needs)) = (has, glibc.and_then(numbers))
        && has < needs
    {
        bail!(
            "{} has glibc {}.{}, and the launcher needs {}.{}; remedy: build against a sysroot of the device",
            host.name(),
            has.0,
            has.1,
            needs.0,
            needs.1
        );
    }
    Ok(())
}

/// A copy of the device's reports; none where it has none. What was fetched before is replaced.
fn fetch(host: &Host, dir: &str, to: &Path) -> Result<Option<PathBuf>> {
    let script = r#"cd "$1" 2>/dev/null && ls -A | grep -q . && tar -cf - . || true"#;
    let archive = host.bytes(script, &[dir])?;
    if archive.is_empty() {
        return Ok(None);
    }
    let failed = || format!("cannot write the reports of {} to {}", host.name(), to.display());
    let parent = to.parent().with_context(failed)?;
    fs::create_dir_all(parent).with_context(failed)?;
    let aside = tempfile::tempdir_in(parent).with_context(failed)?;
    tar::Archive::new(archive.as_slice()).unpack(aside.path()).with_context(failed)?;
    if to.exists() {
        fs::remove_dir_all(to).with_context(failed)?;
    }
    fs::rename(aside.keep(), to).with_context(failed)?;
    Ok(Some(to.to_owned()))
}
