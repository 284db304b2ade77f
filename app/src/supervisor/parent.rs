//! The process that was launched, where there is a zygote: it answers for the application.
//!
//! It waits for signals, for words of zygote and worker, and for their ends, and does what is due. It has one
//! thread and a few hundred kilobytes, and never starts Python.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use libc::pid_t;

use super::channel::Channel;
use super::history::{self, History, Next};
use super::notify::Manager;
use super::pulse::{self, Watch};
use super::restart::Launch;
use super::settings::Settings;
use super::sys::{self, Signals};
use super::watchdog::Feeder;
use super::{NEVER, restart, tell_wait};
use crate::log::{self, EXIT_RESTART, Priority};
use crate::update;

/// Why a worker was ended that gave no sign of life.
const HANG: &str = "hang";
/// Why a worker was killed of which the kernel says that there was no memory for it.
const OUT_OF_MEMORY: &str = "oom";
/// Ends that are no wish of anybody's.
const CRASHES: [libc::c_int; 8] = [
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGKILL,
    libc::SIGSEGV,
    libc::SIGSYS,
    libc::SIGTRAP,
];
/// Beyond its grace, for what the worker does about it itself.
const PATIENCE: Duration = Duration::from_secs(2);
/// What cannot be made is not asked for again at once, even where there is no back-off.
const PAUSE: Duration = Duration::from_millis(50);
/// A worker that hangs is replaced; so many in a row are left to the watchdogs.
const HANGS: u32 = 2;

/// How [`Parent::run`] returns.
pub enum Outcome {
    /// In the parent: the exit code.
    Done(i32),
    /// In a process that is to be a zygote.
    Zygote(Seed),
}

/// What a zygote gets from its parent.
pub struct Seed {
    /// To the parent.
    pub channel: Channel,
    /// The parent.
    pub parent: pid_t,
    /// What the parent was started with.
    pub signals: Signals,
    /// The name of the process that was launched.
    pub name: String,
    /// An earlier zygote was none, which was told.
    pub unfit: bool,
}

struct Zygote {
    pid: pid_t,
    /// None: it has closed it, and is about to end.
    channel: Option<Channel>,
    is_ready: bool,
}

/// The process in which the application runs.
enum Worker {
    /// There is to be one from this moment on.
    Due(Instant),
    /// The zygote has been asked for one.
    Asked(Channel),
    Runs(Running),
}

struct Running {
    pid: pid_t,
    channel: Option<Channel>,
    since: Instant,
    /// Why it is going to end, and another one to follow.
    restart: Option<String>,
    /// Why it is going to end, and this process with it.
    leave: Option<String>,
    /// It is killed then.
    kill_at: Option<Instant>,
    /// Processes that the kernel has killed for want of memory, when it began.
    killed: u64,
}

/// The state of the parent.
pub struct Parent<'a> {
    settings: &'a Settings,
    history: History,
    manager: Option<Manager>,
    feeder: Feeder,
    watch: Watch,
    signals: Signals,
    descriptor: OwnedFd,
    name: String,
    zygote: Option<Zygote>,
    /// When a zygote that is missing is made again.
    zygote_at: Instant,
    /// Zygotes in a row that were never ready.
    zygotes_lost: u32,
    /// The zygote could be none, and is the worker.
    unfit: bool,
    worker: Worker,
    has_run: bool,
    /// Ends of unknown children while a worker was asked for, which it may have been.
    strangers: BTreeMap<pid_t, ExitStatus>,
    /// The application was asked to end for good.
    stopping: bool,
    hangs: u32,
    /// It is over; the exit code.
    done: Option<i32>,
    /// While an update is on trial: when it must be ready, and how to try again.
    trial: Option<(Instant, Launch)>,
}

impl<'a> Parent<'a> {
    /// Takes over this process.
    ///
    /// # Errors
    /// The kernel lacks what is needed.
    pub fn new(
        settings: &'a Settings,
        history: History,
        manager: Option<Manager>,
        trial: Option<(Instant, Launch)>,
    ) -> io::Result<Parent<'a>> {
        let descriptor = sys::signal_descriptor()?;
        pulse::share()?;
        let of_manager = manager.as_ref().and_then(|manager| manager.watchdog);
        let name = fs::read_to_string("/proc/self/comm").unwrap_or_default().trim().to_owned();
        sys::adopt_orphans();
        sys::set_name(&named(&name, "parent"));
        Ok(Parent {
            watch: Watch::new(settings.heartbeat.or(of_manager).unwrap_or(NEVER)),
            feeder: Feeder::new(settings.watchdog.as_ref(), of_manager),
            settings,
            history,
            manager,
            signals: Signals::take_over(),
            descriptor,
            name,
            zygote: None,
            zygote_at: Instant::now(),
            zygotes_lost: 0,
            unfit: false,
            worker: Worker::Due(Instant::now()),
            has_run: false,
            strangers: BTreeMap::new(),
            stopping: false,
            hangs: 0,
            done: None,
            trial,
        })
    }

    /// Watches over the application until it ends. `has_waited`: whoever was here before has.
    pub fn run(mut self, has_waited: bool) -> Outcome {
        let wait = self.history.wait();
        if !has_waited && !wait.is_zero() {
            tell_wait(&self.history, wait, self.manager.as_ref());
            self.worker = Worker::Due(Instant::now() + wait);
        }
        loop {
            if let Some(seed) = self.make_zygote() {
                return Outcome::Zygote(seed);
            }
            self.ask_for_worker();
            self.wait_for_news();
            self.look_after_worker();
            self.look_after_update();
            if let Some(code) = self.done {
                return Outcome::Done(code);
            }
        }
    }

    /// Makes a zygote where one is missing; returns something in the new process.
    fn make_zygote(&mut self) -> Option<Seed> {
        let is_worker = self.unfit && matches!(self.worker, Worker::Runs(_));
        if self.zygote.is_some() || is_worker || Instant::now() < self.zygote_at {
            return None;
        }
        let (ours, theirs) = match Channel::pair() {
            Ok(pair) => pair,
            Err(error) => return self.zygote_failed(&error),
        };
        let parent = sys::own_pid();
        // SAFETY: this process has one thread.
        match unsafe { sys::fork() } {
            Err(error) => self.zygote_failed(&error),
            Ok(0) => Some(Seed {
                channel: theirs,
                parent,
                signals: self.signals.clone(),
                name: self.name.clone(),
                unfit: self.unfit,
            }),
            Ok(pid) => {
                self.zygote = Some(Zygote { pid, channel: Some(ours), is_ready: false });
                None
            }
        }
    }

    fn zygote_failed(&mut self, why: &dyn std::fmt::Display) -> Option<Seed> {
        log::line(Priority::Error, &format!("no zygote can be made: {why}"));
        self.zygote_is_lost();
        None
    }

    /// It was never ready: the next one has to wait, and to be there at last.
    fn zygote_is_lost(&mut self) {
        self.zygotes_lost += 1;
        self.zygote_at = Instant::now() + self.history.wait_after(self.zygotes_lost).max(PAUSE);
        let is_needed = !matches!(self.worker, Worker::Runs(_));
        if is_needed && self.settings.restarts.is_some_and(|most| self.zygotes_lost > most) {
            log::line(Priority::Error, &restart::gives_up("the zygote ", self.zygotes_lost));
            self.leave(EXIT_RESTART);
        }
    }

    fn ask_for_worker(&mut self) {
        let Worker::Due(at) = self.worker else { return };
        let Some(zygote) = self.zygote.as_ref().filter(|zygote| zygote.is_ready) else { return };
        let Some(channel) = zygote.channel.as_ref().filter(|_| Instant::now() >= at) else {
            return;
        };
        match Channel::pair() {
            Ok((ours, theirs)) => {
                channel.send_with("fork", Some(theirs.as_fd()));
                self.strangers.clear();
                self.worker = Worker::Asked(ours);
            }
            Err(error) => self.worker_failed(&error.to_string()),
        }
    }

    /// Waits until something happens or is due, and takes note of it.
    fn wait_for_news(&mut self) {
        let zygote = self.zygote.as_ref().and_then(|zygote| zygote.channel.as_ref());
        let worker = match &self.worker {
            Worker::Due(_) => None,
            Worker::Asked(channel) => Some(channel),
            Worker::Runs(running) => running.channel.as_ref(),
        };
        let descriptors =
            [Some(self.descriptor.as_fd()), zygote.map(Channel::as_fd), worker.map(Channel::as_fd)];
        let news = sys::poll(&descriptors, self.next_due());
        if news[2] {
            self.hear_worker();
        }
        if news[1] {
            self.hear_zygote();
        }
        if news[0] {
            while let Some(signal) = sys::next_signal(&self.descriptor) {
                self.pass_on(signal);
            }
            while let Some((pid, status)) = sys::next_child() {
                self.child_has_news(pid, status);
            }
        }
    }

    /// How long there is nothing to do.
    fn next_due(&self) -> Option<Duration> {
        let is_ready = self.zygote.as_ref().is_some_and(|zygote| zygote.is_ready);
        let (worker, hang, kill, long) = match &self.worker {
            Worker::Due(at) => (is_ready.then_some(*at), None, None, None),
            Worker::Asked(_) => (None, None, None, None),
            Worker::Runs(running) => (
                None,
                self.settings.heartbeat.map(|period| Instant::now() + period / 4),
                running.kill_at,
                (self.history.short_runs > 0).then(|| running.since + history::LONG),
            ),
        };
        let is_worker = self.unfit && matches!(self.worker, Worker::Runs(_));
        let zygote = (self.zygote.is_none() && !is_worker).then_some(self.zygote_at);
        let trial = self.trial.as_ref().map(|(until, _)| *until);
        let due = [worker, hang, kill, long, zygote, trial, self.feeder.next()];
        let due = due.into_iter().flatten().min()?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    fn hear_zygote(&mut self) {
        let Some(zygote) = &mut self.zygote else { return };
        let message = zygote.channel.as_ref().and_then(Channel::receive);
        match message.as_ref().map(|message| message.text.split_once(' ')) {
            // It is about to end, or has.
            None => zygote.channel = None,
            // It can be none, and goes on as the worker.
            Some(Some(("worker", _))) => {
                self.unfit = true;
                let Some(Zygote { pid, channel, .. }) = self.zygote.take() else { return };
                self.worker_begins(pid, channel);
            }
            Some(_) => {
                zygote.is_ready = true;
                self.zygotes_lost = 0;
            }
        }
    }

    fn hear_worker(&mut self) {
        let channel = match &mut self.worker {
            Worker::Due(_) => return,
            Worker::Asked(channel) => channel,
            Worker::Runs(running) => {
                let Some(channel) = &running.channel else { return };
                let Some(message) = channel.receive() else {
                    running.channel = None;
                    return;
                };
                return self.heed(&message.text);
            }
        };
        let message = channel.receive().map(|message| message.text).unwrap_or_default();
        match message.split_once(' ') {
            Some(("worker", pid)) => {
                let Worker::Asked(channel) =
                    std::mem::replace(&mut self.worker, Worker::Due(Instant::now()))
                else {
                    return;
                };
                let pid = pid.parse().unwrap_or(0);
                self.worker_begins(pid, Some(channel));
                if let Some(status) = self.strangers.remove(&pid) {
                    self.worker_ended(status);
                }
            }
            Some(("failed", why)) => self.worker_failed(why),
            _ => self.worker_failed("it ended before it began"),
        }
    }

    fn worker_begins(&mut self, pid: pid_t, channel: Option<Channel>) {
        if let Some(channel) = &channel {
            let last_exit = self.history.last_exit.as_deref().unwrap_or_default();
            channel.send(&format!("go {last_exit}"));
        }
        self.watch.restart();
        self.has_run = true;
        self.worker = Worker::Runs(Running {
            pid,
            channel,
            since: Instant::now(),
            restart: None,
            leave: None,
            kill_at: None,
            killed: killed_for_memory(),
        });
    }

    /// There is no worker, and a zygote that could make one.
    fn worker_failed(&mut self, why: &str) {
        log::line(Priority::Error, &format!("no worker can be made: {why}"));
        let last_exit = self.history.last_exit.clone();
        let next = match self.history.ended("", Duration::ZERO) {
            Next::After(wait) => Next::After(wait.max(PAUSE)),
            Next::GiveUp => Next::GiveUp,
        };
        self.history.last_exit = last_exit;
        self.go_on(next);
    }

    fn go_on(&mut self, next: Next) {
        match next {
            Next::After(wait) => {
                self.worker = Worker::Due(Instant::now() + wait);
                if !wait.is_zero() {
                    tell_wait(&self.history, wait, self.manager.as_ref());
                }
            }
            Next::GiveUp => {
                let text = restart::gives_up("", self.history.short_runs);
                log::line(Priority::Error, &text);
                self.leave(EXIT_RESTART);
            }
        }
    }

    /// What the worker says while it runs.
    fn heed(&mut self, text: &str) {
        let Worker::Runs(running) = &mut self.worker else { return };
        match text.split_once(' ') {
            Some(("restart", why)) => {
                running.restart.get_or_insert(why.to_owned());
                running.kill_at.get_or_insert(Instant::now() + self.settings.grace + PATIENCE);
            }
            Some(("leave", why)) => running.leave = Some(why.to_owned()),
            Some(("ended", code)) if running.restart.is_some() => {
                let code = code.parse().unwrap_or(EXIT_RESTART);
                self.worker_ended(ExitStatus::from_raw(code << 8));
            }
            // Who the main process is stays as it was.
            _ if text.contains("MAINPID=") => {}
            _ => {
                if text.lines().any(|line| line == "READY=1") {
                    // The application may have given up what it takes to do so itself.
                    update::settle();
                }
                self.tell(text);
            }
        }
    }

    fn tell(&self, message: &str) {
        if let Some(manager) = &self.manager {
            manager.tell(message);
        }
    }

    /// A signal has come to this process.
    fn pass_on(&mut self, signal: sys::Signal) {
        let number = signal.number;
        if number == libc::SIGCHLD {
            return;
        }
        match &self.worker {
            // What the kernel sends from a terminal goes to the worker, too.
            Worker::Runs(running) if signal.sent || number == libc::SIGCONT => {
                self.stopping |= number == libc::SIGTERM;
                sys::kill(running.pid, number);
            }
            Worker::Runs(_) => {}
            _ => {
                let harmless = [
                    libc::SIGCONT,
                    libc::SIGURG,
                    libc::SIGWINCH,
                    libc::SIGTSTP,
                    libc::SIGTTIN,
                    libc::SIGTTOU,
                ];
                let ends = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT].contains(&number);
                // While it starts again the application would have taken the others.
                if ends
                    || !(self.has_run || harmless.contains(&number) || self.signals.ignores(number))
                {
                    self.end_zygote();
                    self.history.forget();
                    self.feeder.stop();
                    self.done = Some(sys::die_by(number));
                }
            }
        }
    }

    fn child_has_news(&mut self, pid: pid_t, status: ExitStatus) {
        let is_worker = matches!(&self.worker, Worker::Runs(running) if running.pid == pid);
        let is_zygote = self.zygote.as_ref().is_some_and(|zygote| zygote.pid == pid);
        if let Some(number) = status.stopped_signal() {
            // A terminal's job stops as a whole.
            if is_worker && [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].contains(&number) {
                sys::kill(sys::own_pid(), libc::SIGSTOP);
            }
        } else if is_worker {
            self.worker_ended(status);
        } else if is_zygote {
            self.zygote_ended(status);
        } else if matches!(self.worker, Worker::Asked(_)) {
            self.strangers.insert(pid, status);
        }
    }

    fn zygote_ended(&mut self, status: ExitStatus) {
        // Its last words may say that it was the worker.
        self.hear_zygote();
        let Some(Zygote { is_ready, .. }) = self.zygote.take() else {
            return self.worker_ended(status);
        };
        if let (Some(code), false) = (status.code(), self.has_run) {
            // Python could not start, or the payload is damaged: it has said why.
            return self.leave(code);
        }
        let text = format!("the zygote has ended ({}); another one is made", how(status));
        log::line(Priority::Warning, &text);
        self.zygote_at = Instant::now();
        if !is_ready {
            self.zygote_is_lost();
        }
    }

    fn worker_ended(&mut self, status: ExitStatus) {
        // Its last words.
        while let Worker::Runs(Running { channel: Some(channel), .. }) = &self.worker
            && sys::poll(&[Some(channel.as_fd())], Some(Duration::ZERO))[0]
        {
            self.hear_worker();
        }
        // Which may have been that it has ended.
        if !matches!(self.worker, Worker::Runs(_)) {
            return;
        }
        let now = Instant::now();
        let Worker::Runs(running) = std::mem::replace(&mut self.worker, Worker::Due(now)) else {
            return;
        };
        let crash = status.signal().filter(|number| CRASHES.contains(number));
        let crash = crash.filter(|_| self.settings.restart_crashed).map(|number| {
            let for_memory = number == libc::SIGKILL && killed_for_memory() > running.killed;
            if for_memory { OUT_OF_MEMORY.to_owned() } else { format!("signal {number}") }
        });
        let ran = running.since.elapsed();
        match running.restart.or(crash).filter(|_| !self.stopping) {
            None => self.end_as(status, running.leave.as_deref()),
            Some(reason) => {
                if reason == HANG {
                    self.hangs = if ran < history::LONG { self.hangs + 1 } else { 1 };
                    if self.hangs == HANGS {
                        let text = "hangs again and again: no watchdog is fed any more";
                        log::line(Priority::Error, text);
                    }
                }
                // There may be a dump before this line, for which the symbols of this build are needed.
                let dumps = status.signal().filter(|number| *number != libc::SIGKILL);
                let build = dumps.map(|_| format!(", build {}", self.settings.build));
                let build = build.unwrap_or_default();
                let how = how(status);
                let why = if how == reason { String::new() } else { format!(": {reason}") };
                let text = format!("the application has ended ({how}){why}{build}; starts again");
                log::line(Priority::Warning, &text);
                self.tell(&format!("STATUS=starts again: {reason}"));
                let next = self.history.ended(&reason, ran);
                match (next, update::until()) {
                    // Each start of an update counts, and only a new launcher may go back to what was before.
                    (Next::After(wait), Some(_)) => self.start_anew(wait),
                    _ => self.go_on(next),
                }
            }
        }
    }

    /// What is due while the worker runs, and the watchdogs.
    fn look_after_worker(&mut self) {
        let grace = self.settings.grace;
        if let Worker::Runs(running) = &mut self.worker {
            let now = Instant::now();
            if running.kill_at.is_some_and(|at| now >= at) {
                running.kill_at = None;
                log::line(Priority::Error, "the application has not ended in time");
                sys::kill(running.pid, libc::SIGKILL);
            }
            let awaited = self.settings.heartbeat.filter(|_| running.restart.is_none());
            if let Some(period) = awaited.filter(|_| !self.watch.is_alive()) {
                let seconds = period.as_secs_f64();
                let text = format!("no heartbeat within {seconds} s: the application is ended");
                log::line(Priority::Error, &text);
                running.restart = Some(HANG.to_owned());
                running.kill_at = Some(now + grace);
                sys::kill(running.pid, libc::SIGABRT);
            }
            if running.since.elapsed() >= history::LONG {
                self.history.is_long();
            }
        }
        let (watch, hangs, manager) = (&mut self.watch, self.hangs, &self.manager);
        let tell = |message: &str| manager.iter().for_each(|manager| manager.tell(message));
        self.feeder.feed(|| hangs < HANGS && watch.is_well(), tell);
    }

    /// An update that is not ready in time has failed, whatever it does instead.
    fn look_after_update(&mut self) {
        if self.trial.as_ref().is_none_or(|(until, _)| Instant::now() < *until) {
            return;
        }
        if update::until().is_none() {
            self.trial = None;
            return;
        }
        update::tell_late();
        match self.history.ended(update::REASON, Duration::ZERO) {
            Next::After(wait) => self.start_anew(wait),
            next @ Next::GiveUp => self.go_on(next),
        }
    }

    /// Becomes a new launcher, after this time.
    fn start_anew(&mut self, wait: Duration) {
        self.end_zygote();
        if let Worker::Runs(Running { pid, .. }) = self.worker {
            sys::kill(pid, libc::SIGKILL);
            sys::wait_for(pid);
        }
        if !wait.is_zero() {
            tell_wait(&self.history, wait, self.manager.as_ref());
            std::thread::sleep(wait);
        }
        if let Some((_, launch)) = &self.trial {
            self.signals.ignore();
            let error = launch.again(&self.history);
            log::line(Priority::Error, &format!("update: cannot start again: {error}"));
        }
        self.leave(EXIT_RESTART);
    }

    /// The application has ended, and this process does the same.
    fn end_as(&mut self, status: ExitStatus, leaves: Option<&str>) {
        self.end_zygote();
        match leaves {
            Some(reason) => self.history.leave(reason),
            None => self.history.forget(),
        }
        if status.success() || self.stopping {
            self.feeder.stop();
        }
        self.done = Some(match status.signal() {
            Some(number) => sys::die_by(number),
            None => status.code().unwrap_or(EXIT_RESTART),
        });
    }

    /// This process ends for reasons of its own.
    fn leave(&mut self, code: i32) {
        self.end_zygote();
        self.done = Some(code);
    }

    fn end_zygote(&mut self) {
        if let Some(Zygote { pid, .. }) = self.zygote.take() {
            sys::kill(pid, libc::SIGKILL);
            // It holds the standard streams: whoever reads them must see their end.
            sys::wait_for(pid);
        }
    }
}

/// The name of a process that does not run the application itself: fifteen bytes at most.
pub fn named(name: &str, role: &str) -> String {
    let mut end = name.len().min(14 - role.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}:{role}", &name[..end])
}

fn how(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(number), _) => format!("signal {number}"),
        (None, code) => format!("code {}", code.unwrap_or(0)),
    }
}

/// How many processes of this one's control group the kernel has killed because there was no memory.
fn killed_for_memory() -> u64 {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let counts = groups.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, group) = rest.split_once(':')?;
        let file = match controllers {
            "" => format!("/sys/fs/cgroup{group}/memory.events"),
            names if names.split(',').any(|name| name == "memory") => {
                format!("/sys/fs/cgroup/memory{group}/memory.oom_control")
            }
            _ => return None,
        };
        let text = fs::read_to_string(file).ok()?;
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok())
    });
    counts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_as_the_application_is_called() {
        assert_eq!(named("device-console", "parent"), "device-c:parent");
        assert_eq!(named("app", "zygote"), "app:zygote");
        assert_eq!(named("gerätewächter", "zygote"), "gerätew:zygote");
    }
}
