from layout.circle import attribute_b  # noqa: F401 (fails: the circle is what is tested)

OTHER = 1
