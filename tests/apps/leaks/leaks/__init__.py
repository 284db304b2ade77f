"""Sessions that leak, and who holds them."""
