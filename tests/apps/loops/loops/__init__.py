"""Hot loops."""
