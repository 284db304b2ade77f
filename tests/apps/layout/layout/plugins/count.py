from layout import LOADED

NAME = "count"
LOADED.append(NAME)
