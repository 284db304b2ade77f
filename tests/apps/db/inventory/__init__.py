"""An inventory of parts: stored, queried, printed."""
