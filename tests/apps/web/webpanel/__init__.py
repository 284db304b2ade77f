"""A panel for a device, as a small Flask application."""
