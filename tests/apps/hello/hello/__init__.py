"""What a process owes to the one that started it, one mode for each part of it."""
