"""What goes in and out."""

from __future__ import annotations

import datetime
import decimal
import enum
import ipaddress
import uuid
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, computed_field, field_validator


class Kind(enum.StrEnum):
    PUMP = "pump"
    VALVE = "valve"


class Limits(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    low: float = 0
    high: Annotated[float, Field(gt=0)]


class Timer(BaseModel):
    trigger: Literal["timer"]
    every: datetime.timedelta


class Level(BaseModel):
    trigger: Literal["level"]
    limits: Limits


class Unit(BaseModel):
    """One unit of the device."""

    id: uuid.UUID
    kind: Kind
    name: Annotated[str, Field(pattern=r"^\w+$", max_length=10)]
    address: ipaddress.IPv4Address
    price: decimal.Decimal | None = None
    made: datetime.date
    started: datetime.datetime
    secret: SecretStr = SecretStr("hidden")
    rule: Annotated[Timer | Level, Field(discriminator="trigger")]
    tags: set[str] = set()
    nested: dict[str, list[Unit]] = {}

    @field_validator("name")
    @classmethod
    def not_reserved(cls, value):
        if value == "root":
            raise ValueError("is reserved")
        return value

    @computed_field
    @property
    def age(self) -> int:
        return 2025 - self.made.year
