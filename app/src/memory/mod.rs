//! Memory supervision: the application stays inside its limits, gives memory back before it reaches them,
//! and starts again when it does.
//!
//! A thread without the interpreter's lock looks at the process every two seconds ([`guard`]), against
//! limits of the device or its control group ([`limits`]), and judges where it is going ([`trend`]). At the
//! soft limit the main thread gives memory back ([`relief`]); at the hard one the process ends and is
//! started again ([`restart`]). What happened is told in one line and kept in a file ([`report`]).
//!
//! What there is and who holds it is told by a snapshot ([`snapshot`]): types and containers
//! ([`census`]), and the paths to what was looked for ([`holders`]).

mod api;
mod before;
pub mod census;
mod guard;
pub mod holders;
mod json;
mod limits;
mod look;
mod relief;
mod report;
mod restart;
mod settings;
pub mod snapshot;
pub mod trend;
mod walk;

pub use api::install;
pub use guard::start;
pub use restart::remember;
pub use settings::Settings;
