"""An inventory of parts: stored, queried, printed, ordered."""
