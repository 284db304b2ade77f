//! Programs of another machine, run on this one by qemu's user mode, or on a device by ssh.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::python::remedy;
use crate::target::Target;

/// Who runs another machine's programs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Runner {
    /// qemu, or this program itself.
    pub program: PathBuf,
    /// What it is told before the program: where that machine's libraries are, or which device it is.
    pub args: Vec<OsString>,
    /// The name under which the kernel would know programs for qemu: "qemu-aarch64".
    name: Option<String>,
}

impl Runner {
    /// The qemu of this machine for the target; none where there is none, or no need.
    pub fn of(target: &Target, sysroot: &Path) -> Option<Runner> {
        if super::runs_natively(target.triple) {
            return None;
        }
        let name = format!("qemu-{}", target.qemu);
        // Debian's static one needs nothing, the other one is what other distributions have.
        let names = [format!("{name}-static"), name.clone()];
        let program = names.iter().find_map(|name| which::which(name).ok())?;
        Some(Runner { program, args: vec!["-L".into(), sysroot.into()], name: Some(name) })
    }

    /// The device, as ssh knows it: by `cargo xtask on`.
    ///
    /// # Errors
    /// It is not known where this program is.
    pub fn by_ssh(host: &str) -> Result<Runner> {
        let program = std::env::current_exe().context("cannot find the xtask that runs")?;
        let args = ["on", "--quiet", "--host", host, "--"].map(OsString::from).into();
        Ok(Runner { program, args, name: None })
    }

    /// What it needs itself of this process's environment: ssh finds its keys by that.
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        let is_ours = |name: &OsString| {
            let text = name.to_string_lossy();
            !text.starts_with("PYRMWARE_") || text == crate::on::CONFIG
        };
        let ours = std::env::vars_os().filter(|(name, _)| self.name.is_none() && is_ours(name));
        ours.collect()
    }

    /// A program of that machine, to be started here.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).arg(program);
        command
    }

    /// What brings it.
    pub fn remedy() -> String {
        remedy::install(&["qemu-user-static".to_owned()])
    }

    /// What does not work besides, and why: the kernel has to know qemu for that, which is the machine's to decide.
    pub fn lacks(&self) -> Option<String> {
        let name = self.name.as_ref()?;
        let known = Path::new("/proc/sys/fs/binfmt_misc").join(name).exists();
        (!known).then(|| {
            format!(
                "the launcher runs in {}; processes that it starts of itself (multiprocessing, sys.executable) cannot: \
                 this kernel does not know programs of that machine (binfmt_misc has no {}); remedy: what the package \
                 qemu-user-binfmt or qemu-user-static registers where the machine boots with systemd",
                self.program.display(),
                name
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::TARGETS;

    #[test]
    fn a_program_follows_what_runs_it() {
        let runner = Runner {
            program: "/usr/bin/qemu-aarch64-static".into(),
            args: vec!["-L".into(), "/sysroot".into()],
            name: Some("qemu-none".into()),
        };
        let command = runner.command(Path::new("/image/app"));
        let args: Vec<_> = command.get_args().collect();
        assert_eq!(args, ["-L", "/sysroot", "/image/app"]);
        assert!(runner.lacks().unwrap().contains("binfmt_misc has no qemu-none"));
    }

    #[test]
    fn this_machine_s_own_programs_need_nobody() {
        let own = TARGETS.iter().find(|target| crate::dist::resolve::runs_natively(target.triple));
        assert_eq!(own.map(|target| Runner::of(target, Path::new("/sysroot"))), Some(None));
    }
}
