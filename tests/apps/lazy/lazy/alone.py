"""Run by `runpy`: while it runs, nothing below is bound."""


def so_far():
    return sorted(name for name in globals() if name in ("above", "below", "so_far"))


def above():
    pass


SO_FAR = so_far()


def below():
    pass
