class Thing:
    name = "thing"


class Gone:
    pass
