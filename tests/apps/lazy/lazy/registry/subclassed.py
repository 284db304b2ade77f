from lazy.registry import Plugin


class First(Plugin):
    pass
