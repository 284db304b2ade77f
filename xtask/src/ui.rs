//! The one output seam: progress and messages to stderr, data to stdout.
