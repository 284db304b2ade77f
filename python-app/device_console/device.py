"""What this device is: the facts that are shipped with the application."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class Device:
    """The content of `data/device.json`."""

    name: str
    model: str
    hardware: str
    prompt: str

    @classmethod
    def load(cls) -> Device:
        return cls(**json.loads(_data("device.json")))

    def banner(self) -> str:
        """What a client sees first."""
        return _data("banner.txt").format(version=version(), **vars(self))


def version() -> str:
    """The version in the metadata of the installed distribution; a checkout has none."""
    from importlib import metadata

    try:
        return metadata.version("device-console")
    except metadata.PackageNotFoundError:
        return "0+checkout"


def _data(name: str) -> str:
    return (resources.files(__package__) / "data" / name).read_text(encoding="utf-8")
