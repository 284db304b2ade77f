from layout.circle.bad_b import VALUE

OTHER = 1

SEEN = VALUE  # else the import would wait for it, and the circle would do no harm
