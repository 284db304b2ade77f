//! Memory supervision: the application stays inside its limits, gives memory back before it reaches them,
//! and starts again when it does.
//!
//! A thread without the interpreter's lock looks at the process every two seconds ([`guard`]), against
//! limits of the device or its control group ([`limits`]), and at once where the kernel tells that tasks wait
//! for memory ([`pressure`]); it has the heap counted now and then ([`heap`]), and judges where it is going
//! ([`trend`]). At the soft limit the main thread gives memory back ([`relief`]): garbage, what known caches
//! hold ([`caches`]), what hooks let go of, each of them scored ([`scores`]). At the hard limit the process ends
//! and is started again ([`crate::supervisor`]). What happened is told in one line and kept in a file
//! ([`report`], [`folder`]).
//!
//! What there is and who holds it is told by a snapshot ([`snapshot`]): types and containers
//! ([`census`]), the paths to what was looked for ([`holders`]), and what has grown since an earlier one
//! ([`before`]). [`inquiry`] decides when one is taken, by a thread ([`job`]) that takes the interpreter's
//! lock for the fork ([`attach`]). Objects that should be dead ([`dead`]) and classes that are counted
//! ([`track`]) are looked for in it.

mod api;
mod attach;
mod before;
mod caches;
pub mod census;
mod collector;
mod dead;
mod folder;
mod guard;
mod heap;
pub mod holders;
mod inquiry;
mod job;
mod json;
mod limits;
mod look;
mod pressure;
mod relief;
mod report;
mod room;
mod scores;
mod settings;
mod signal;
pub mod snapshot;
mod tasks;
mod track;
pub mod trend;
mod walk;

pub use api::install;
pub use guard::start;
pub use heap::watch_arenas;
pub use pressure::share as share_pressure;
pub use settings::{OnHard, Settings};

/// As people read it, of tenths.
fn mib(bytes: i64) -> String {
    let tenths = (bytes as f64 * 10.0 / f64::from(1 << 20)).round();
    // What is next to nothing has no sign.
    format!("{:.1} MiB", tenths / 10.0 + 0.0)
}
