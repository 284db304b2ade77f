class Refused(Exception):
    def __init__(self, name, value):
        super().__init__(f"{name} refuses {value}")
