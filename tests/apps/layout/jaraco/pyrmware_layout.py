"""The application's portion of a namespace that a dependency has too."""

from jaraco.context import ExceptionTrap

TRAP = ExceptionTrap.__name__
