"""What is in the vault nobody is to read."""
