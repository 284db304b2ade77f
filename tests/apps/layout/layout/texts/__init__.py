"""A package of texts."""
