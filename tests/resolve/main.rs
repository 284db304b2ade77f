//! Interpreters and dependencies through `cargo xtask plan`, with packages that are made here and no network.

mod app;
mod interpreters;
mod locks;
