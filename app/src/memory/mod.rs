//! Memory supervision: what is judged here, and what it is judged by.

pub mod trend;
