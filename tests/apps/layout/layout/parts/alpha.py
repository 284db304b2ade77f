from .. import VERSION
from . import VALUE as OWN
from .inner import deep

VALUES = (VERSION, OWN, deep.VALUE)
