//! The process that forks those in which the application runs: Python is up, imports are done, and nothing
//! else has happened.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use pyo3_ffi as ffi;

use super::channel::Channel;
use super::history::History;
use super::listen::Sockets;
use super::parent::Seed;
use super::{notify, restart, sys};
use crate::action::Action;
use crate::log::{self, Priority};
use crate::memory::{self, OnHard};
use crate::object::{Obj, Py, Raised, import, without_exception};

/// A process that is to be a zygote, or the worker where it can be none.
pub struct Zygote {
    seed: Seed,
    sockets: Sockets,
    executable: String,
    arguments: Vec<OsString>,
    on_hard: OnHard,
    grace: std::time::Duration,
    hangs_are_seen: bool,
    /// Workers are told of pressure.
    pressure: bool,
    /// What was open before Python started.
    inherited: BTreeMap<i32, PathBuf>,
}

impl Zygote {
    /// Called where the parent returns in the new process, whose descriptors are closed by now.
    pub fn new(seed: Seed, action: &Action, sockets: Sockets) -> Zygote {
        sys::end_with(seed.parent);
        sys::set_name(&super::zygote_name(&seed.name));
        seed.signals.ignore();
        let settings = action.service.as_ref();
        Zygote {
            sockets,
            executable: action.executable.clone(),
            arguments: action.arguments.clone(),
            on_hard: action.memory.as_ref().map_or(OnHard::Report, |memory| memory.on_hard),
            grace: settings.map(|settings| settings.grace).unwrap_or_default(),
            hangs_are_seen: settings.is_some_and(|settings| settings.heartbeat.is_some()),
            pressure: action.memory.as_ref().is_some_and(|memory| memory.pressure),
            inherited: descriptors(),
            seed,
        }
    }

    /// Returns in the process in which the application runs. `imported`: whether the imports have worked; where
    /// they have not, this is the process in which the application fails.
    pub fn serve(self, imported: &Py<()>) {
        let unfit = match imported {
            Ok(()) => self.unfit(),
            Err(Raised) => Some(String::new()),
        };
        let channel = match unfit {
            None => self.fork_when_asked(),
            Some(why) => {
                if !(why.is_empty() || self.seed.unfit) {
                    let text = format!(
                        "restart = \"zygote\" is not possible: the imports have {why}; starts anew each time"
                    );
                    log::line(Priority::Warning, &text);
                }
                None
            }
        };
        let channel = channel.as_ref().unwrap_or(&self.seed.channel);
        channel.send(&format!("worker {}", sys::own_pid()));
        let Some(go) = channel.receive() else {
            // Nobody wants it any more.
            sys::exit_now(0)
        };
        let reason = go.text.strip_prefix("go ").filter(|reason| !reason.is_empty());
        let channel = channel.as_fd().try_clone_to_owned().ok();
        self.begin_work(channel, reason);
    }

    /// Why this process must not be forked.
    fn unfit(&self) -> Option<String> {
        let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
        if threads > 1 {
            return Some(format!("started {}", plural(threads - 1, "thread")));
        }
        if sys::has_children() {
            return Some("started a process".to_owned());
        }
        let opened = descriptors().into_iter();
        let mut opened = opened.filter(|(fd, target)| {
            self.inherited.get(fd) != Some(target) && !self.may_be_shared(target)
        });
        let (fd, target) = opened.next()?;
        Some(format!("opened descriptor {fd}, {}", target.display()))
    }

    /// Whether processes do not get into each other's way by it: the launcher's own file, which is mapped,
    /// memory files, folders, and devices without a place in them.
    fn may_be_shared(&self, target: &Path) -> bool {
        let text = target.to_string_lossy();
        text.starts_with("/memfd:")
            || [&self.executable, "/dev/null", "/dev/urandom", "/dev/random"]
                .contains(&text.as_ref())
            || fs::metadata(target).is_ok_and(|file| file.is_dir())
    }

    /// Makes workers, for as long as the parent lives; returns in each of them, with what connects it to the
    /// parent.
    fn fork_when_asked(&self) -> Option<Channel> {
        if self.pressure {
            memory::share_pressure();
        }
        self.seed.channel.send("zygote ready");
        loop {
            let Some(message) = self.seed.channel.receive() else { sys::exit_now(0) };
            let Some(channel) = message.descriptor.map(Channel::of) else { continue };
            // SAFETY: this thread has the interpreter, and is the only one. The functions are for those who fork
            // by themselves, and are called in pairs.
            unsafe {
                ffi::PyOS_BeforeFork();
                let between = sys::fork();
                match between {
                    Ok(0) => {
                        // What is between ends at once, so that the worker is the parent's child.
                        let own = sys::own_pid();
                        match sys::fork() {
                            Ok(0) => {
                                ffi::PyOS_AfterFork_Child();
                                while sys::parent_pid() == own {
                                    sys::give_way();
                                }
                                return Some(channel);
                            }
                            Ok(_) => {}
                            Err(error) => channel.send(&format!("failed {error}")),
                        }
                        sys::exit_now(0)
                    }
                    Ok(pid) => drop(sys::wait_for(pid)),
                    Err(error) => channel.send(&format!("failed {error}")),
                }
                ffi::PyOS_AfterFork_Parent();
            }
        }
    }

    /// This process is the worker from here on, and differs in nothing that the application sees from one that
    /// was started for it.
    fn begin_work(self, channel: Option<OwnedFd>, reason: Option<&str>) {
        sys::end_with(self.seed.parent);
        sys::set_name(&self.seed.name);
        // The imports may have failed, which is still to be told.
        without_exception(|| {
            let environ = import("os")?.attr("environ")?;
            for (name, value) in self.sockets.environment(sys::own_pid()) {
                let set = environ.attr("__setitem__")?;
                set.call(&[&Obj::str(name)?, &Obj::str(&value)?])?;
            }
            if self.hangs_are_seen {
                // Who hangs is ended by a signal on which every thread says where it is.
                import("faulthandler")?.attr("enable")?.call(&[])?;
            }
            super::api::begin_to_speak()
        });
        if let Some(channel) = channel {
            notify::to_parent(channel);
        }
        restart::remember(restart::Run {
            executable: &self.executable,
            arguments: &self.arguments,
            history: History::told(reason),
            sockets: self.sockets.clone(),
            on_hard: self.on_hard,
            grace: self.grace,
        });
        self.seed.signals.unblock();
    }
}

/// What is open: number -> what it is.
fn descriptors() -> BTreeMap<i32, PathBuf> {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open = entries.filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        // The folder that is being read is closed by now.
        Some((number, fs::read_link(entry.path()).ok()?))
    });
    open.collect()
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
