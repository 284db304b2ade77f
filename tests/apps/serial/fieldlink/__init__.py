"""Talks to devices on serial lines."""
