"""Extension modules at work."""
