"""Names of modules, seen from everywhere."""
