//! The pipeline: config -> resolve -> collect -> scan -> prune -> compile -> protect -> pack -> link -> verify -> report.
//!
//! A stage is `run(&Plan, Previous) -> Result<Next>`; it does not print and it uses ordered maps.

pub mod collect;
pub mod compile;
pub mod link;
pub mod pack;
pub mod protect;
pub mod prune;
pub mod report;
pub mod resolve;
pub mod scan;
pub mod verify;
