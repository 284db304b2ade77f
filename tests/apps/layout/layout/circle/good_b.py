import layout.circle.good_a

NAME = "b"


def back():
    return layout.circle.good_a.name()
