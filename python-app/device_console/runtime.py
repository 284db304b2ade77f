"""What the console tells the firmware around it.

`pyrmware` is in the firmware, and on stock Python after `pip install app/python`. Without it there
is nobody to tell: the same calls do nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Hook = TypeVar("Hook", bound=Callable[[int], object])

try:
    from pyrmware import expect_dead, heartbeat, on_pressure, ready, stopping
except ModuleNotFoundError:

    def ready(status: str | None = None) -> None: ...

    def stopping(status: str | None = None) -> None: ...

    def heartbeat() -> None: ...

    def on_pressure(hook: Hook, /) -> Hook:
        return hook

    def expect_dead(obj: object, why: str) -> None: ...


__all__ = ["expect_dead", "heartbeat", "on_pressure", "ready", "stopping"]
