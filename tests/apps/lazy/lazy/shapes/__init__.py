"""A package whose submodules are attributes because it imports from them."""

from lazy.shapes.circle import AREA

# The name of a submodule, for something else.
from lazy.shapes.square import area as circle

__all__ = ["AREA", "circle"]
