import decimal
import threading

LOCK = threading.Lock()


class Thing:
    pass


def function():
    with LOCK:
        return decimal.Decimal(len(Thing.__name__))
