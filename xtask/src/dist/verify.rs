//! [`Image`](super::link::Image) -> same: it starts, its self-test passes, and no pruned module is asked for.
