//! The launcher: decides, acts, exits.

fn main() {}
