//! Thin: takes the payload from the path that the pipeline names, links libpython.

fn main() {}
