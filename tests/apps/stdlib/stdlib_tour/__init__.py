"""A tour of the standard library: what a device application may use, each part once."""
