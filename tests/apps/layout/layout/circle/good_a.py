from layout.circle import good_b


def name():
    return "a knows " + good_b.NAME
