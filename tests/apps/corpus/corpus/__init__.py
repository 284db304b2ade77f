"""Programs that leak, and programs that only look as if they did."""
