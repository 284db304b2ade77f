//! End-to-end tests: through the commands that people type, on real applications.
//!
//! One program, so that tests of all files share launchers and run side by side. See README.md here.

mod apps;
mod support;
