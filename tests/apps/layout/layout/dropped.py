"""Dropped by the configuration: there on stock Python only."""

WHERE = "there"
