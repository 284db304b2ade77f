from layout.circle import attribute_b

OTHER = 1

SEEN = attribute_b  # else the import would wait for it, and the circle would do no harm
