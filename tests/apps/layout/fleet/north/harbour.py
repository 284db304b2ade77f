from . import NAME

FULL = NAME + " harbour"
