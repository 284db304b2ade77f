//! What the launcher is made of. The program around it, `main.rs`, is little more than the payload: an
//! edit of the application compiles that alone.

pub mod action;
mod disk;
pub mod importer;
pub mod interpreter;
pub mod lockdown;
pub mod log;
pub mod memory;
mod object;
pub mod supervisor;
mod thread;
mod update;
