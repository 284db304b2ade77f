//! End-to-end tests: through the commands that people type, on real applications.
//!
//! One program, so that tests of all files share launchers and run side by side. See README.md here.

mod apps;
mod attack;
mod bills;
mod cli;
mod clock;
mod corpus;
mod damage;
mod deploy;
mod devices;
mod diagnosis;
mod errors;
mod examples;
mod explain;
mod flipped;
mod incremental;
mod interpreters;
mod isolation;
mod leakcheck;
mod locked_down;
mod memory;
mod memory_page;
mod notify;
mod package;
mod protect_native;
mod protected_apps;
mod relief;
mod reproducible;
mod restart;
mod runtime;
mod sealed;
mod sizes;
mod stripped;
mod support;
mod symbolicate;
mod system;
mod updates;
