"""What leaks."""


class Session:
    def __init__(self, number=0):
        self.number = number

    def on_event(self, event):
        return self.number, event
