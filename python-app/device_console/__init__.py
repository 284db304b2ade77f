"""A telnet console for looking after a device."""
