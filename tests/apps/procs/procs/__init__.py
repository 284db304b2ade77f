"""An application that is a family of processes."""
