NAME = "circle"
AREA = "pi"
