//! Who looks after the application: starts it again, holds its sockets, tells whoever has started it, feeds
//! watchdogs.
//!
//! Without a zygote that is the process itself: it becomes a new launcher ([`restart`]), and a thread feeds
//! the watchdogs. With one there are three processes. The **parent** ([`parent`]) is the one that was
//! launched: Rust only, it never starts Python. Its child, the **zygote** ([`zygote`]), starts Python, imports
//! what the application imports, and then forks whenever it is asked to. What it forks is the **worker**,
//! which runs the application and is the parent's child as well, by way of a process between that ends at
//! once: its end is seen whatever becomes of the zygote.

mod api;
mod channel;
mod history;
mod listen;
mod notify;
mod parent;
pub mod pulse;
pub mod restart;
mod settings;
pub mod sys;
mod watchdog;
mod zygote;

use std::env;
use std::time::Duration;

use crate::action::Action;
use crate::log::{self, Priority};
use crate::memory::OnHard;
use crate::{thread, update};

use history::History;
use listen::Sockets;
use notify::Manager;
use parent::{Outcome, Parent};
use pulse::Watch;
use watchdog::Feeder;

pub use api::{begin_to_speak, install};
pub use settings::Settings;
pub use zygote::Zygote;

/// What this process is.
pub enum Role {
    /// Its work is done; the exit code.
    Done(i32),
    /// The application runs in it, alone; what watches over it, once Python is there.
    Alone(Option<Alone>),
    /// It forks the processes in which the application runs.
    Zygote(Box<Zygote>),
}

/// Watches over the application from within its process.
pub struct Alone {
    feeder: Feeder,
    watch: Watch,
}

impl Alone {
    /// Begins to.
    pub fn start(self) {
        watchdog::start(self.feeder, self.watch);
    }
}

/// Heartbeats are not awaited: nothing is judged by this.
const NEVER: Duration = Duration::from_secs(u32::MAX as u64);

/// Begins, before Python does. Returns in the process that is launched when all is over or when it is to run
/// the application itself, and in each zygote.
pub fn begin(action: &Action) -> Role {
    let Some(settings) = &action.service else { return Role::Alone(None) };
    let carried = env::var(restart::VARIABLE).ok();
    // SAFETY: no other thread runs yet.
    unsafe { env::remove_var(restart::VARIABLE) };
    let history = History::load(settings, carried.as_deref());
    let sockets = match Sockets::open(&settings.listen) {
        Ok(sockets) => sockets,
        Err(refusal) => {
            log::line(Priority::Error, &refusal.text);
            return Role::Done(refusal.code);
        }
    };
    let manager = Manager::find();
    // Who records a start wants to see all of it.
    let is_recorded = action.startup.is_some() || action.trace.is_some();
    if settings.zygote && !is_recorded {
        let launch = update::until().map(|until| {
            let sockets = sockets.clone();
            (until, restart::Launch::of(&action.executable, &action.arguments, sockets))
        });
        match Parent::new(settings, history.clone(), Manager::find(), launch) {
            Ok(parent) => match parent.run(carried.is_some()) {
                Outcome::Done(code) => return Role::Done(code),
                Outcome::Zygote(seed) => {
                    return Role::Zygote(Box::new(Zygote::new(seed, action, sockets)));
                }
            },
            Err(error) => {
                let text = format!("restart = \"zygote\" is not possible: {error}");
                log::line(Priority::Warning, &text);
            }
        }
    }
    if carried.is_none() {
        wait(&history, manager.as_ref());
    }
    for (name, value) in sockets.environment(sys::own_pid()) {
        // SAFETY: as above.
        unsafe { env::set_var(name, value) };
    }
    let period = manager.as_ref().and_then(|manager| manager.watchdog);
    let watch = Watch::new(settings.heartbeat.or(period).unwrap_or(NEVER));
    let feeder = Feeder::new(settings.watchdog.as_ref(), period);
    if let Some(manager) = manager {
        notify::to_manager(manager);
    }
    let on_hard = match action.memory.as_ref().map(|memory| memory.on_hard) {
        // There is no parent.
        Some(OnHard::Zygote) => OnHard::Exec,
        other => other.unwrap_or(OnHard::Report),
    };
    restart::remember(restart::Run {
        executable: &action.executable,
        arguments: &action.arguments,
        history,
        sockets,
        on_hard,
        grace: settings.grace,
    });
    if update::until().is_some() {
        await_update();
    }
    Role::Alone(Some(Alone { feeder, watch }))
}

/// An update that is not ready in time has failed, whatever it does instead.
fn await_update() {
    let late = || {
        if !update::wait() {
            update::tell_late();
            restart::end_for(update::REASON);
        }
    };
    if let Err(error) = thread::spawn("update", 64 << 10, late) {
        let text = format!("update: it is not told when it is not ready in time: {error}");
        log::line(Priority::Warning, &text);
    }
}

/// How the zygote of a process with this name is called.
pub fn zygote_name(name: &str) -> String {
    parent::named(name, "zygote")
}

/// The application ends as it should.
pub fn ends_well() {
    watchdog::stop();
}

/// After runs that ended soon, of which a process before this one has left the count.
fn wait(history: &History, manager: Option<&Manager>) {
    let wait = history.wait();
    if wait.is_zero() {
        return;
    }
    tell_wait(history, wait, manager);
    std::thread::sleep(wait);
}

fn tell_wait(history: &History, wait: Duration, manager: Option<&Manager>) {
    let (runs, seconds) = (history.short_runs, wait.as_secs_f64());
    let text = format!("ended {runs} times in a row within minutes; starts in {seconds:.1} s");
    log::line(Priority::Warning, &text);
    if let Some(manager) = manager {
        let time = (wait + EXTENSION).as_micros();
        manager.tell(&format!("STATUS={text}\nEXTEND_TIMEOUT_USEC={time}"));
    }
}

/// What a start may take after a wait of which the service manager was told.
const EXTENSION: Duration = Duration::from_secs(30);
