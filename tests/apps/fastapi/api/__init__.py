"""An API for a device."""
