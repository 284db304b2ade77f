//! `cargo xtask memory REPORT…`: what launchers reported of their memory, as one page.

pub mod signature;
