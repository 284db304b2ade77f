"""A gateway between devices and their users."""
