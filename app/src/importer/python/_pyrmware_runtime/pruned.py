"""What is said of a module that was left out of the launcher."""

import sys


def find_spec(name, reason):
    """Explains a pruned module to who imports it; to who merely asks whether it exists: no."""
    frame = sys._getframe()
    while frame is not None and frame.f_code.co_name in ("find_spec", "_find_spec"):
        frame = frame.f_back
    if frame is None or frame.f_code.co_name != "_find_and_load_unlocked":
        return None
    raise ModuleNotFoundError(
        f"No module named {name!r}: it was left out when this launcher was built ({reason}); "
        f"'keep = [\"{name}\"]' in [tool.pyrmware.prune] keeps it",
        name=name,
    )
