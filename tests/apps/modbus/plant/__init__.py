"""A controller that is read over Modbus, and signs what it says."""
