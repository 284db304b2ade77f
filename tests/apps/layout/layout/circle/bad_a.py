from layout.circle.bad_b import VALUE  # noqa: F401 (fails: the circle is what is tested)

OTHER = 1
